package import Model
package import XenProtocol

/// A conversation with one guest's device model, while libxl's lock of it is held.
///
/// Every call has the deadline of the conversation. After a failure of any code but `refused`, `duplicate` and
/// `unknownDevice` the conversation is over.
package protocol DeviceModelConversation: ~Copyable {
  /// The devices that have a name, on every bus (`query-pci`).
  borrowing func devices() throws(HostError) -> [EmulatedDevice]
  /// Gives the guest a device (`device_add` of `xen-pci-passthrough`); nil as slot lets QEMU choose.
  ///
  /// `duplicate` where QEMU has one of that name.
  borrowing func add(_ device: PCIAddress, slot: UInt8?, permissive: Bool) throws(HostError)
  /// Asks for a device's removal (`device_del`). Success means that the guest was asked, not that it has let go.
  ///
  /// `unknownDevice` where there is none of that name. A removal that is under way already is a success.
  borrowing func remove(_ name: DeviceModelName) throws(HostError)
}

/// The device models of a host's HVM guests.
package protocol DeviceModelPort: Sendable {
  /// Runs `body` in a conversation with the guest's device model, holding libxl's `qmp-socket-lock` of the guest.
  ///
  /// QEMU serves one client at a time, and libxl waits for the lock without a limit: the body must not wait for the
  /// guest. The lock comes before the userdata lock, which the body may take. Throws `unreachable` where there is no
  /// device model, `busy` with the holder where the lock is not to be had before the deadline.
  func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result
}
