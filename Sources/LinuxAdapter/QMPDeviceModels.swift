import Glibc
package import Model
package import Ports

/// The device models of guests, over QMP on libxl's sockets (`libxl__ev_qmp_send`, libxl_qmp.c, Xen 4.17).
package struct QMPDeviceModels: DeviceModelPort {
  /// QEMU's driver for passed-through devices (hw/xen/xen_pt.c).
  package static let passthrough = "xen-pci-passthrough"

  private let root: Root
  private let driver: String

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  ///
  /// A QEMU without Xen has other drivers, which get neither the device's address on the host nor its options.
  package init(root: String, driver: String = Self.passthrough) {
    self.root = Root(root)
    self.driver = driver
  }

  package func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    // The lock is taken before the connection, as in libxl: without the lock, a client would wait unanswered in QEMU's
    // queue. A guest's stub domain, if there is one, has no lock of its own: both use the guest's.
    let path = "\(root.userdata)/userdata-l.\(domain.id).\(domain.uuid).qmp-socket-lock"
    let lock: FileLock
    do throws(FileLock.Failure) { lock = try FileLock(path: path, until: deadline) } catch {
      switch error {
      case .busy(let holder):
        throw .deviceModel(
          DeviceModelError(.busy, operation: "lock", place: path, errno: EWOULDBLOCK, holder: holder))
      case .system(let failure): throw .deviceModel(DeviceModelError(failure, path))
      }
    }
    let channel = try QMPChannel(
      folder: root.deviceModelSockets, name: "qmp-libxl-\(domain.id)", until: deadline)
    let conversation = QMPConversation(channel: channel, driver: driver, lock: lock)
    try conversation.begin()
    return try body(consume conversation)
  }
}
