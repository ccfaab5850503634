import Glibc
package import Model
package import Ports

/// The drivers of dom0's PCI devices, in sysfs.
package struct SysfsDrivers: DriverPort {
  private let root: Root
  private let files: SysfsFiles

  /// `root` is `/`, or the folder that replaces it for a sandbox. `patience` is how long the kernel may take for what has no
  /// deadline of its own; nil for the usual times.
  package init(root: String, patience: Duration? = nil) {
    self.root = Root(root)
    files = SysfsFiles(patience: patience)
  }

  package func binding(of device: PCIAddress) throws(HostError) -> DriverBinding? {
    let folder = "\(root.pciDevices)/\(device)"
    guard try files.isThere(folder) else { return nil }
    var binding = DriverBinding()
    binding.driver = try files.linkTarget(folder + "/driver")
    if binding.driver != nil { binding.module = try files.linkTarget(folder + "/driver/module") }
    do throws(HostError) {
      // The kernel writes `(null)` for no override (`driver_override_show`, Linux drivers/pci/pci-sysfs.c, 6.1).
      let text = try files.content(folder + "/driver_override")?.prefix { $0 != "\n" }
      binding.driverOverride = text.flatMap { $0.isEmpty || $0 == "(null)" ? nil : String($0) }
    } catch {
      guard error.treeCode == .timedOut else { throw error }
      binding.isOverrideUnknown = true
    }
    return binding
  }

  package func isLoaded(_ driver: String) throws(HostError) -> Bool { try files.isThere(root.driver(driver)) }

  package func setOverride(of device: PCIAddress, to driver: String?) throws(HostError) {
    // A write of nothing would not reach the kernel: a single newline removes the override (`driver_set_override`, Linux
    // drivers/base/driver.c, 6.1).
    try files.write("\(driver ?? "")\n", to: "\(root.pciDevices)/\(device)/driver_override")
  }

  package func unbind(
    _ device: PCIAddress, from driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try call("\(device)", root.driver(driver) + "/unbind", until: deadline)
  }

  package func bind(
    _ device: PCIAddress, to driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try call("\(device)", root.driver(driver) + "/bind", until: deadline)
  }

  package func offer(
    _ device: PCIAddress, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try call("\(device)", root.pciProbe, until: deadline)
  }

  package func slots() throws(HostError) -> Set<PCIAddress> {
    // One line per entry (`slots_show`, Linux drivers/xen/xen-pciback/pci_stub.c, 6.1). A pattern is no address.
    Set((try files.content(root.pciback + "/slots") ?? "").split(separator: "\n").compactMap { PCIAddress($0) })
  }

  package func removeSlot(_ device: PCIAddress) throws(HostError) {
    try files.write("\(device)", to: root.pciback + "/remove_slot")
  }

  package func loadModule(_ name: String, until deadline: ContinuousClock.Instant) throws(HostError) {
    let refusal: String
    do throws(SystemFailure) { refusal = try ModuleLoader.load(name, until: deadline) } catch {
      throw .tree(DeviceTreeError(error, name))
    }
    guard refusal.isEmpty else {
      throw .tree(DeviceTreeError(.other, operation: "load", place: name, detail: refusal))
    }
  }

  package func listen(about device: PCIAddress) -> (any DeviceLog)? {
    KernelLines(path: root.kernelLog, about: device)
  }

  // MARK: -

  private func call(
    _ text: String, _ path: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    do throws(SystemFailure) { return try BoundedWrite.write(text, to: path, until: deadline) } catch {
      throw .tree(DeviceTreeError(error, path))
    }
  }
}
