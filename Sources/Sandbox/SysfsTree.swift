import Model

/// The part of sysfs that a toolstack reads and writes, as files below the sandbox's root.
///
/// On a host a write to an attribute is a call into the kernel. Here it changes a file, and the simulator notices it
/// later. `attributes` and `resetFile` name the files to watch.
struct SysfsTree {
  let directory: SandboxDirectory
  private let devices: [PCIAddress: ScenarioDevice]
  private let folders: DeviceFolders

  init(directory: SandboxDirectory, devices: [ScenarioDevice] = []) {
    self.directory = directory
    self.devices = Dictionary(devices.map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    folders = DeviceFolders(devices)
  }

  private var paths: SandboxPaths { directory.paths }

  /// The writable attributes of pciback (Linux `drivers/xen/xen-pciback/pci_stub.c`) and of the driver core.
  enum Attribute: String, CaseIterable {
    case permissive, bind, unbind, newSlot = "new_slot", removeSlot = "remove_slot"
  }

  func driver(_ name: String) -> String { paths.pciDrivers + "/" + name }
  /// Returns a device's own folder, to which the bus's folder has a link.
  func device(_ address: PCIAddress) -> String { paths.devices + "/" + folders.folder(of: address) }
  func attribute(_ attribute: Attribute, of driver: String = ScenarioDevice.pciback) -> String {
    self.driver(driver) + "/" + attribute.rawValue
  }

  /// Makes the whole tree for a scenario's devices. Attributes that are write-only on a host are readable here, because
  /// the simulator reads them as an ordinary user.
  func build(_ devices: [ScenarioDevice]) throws(SandboxError) {
    for path in [paths.pciDevices, paths.pciDrivers, paths.backEndObjects] { try directory.makeDirectories(path) }
    let drivers = Set(
      devices.compactMap(\.driver) + devices.compactMap(\.ownDriver) + [ScenarioDevice.pciback])
    try directory.write(paths.pciProbe, "")
    for name in drivers.sorted() {
      try directory.makeDirectories(driver(name))
      for attribute in [Attribute.bind, .unbind] {
        try directory.write(self.attribute(attribute, of: name), "")
      }
    }
    for attribute in [Attribute.permissive, .newSlot, .removeSlot] {
      try directory.write(self.attribute(attribute), "")
    }
    try directory.write(driver(ScenarioDevice.pciback) + "/slots", "")
    let functions = Dictionary(grouping: devices, by: { $0.address.sbdf >> 3 })
    for device in devices {
      try build(device, isMultiFunction: functions[device.address.sbdf >> 3].map { $0.count > 1 } ?? false)
    }
    try writeSlots(devices.filter { $0.driver == ScenarioDevice.pciback }.map(\.address))
  }

  private func build(_ device: ScenarioDevice, isMultiFunction: Bool) throws(SandboxError) {
    let path = self.device(device.address)
    try directory.makeDirectories(path)
    try directory.link(
      paths.pciDevices + "/\(device.address)", to: "../../../devices/" + folders.folder(of: device.address))
    let subsystem = device.subsystem ?? DeviceID(vendor: 0, device: 0)
    let values = [
      "vendor": "0x" + hex(UInt64(device.id.vendor), 4), "device": "0x" + hex(UInt64(device.id.device), 4),
      "subsystem_vendor": "0x" + hex(UInt64(subsystem.vendor), 4),
      "subsystem_device": "0x" + hex(UInt64(subsystem.device), 4),
      "class": "0x" + hex(UInt64(device.deviceClass), 6), "irq": "\(device.interrupt)",
      "modalias": Self.moduleAlias(device.id, subsystem, device.deviceClass),
      "resource": Self.resourceText(device.resources), "revision": "0x" + hex(UInt64(device.revision), 2),
      "driver_override": "(null)",
    ]
    for (name, text) in values { try directory.write(path + "/" + name, text + "\n") }
    try directory.write(
      path + "/config", ConfigurationBytes(device, isMultiFunction: isMultiFunction).bytes)
    if let first = folders.behind[device.address]?.map(\.bus).min() {
      try directory.write(path + "/secondary_bus_number", "\(first)\n")
    }
    if let slot = device.slot {
      try directory.makeDirectories(paths.pciSlots + "/" + slot)
      try directory.write(paths.pciSlots + "/" + slot + "/address", "\("\(device.address)".dropLast(2))\n")
    }
    try directory.write(path + "/remove", "")
    if device.canReset { try directory.write(path + "/reset", "") }
    if let driver = device.driver { try bind(device.address, to: driver) }
  }

  /// Writes what process 1 of dom0 has mounted: its root, which is in memory, and the scenario's disks.
  func writeMounts() throws(SandboxError) {
    var lines = ["22 1 0:20 / / rw,relatime shared:1 - rootfs rootfs rw"]
    for device in devices.values.sorted(by: { $0.address < $1.address }) {
      guard let disk = device.disk, let mount = disk.mount else { continue }
      let place = mount.replacing(" ", with: "\\040")
      lines.append(
        "\(22 + lines.count) 22 \(number(ofDiskAt: device.address)) / \(place) rw,relatime - ext4 /dev/\(disk.name) rw")
    }
    try directory.makeDirectories(paths.root + "/proc/1")
    try directory.write(paths.mounts, lines.map { $0 + "\n" }.joined())
    try directory.write(paths.swaps, "Filename\tType\tSize\tUsed\tPriority\n")
  }

  /// Writes by what dom0 is reached: its default routes, no session, the hypervisor's console, and no keyboard.
  func writeNetwork(routes: [String]) throws(SandboxError) {
    for path in [paths.root + "/proc/net", paths.root + "/proc/bus/input", paths.root + "/run/berth-capture"] {
      try directory.makeDirectories(path)
    }
    // An address for documentation (RFC 5737).
    try directory.write(paths.routes("ipv4"), routes.map { "default via 192.0.2.1 dev \($0)\n" }.joined())
    try directory.write(paths.routes("ipv6"), "")
    try directory.write(paths.connections, "  sl  local_address rem_address   st\n")
    try directory.write(paths.consoles, "hvc0                 -W- (EC p  )  229:0\n")
    try directory.write(paths.inputDevices, "")
  }

  /// Returns a disk's major and minor number: those of SCSI disks, of which each has 16 (Documentation/admin-guide/
  /// devices.txt, Linux 6.1).
  private func number(ofDiskAt device: PCIAddress) -> String {
    let disks = devices.values.filter { $0.disk != nil }.map(\.address).sorted()
    return "8:\(16 * (disks.firstIndex(of: device) ?? 0))"
  }

  /// Returns the text that `modalias_show` prints (Linux drivers/pci/pci-sysfs.c).
  static func moduleAlias(_ id: DeviceID, _ subsystem: DeviceID, _ deviceClass: UInt32) -> String {
    func digits(_ value: some BinaryInteger, _ count: Int) -> String { hex(UInt64(value), count).uppercased() }
    return "pci:v\(digits(id.vendor, 8))d\(digits(id.device, 8))sv\(digits(subsystem.vendor, 8))"
      + "sd\(digits(subsystem.device, 8))bc\(digits(deviceClass >> 16, 2))sc\(digits(deviceClass >> 8 & 0xFF, 2))"
      + "i\(digits(deviceClass & 0xFF, 2))"
  }

  /// Returns the `resource` file: start, end and flags of the six BARs and the ROM, and empty lines for the bridge's
  /// windows.
  static func resourceText(_ resources: [DeviceResource]) -> String {
    (0..<13).map { index in
      guard index < min(7, resources.count) else { return line(0, 0, 0) }
      let resource = resources[index]
      // IORESOURCE_IO | IORESOURCE_SIZEALIGN, and IORESOURCE_MEM | IORESOURCE_SIZEALIGN (include/linux/ioport.h).
      return line(resource.range.lowerBound, resource.range.upperBound, resource.space == .ports ? 0x40101 : 0x40200)
    }.joined(separator: "\n")
  }

  private static func line(_ start: UInt64, _ end: UInt64, _ flags: UInt64) -> String {
    [start, end, flags].map { "0x" + hex($0, 16) }.joined(separator: " ")
  }

  /// Makes the two links that the kernel makes when a driver takes a device.
  func bind(_ device: PCIAddress, to name: String) throws(SandboxError) {
    try directory.link(self.device(device) + "/driver", to: folders.wayUp(from: device) + "bus/pci/drivers/\(name)")
    try directory.link(driver(name) + "/\(device)", to: "../../../../devices/" + folders.folder(of: device))
    if name != ScenarioDevice.pciback { try addParts(of: device) }
  }

  /// Makes what a device's own driver makes: a network interface, a disk, an NVMe controller.
  private func addParts(of device: PCIAddress) throws(SandboxError) {
    if let interface = devices[device]?.interface {
      let folder = self.device(device) + "/net/" + interface.name
      try directory.makeDirectories(folder)
      try directory.write(folder + "/address", "\(interface.address)\n")
      try directory.write(folder + "/addr_assign_type", "0\n")
      try directory.link(folder + "/device", to: "../..")
      try linkPart("net/" + interface.name, of: device, into: paths.networkInterfaces)
    }
    if let disk = devices[device]?.disk {
      let folder = self.device(device) + "/block/" + disk.name
      try directory.makeDirectories(folder)
      try directory.write(folder + "/dev", number(ofDiskAt: device) + "\n")
      try linkPart("block/" + disk.name, of: device, into: paths.blockDevices)
    }
    if let controller = devices[device]?.controller {
      let folder = self.device(device) + "/nvme/" + controller.name
      try directory.makeDirectories(folder)
      // The kernel pads both texts with blanks (`nvme_show_str_function`, Linux drivers/nvme/host/sysfs.c).
      try directory.write(folder + "/serial", controller.serial + "  \n")
      try directory.write(folder + "/model", controller.model + "  \n")
      try directory.write(folder + "/transport", "pcie\n")
      try directory.write(folder + "/address", "\(device)\n")
    }
  }

  /// Makes the link in the folder of a class that leads to a part of a device.
  private func linkPart(_ part: String, of device: PCIAddress, into folder: String) throws(SandboxError) {
    let name = part.drop { $0 != "/" }
    try directory.makeDirectories(folder)
    try directory.link(folder + name, to: "../../devices/" + folders.folder(of: device) + "/" + part)
  }

  private func removeParts(of device: PCIAddress) throws(SandboxError) {
    if let interface = devices[device]?.interface {
      try directory.remove(paths.networkInterfaces + "/" + interface.name)
      try directory.removeTree(self.device(device) + "/net")
    }
    if let disk = devices[device]?.disk {
      try directory.remove(paths.blockDevices + "/" + disk.name)
      try directory.removeTree(self.device(device) + "/block")
    }
    if devices[device]?.controller != nil { try directory.removeTree(self.device(device) + "/nvme") }
  }

  func unbind(_ device: PCIAddress, from name: String) throws(SandboxError) {
    try directory.remove(self.device(device) + "/driver")
    try directory.remove(driver(name) + "/\(device)")
    try removeParts(of: device)
  }

  /// Removes what the kernel shows of a device that is gone.
  func remove(_ device: PCIAddress) throws(SandboxError) {
    try directory.remove(paths.pciDevices + "/\(device)")
    try directory.removeTree(self.device(device))
  }

  /// Returns the device whose folder has this file; nil if it is in no device's folder.
  func device(withFile path: String) -> PCIAddress? {
    guard path.hasPrefix(paths.devices + "/") else { return nil }
    return path.split(separator: "/").dropLast().last.flatMap { PCIAddress($0) }
  }

  func writeSlots(_ devices: [PCIAddress]) throws(SandboxError) {
    try directory.write(driver(ScenarioDevice.pciback) + "/slots", devices.sorted().map { "\($0)\n" }.joined())
  }

  func setBackEndObject(of domain: DomainID, isThere: Bool) throws(SandboxError) {
    let path = paths.backEndObjects + "/pci-\(domain)-0"
    if isThere { try directory.makeDirectories(path) } else { try directory.removeTree(path) }
  }
}
