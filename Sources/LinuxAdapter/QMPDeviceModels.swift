package import Core
import Glibc

/// Guests' device models, over QMP on libxl's sockets (`libxl__qmp_ev_…`, libxl_qmp.c, Xen 4.17).
package struct QMPDeviceModels: DeviceModelPort {
  private let root: Root

  /// `root` is `/`, or the folder that a sandbox has in its place.
  package init(root: String) { self.root = Root(root) }

  package func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    throw .deviceModel(
      DeviceModelError(.unreachable, operation: "connect", text: root.userdata, errno: ENOENT))
  }
}
