package import Model

/// The parts of a sandbox, stored in `sandbox.json`: written at the start, complete when the sandbox is ready.
///
/// Nothing in a directory is taken for a sandbox's, or removed, without this file.
package struct SandboxDescription: Hashable, Sendable, Codable {
  static let kind = "BerthSandbox"
  static let version = 1

  package let kind: String
  package let version: Int
  /// The number of the sandbox's directory in its file system, so that a copied file describes no other directory.
  var inode: UInt64 = 0
  package var store: StoreKind
  package var isTracing: Bool
  /// Whether oxenstored fails some commits on purpose.
  package var testEagain: Bool
  /// The preload library's path.
  package var preload: String
  /// The simulator's process; nil until it is ready.
  package var simulatorProcess: Int32?
  package var storeProcess: Int32?

  init(store: StoreKind, isTracing: Bool, testEagain: Bool, preload: String) {
    (kind, version) = (Self.kind, Self.version)
    self.store = store
    self.isTracing = isTracing
    self.testEagain = testEagain
    self.preload = preload
  }
}

/// The present state of a sandbox from a side that no real host shows: the guests' and the hypervisor's own view.
package struct SandboxStatus: Hashable, Sendable, Codable {
  package struct Domain: Hashable, Sendable, Codable {
    package var id: DomainID
    package var name: String
    package var uuid: DomainUUID
    package var kind: DomainKind
    package var isPaused: Bool
    package var isShutDown: Bool
    package var answers: GuestAnswers
    /// The devices that the guest's own kernel has on its PCI bus, by the guest's address.
    package var guestDevices: [PCIAddress: PCIAddress]
    /// The devices that pciback exports to the guest, by the guest's address.
    package var exported: [PCIAddress: PCIAddress]
    package var assigned: [PCIAddress]
    package var mappedInterrupts: [UInt32]
    /// The number of port and frame ranges that it may use.
    package var grantedRanges: Int
    package var hasBackEndObject: Bool
    package var isLockHeld: Bool
    /// The stub domain in which its QEMU runs; nil if it has no QEMU, or has one in dom0.
    package var stubDomain: DomainID?
    /// The guest whose stub domain this is.
    package var target: DomainID?
    /// An HVM guest's QEMU; nil if there is none.
    package var deviceModel: DeviceModel?
  }
  package struct DeviceModel: Hashable, Sendable, Codable {
    /// Whether a process serves its socket.
    package var isRunning: Bool
    package var faults: [DeviceModelFault.Kind]
    package var devices: [Emulated]
  }
  /// A device that QEMU shows its guest.
  package struct Emulated: Hashable, Sendable, Codable {
    package var name: String
    /// The host's device; nil for a bridge.
    package var address: PCIAddress?
    package var slot: UInt8
    package var function: UInt8
    package var isPermissive: Bool
    /// Whether the guest was asked to release the device.
    package var isLeaving: Bool
  }
  package struct Device: Hashable, Sendable, Codable {
    package var address: PCIAddress
    package var id: DeviceID
    package var driver: String?
    /// `dom0`, `quarantine` or a domain's number.
    package var owner: String
    package var isPermissive: Bool
    package var resets: Int
  }
  package var host: String
  package var store: StoreKind
  package var storeProcess: Int32
  package var domains: [Domain]
  package var devices: [Device]
}
