import Glibc
package import Model
package import Ports

/// A sandbox's PCI devices: the tree below its root, with changes of pciback that end one after the other.
///
/// On a host such a write is a call into the kernel. Here it changes a file that the simulator reads and replaces later.
/// A second writer would overwrite what the simulator has not read yet, and a reader would find half of a change.
package struct SandboxDeviceTree: DeviceTreePort {
  private let inner: any DeviceTreePort
  private let hypervisor: any HypervisorPort
  private let paths: SandboxPaths

  package init(_ inner: any DeviceTreePort, hypervisor: any HypervisorPort, paths: SandboxPaths) {
    (self.inner, self.hypervisor, self.paths) = (inner, hypervisor, paths)
  }

  /// Runs `body` while no other program changes pciback.
  func alone<Value>(_ body: () throws(HostError) -> Value) throws(HostError) -> Value {
    let folder = paths.pciDrivers + "/" + ScenarioDevice.pciback
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    // Without the folder, the body itself says what is missing.
    guard descriptor >= 0 else { return try body() }
    defer { close(descriptor) }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else {
        throw .tree(DeviceTreeError(errno: errno, operation: "lock", place: folder))
      }
    }
    return try body()
  }

  /// Makes a write, and returns when the simulator has carried it out.
  func carryOut<Value>(_ write: () throws(HostError) -> Value) throws(HostError) -> Value {
    try alone { () throws(HostError) in
      let value = try write()
      // The simulator processes written files before it answers any request.
      _ = try hypervisor.hostFacts()
      return value
    }
  }

  package func setPermissive(_ device: PCIAddress) throws(HostError) {
    try carryOut { () throws(HostError) in try inner.setPermissive(device) }
  }

  package func hasPCIBack() throws(HostError) -> Bool { try inner.hasPCIBack() }
  package func pcibackDevices() throws(HostError) -> Set<PCIAddress> { try inner.pcibackDevices() }
  package func facts(of device: PCIAddress) throws(HostError) -> DeviceFacts? { try inner.facts(of: device) }
  package func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants { try inner.grants(for: device) }
  package func serial(of device: PCIAddress) throws(HostError) -> String? { try inner.serial(of: device) }
  package func neighbours(of device: PCIAddress) throws(HostError) -> Set<PCIAddress> {
    try inner.neighbours(of: device)
  }
  package func reset(_ device: PCIAddress, alone: Bool) throws(HostError) -> ResetOutcome {
    let file = paths.pciDevices + "/\(device)/reset"
    var found = stat()
    if unsafe lstat(file, &found) == 0 {
      let isOdd = found.st_mode & S_IFMT != S_IFREG || found.st_nlink > 1
      guard !isOdd, isBelowRoot(file) else {
        throw .tree(DeviceTreeError(errno: ELOOP, operation: "reset", place: file))
      }
    }
    return try inner.reset(device, alone: alone)
  }

  /// Returns whether no link leads a path out of the sandbox's own tree of devices.
  private func isBelowRoot(_ file: String) -> Bool {
    func resolved(_ path: String) -> String? {
      guard let text = unsafe realpath(path, nil) else { return nil }
      defer { unsafe free(text) }
      return unsafe String(cString: text)
    }
    guard let place = resolved(file), let devices = resolved(paths.devices) else { return false }
    return place.hasPrefix(devices + "/")
  }

  package func permissiveDevices() throws(HostError) -> Set<PCIAddress> {
    try alone { () throws(HostError) in try inner.permissiveDevices() }
  }
  package func hasVirtualFunctions(_ device: PCIAddress) throws(HostError) -> Bool {
    try inner.hasVirtualFunctions(device)
  }
  package func isPermissiveForAll() throws(HostError) -> Bool { try inner.isPermissiveForAll() }
  package func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool {
    try inner.hasBackEndObject(for: domain)
  }
  package func listenForExports(sinceBoot: Bool) -> (any ExportLog)? { inner.listenForExports(sinceBoot: sinceBoot) }
}
