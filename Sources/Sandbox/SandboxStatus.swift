package import Core

/// What a sandbox is made of, in `sandbox.json`: there from the start on, complete once it is ready.
package struct SandboxDescription: Hashable, Sendable, Codable {
  package var store: StoreKind
  package var isTracing: Bool
  /// Whether oxenstored fails some commits on purpose.
  package var testEagain: Bool
  /// The preload library's path.
  package var preload: String
  package var storeSocket: String
  package var hypervisorSocket: String
  /// Nil until it is ready.
  package var simulatorProcess: Int32?
  package var storeProcess: Int32?

  init(paths: SandboxPaths, store: StoreKind, isTracing: Bool, testEagain: Bool, preload: String) {
    self.store = store
    self.isTracing = isTracing
    self.testEagain = testEagain
    self.preload = preload
    storeSocket = paths.storeSocket
    hypervisorSocket = paths.hypervisorSocket
  }
}

/// What is so in a sandbox now, from the side that no real host shows: the guests' and the hypervisor's own view.
package struct SandboxStatus: Hashable, Sendable, Codable {
  package struct Domain: Hashable, Sendable, Codable {
    package var id: DomainID
    package var name: String
    package var uuid: DomainUUID
    package var kind: DomainKind
    package var isPaused: Bool
    package var isShutDown: Bool
    package var answers: GuestAnswers
    /// What the guest's own kernel has on its PCI bus, by the address it sees.
    package var guestDevices: [PCIAddress: PCIAddress]
    /// What pciback exports to it, by the address the guest sees.
    package var exported: [PCIAddress: PCIAddress]
    package var assigned: [PCIAddress]
    package var mappedInterrupts: [UInt32]
    /// Port and frame ranges it may use.
    package var grantedRanges: Int
    package var hasBackEndObject: Bool
    package var isLockHeld: Bool
    /// Where its QEMU runs; nil where it has none, or that one is in dom0.
    package var stubDomain: DomainID?
    /// The guest whose stub domain it is.
    package var target: DomainID?
    /// An HVM guest's QEMU; nil where there is none.
    package var deviceModel: DeviceModel?
  }
  package struct DeviceModel: Hashable, Sendable, Codable {
    /// Whether there is anybody behind its socket.
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
    /// The guest was asked to let go.
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
