import Glibc
package import Model
package import Ports

/// Guests' device models, over QMP on libxl's sockets (`libxl__ev_qmp_send`, libxl_qmp.c, Xen 4.17).
package struct QMPDeviceModels: DeviceModelPort {
  /// The driver of devices that are passed through, in QEMU (hw/xen/xen_pt.c).
  package static let passthrough = "xen-pci-passthrough"

  private let root: Root
  private let driver: String

  /// `root` is `/`, or the folder that a sandbox has in its place.
  ///
  /// A QEMU without Xen has other drivers than the one for passthrough; they get neither an address on the host nor
  /// what goes with it.
  package init(root: String, driver: String = Self.passthrough) {
    self.root = Root(root)
    self.driver = driver
  }

  package func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    // Before the connection, as in libxl: who connects without the lock waits in QEMU's queue without an answer. The
    // stub domain of a guest, if it has one, has no lock: both take the guest's.
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
