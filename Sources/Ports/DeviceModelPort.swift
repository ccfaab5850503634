package import Model
package import XenProtocol

/// A conversation with one guest's device model, while libxl's lock of the device model is held.
///
/// Every call has the deadline of the conversation. The conversation is over after a failure with any code except
/// `refused`, `duplicate` and `unknownDevice`.
package protocol DeviceModelConversation: ~Copyable {
  /// Returns the devices that have a name, on every bus (`query-pci`).
  borrowing func devices() throws(HostError) -> [EmulatedDevice]
  /// Returns the slots of the first bus in use at the last call of `devices`; nil before the first call, and
  /// for a device model that cannot tell.
  borrowing func usedSlots() -> Set<UInt8>?
  /// Gives the guest a device (`device_add` of `xen-pci-passthrough`). A nil slot lets QEMU choose.
  ///
  /// Throws `duplicate` if QEMU has a device of this name.
  borrowing func add(_ device: PCIAddress, slot: UInt8?, permissive: Bool) throws(HostError)
  /// Asks for a device's removal (`device_del`). Success means that the guest was asked; the guest may still use the
  /// device.
  ///
  /// Throws `unknownDevice` if there is no device of this name. If a removal is already in progress, the call
  /// succeeds.
  borrowing func remove(_ name: DeviceModelName) throws(HostError)
}

extension DeviceModelConversation where Self: ~Copyable {
  package borrowing func usedSlots() -> Set<UInt8>? { nil }
}

/// The device models of a host's HVM guests.
package protocol DeviceModelPort: Sendable {
  /// Runs `body` in a conversation with the guest's device model, while holding libxl's `qmp-socket-lock` of the
  /// guest.
  ///
  /// QEMU serves one client at a time, and libxl waits for the lock without a limit: the body must not wait for the
  /// guest. The lock comes before the userdata lock, which the body may take. Throws `unreachable` if there is no
  /// device model. Throws `busy` with the holder if the lock is still held at the deadline.
  func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result
}
