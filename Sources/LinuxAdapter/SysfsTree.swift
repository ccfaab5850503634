import Glibc
package import Model
package import Ports

/// dom0's PCI devices as the kernel shows them: sysfs, the pciback driver's folder, the kernel log.
package struct SysfsTree: DeviceTreePort {
  private let root: Root
  private let files: SysfsFiles

  /// `root` is `/`, or the folder that replaces it for a sandbox. `patience` is how long the kernel may take; nil for the
  /// usual times.
  package init(root: String, patience: Duration? = nil) {
    self.root = Root(root)
    files = SysfsFiles(patience: patience)
  }

  package func hasPCIBack() throws(HostError) -> Bool { try files.isThere(root.pciback) }

  package func pcibackDevices() throws(HostError) -> Set<PCIAddress> {
    do throws(SystemFailure) {
      // The folder also holds the driver's own files, whose names are not addresses.
      return Set(try listFolder(root.pciback).compactMap { PCIAddress($0) })
    } catch {
      if error.errno == ENOENT { return [] }
      throw .tree(DeviceTreeError(error, root.pciback))
    }
  }

  /// Reads one file and one link. Looking at many devices mostly costs these reads.
  package func facts(of device: PCIAddress) throws(HostError) -> DeviceFacts? {
    let folder = self.folder(of: device)
    let alias = folder + "/modalias"
    var facts = DeviceFacts()
    if let text = try files.content(alias) {
      guard let names = ModuleAlias(text) else { throw malformed(alias) }
      (facts.id, facts.subsystem, facts.deviceClass) = (names.id, names.subsystem, names.deviceClass)
    } else if try !files.isThere(folder) {
      return nil
    }
    facts.driver = try files.linkTarget(folder + "/driver")
    facts.isOnPCIBack = facts.driver == DriverBinding.pciback
    // `physfn` is a link to the physical function (pci_iov_add_virtfn, drivers/pci/iov.c, Linux 6.1).
    facts.isVirtualFunction = try files.isThere(folder + "/physfn")
    return facts
  }

  package func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants {
    let path = folder(of: device) + "/resource"
    guard let text = try files.content(path) else {
      throw .tree(DeviceTreeError(.missing, operation: "read", place: path))
    }
    guard let resources = DeviceResource.list(text) else { throw malformed(path) }
    return DeviceGrants(resources: resources, interrupt: try interrupt(of: device))
  }

  package func serial(of device: PCIAddress) throws(HostError) -> String? {
    let path = folder(of: device) + "/config"
    do throws(SystemFailure) {
      if case .known(let serial) = try files.configuration(path).serial() { return serial }
      return nil
    } catch {
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
  }

  package func neighbours(of device: PCIAddress) throws(HostError) -> Set<PCIAddress> {
    guard try files.isThere(slotReset) else { return [] }
    do throws(SystemFailure) {
      // A reset of the slot's bus reaches every function on it (`pci_reset_bus`, Linux drivers/pci/pci.c).
      return Set(
        try listFolder(root.pciDevices).compactMap { PCIAddress($0) }.filter {
          $0 != device && $0.segment == device.segment && $0.bus == device.bus
        })
    } catch { throw .tree(DeviceTreeError(error, root.pciDevices)) }
  }

  /// The file by which some kernels reset a device, and its whole slot if they must (`libxl__device_pci_reset`,
  /// libxl_pci.c, Xen 4.17). Linux itself does not have it.
  private var slotReset: String { root.pciback + "/do_flr" }

  package func reset(_ device: PCIAddress, alone: Bool) throws(HostError) -> ResetOutcome {
    // Linux's own `reset` uses no method that reaches another function (`pci_parent_bus_reset` and
    // `pci_dev_reset_slot_function`, drivers/pci/pci.c, 6.1).
    if !alone, let outcome = try write("\(device)", toResetFile: slotReset) { return outcome }
    return try write("1", toResetFile: folder(of: device) + "/reset") ?? .unsupported
  }

  package func setPermissive(_ device: PCIAddress) throws(HostError) {
    try files.write("\(device)", to: root.pciback + "/permissive")
  }

  package func permissiveDevices() throws(HostError) -> Set<PCIAddress> {
    let path = root.pciback + "/permissive"
    guard let text = try files.content(path) else { return [] }
    // One line per device, until the page is full (`permissive_show`, Linux drivers/xen/xen-pciback/pci_stub.c, 6.1).
    // What is left of a cut line is no address.
    return Set(text.split(separator: "\n").compactMap { PCIAddress($0) })
  }

  package func hasVirtualFunctions(_ device: PCIAddress) throws(HostError) -> Bool {
    try files.isThere(folder(of: device) + "/virtfn0")
  }

  package func isPermissiveForAll() throws(HostError) -> Bool {
    try files.content(root.pcibackPermissive)?.hasPrefix("Y") == true
  }

  package func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool {
    try files.isThere("\(root.backEndObjects)/pci-\(domain)-0")
  }

  package func listenForExports(sinceBoot: Bool) -> (any ExportLog)? {
    KernelLog(path: root.kernelLog, sinceBoot: sinceBoot)
  }

  // MARK: -

  private func folder(of device: PCIAddress) -> String { "\(root.pciDevices)/\(device)" }

  private func malformed(_ path: String) -> HostError {
    .tree(DeviceTreeError(.malformed, operation: "read", place: path))
  }

  /// Returns the legacy interrupt.
  private func interrupt(of device: PCIAddress) throws(HostError) -> UInt32? {
    let path = folder(of: device) + "/irq"
    guard let text = try files.content(path) else { return nil }
    guard let line = UInt32(text.last == "\n" ? text.dropLast() : text[...]) else { throw malformed(path) }
    return DeviceGrants.isInterrupt(line) ? line : nil
  }

  /// Writes to a file that resets a device; returns nil if there is no such file.
  private func write(_ text: String, toResetFile path: String) throws(HostError) -> ResetOutcome? {
    do throws(SystemFailure) {
      try files.beginWriting(to: path)
    } catch {
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
    do throws(SystemFailure) { try files.finishWriting(text, to: path) } catch {
      // The kernel may still be at it.
      if error.isUnanswered { throw .tree(DeviceTreeError(error, path)) }
      return .failed
    }
    return .done
  }
}
