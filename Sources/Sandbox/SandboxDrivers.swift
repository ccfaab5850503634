package import Model
package import Ports

/// A sandbox's drivers: the files below its root, with writes that end one after the other.
///
/// On a host such a write is a call into the kernel. Here it changes a file that the simulator reads and replaces later.
package struct SandboxDrivers: DriverPort {
  private let inner: any DriverPort
  private let tree: SandboxDeviceTree

  package init(_ inner: any DriverPort, tree: SandboxDeviceTree) { (self.inner, self.tree) = (inner, tree) }

  package func binding(of device: PCIAddress) throws(HostError) -> DriverBinding? {
    try tree.alone { () throws(HostError) in try inner.binding(of: device) }
  }
  package func isLoaded(_ driver: String) throws(HostError) -> Bool { try inner.isLoaded(driver) }
  package func setOverride(of device: PCIAddress, to driver: String?) throws(HostError) {
    try tree.carryOut { () throws(HostError) in try inner.setOverride(of: device, to: driver) }
  }
  package func unbind(
    _ device: PCIAddress, from driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try tree.carryOut { () throws(HostError) in try inner.unbind(device, from: driver, until: deadline) }
  }
  package func bind(
    _ device: PCIAddress, to driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try tree.carryOut { () throws(HostError) in try inner.bind(device, to: driver, until: deadline) }
  }
  package func offer(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> DriverAnswer {
    try tree.carryOut { () throws(HostError) in try inner.offer(device, until: deadline) }
  }
  package func slots() throws(HostError) -> Set<PCIAddress> {
    try tree.alone { () throws(HostError) in try inner.slots() }
  }
  package func removeSlot(_ device: PCIAddress) throws(HostError) {
    try tree.carryOut { () throws(HostError) in try inner.removeSlot(device) }
  }
  /// Loads nothing: the modules of a sandbox are those of its scenario.
  package func loadModule(_ name: String, until deadline: ContinuousClock.Instant) throws(HostError) {
    throw .tree(
      DeviceTreeError(.other, operation: "load", place: name, detail: "a sandbox loads no modules of the kernel"))
  }
  package func listen(about device: PCIAddress) -> (any DeviceLog)? { inner.listen(about: device) }
}
