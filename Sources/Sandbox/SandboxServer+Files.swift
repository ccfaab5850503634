import Glibc
import Model

/// Reactions of dom0's kernel to writes into sysfs.
extension SandboxServer {
  func watchFiles() throws(SandboxError) {
    for name in Set(drivers.values).union([ScenarioDevice.pciback]).sorted() { try files.add(sysfs.driver(name)) }
    for device in scenario.devices { try files.add(sysfs.device(device.address)) }
  }

  /// Processes every attribute written so far. It runs before each request, so that a writer's next request to the
  /// hypervisor sees the write as done.
  func noticeWrittenFiles() {
    for path in files.takeEvents() {
      do {
        try notice(path)
      } catch {
        HostEffects.note("\(error)")
      }
    }
  }

  private func notice(_ path: String) throws(SandboxError) {
    let names = path.split(separator: "/").suffix(2)
    guard names.count == 2 else { return }
    let (owner, name) = (String(names[names.startIndex]), names.last ?? "")
    if let device = sysfs.device(withFile: path) {
      guard try directory.read(path)?.isEmpty == false else { return }
      if name == "remove" { return try remove(device) }
      guard name == "reset" else { return }
      resets[device, default: 0] += 1
      return try directory.write(path, "")
    }
    guard let attribute = SysfsTree.Attribute(rawValue: String(name)), let text = try directory.read(path),
      !text.isEmpty
    else { return }
    // An older, longer text may remain after a shorter one. A kernel only ever gets what was written.
    let word = text.split { $0 == "\n" || $0 == " " }.first ?? ""
    let device = PCIAddress(word)
    switch attribute {
    case .permissive:
      guard text != permissiveText else { return }
      if let device, simulation.kernel.stubs.index(forKey: device) != nil { permissive.insert(device) }
      return try writePermissive()
    case .newSlot: if let device { slots.insert(device) }
    case .removeSlot: if let device { slots.remove(device) }
    case .bind: if let device { try bind(device, to: owner) }
    case .unbind: if let device { try unbind(device, from: owner) }
    }
    try directory.write(path, "")
    try sysfs.writeSlots(Array(slots))
  }

  private func bind(_ device: PCIAddress, to driver: String) throws(SandboxError) {
    guard drivers[device] == nil, scenario.devices.contains(where: { $0.address == device }) else { return }
    if driver == ScenarioDevice.pciback {
      // pciback takes only devices whose slot was given to it.
      guard slots.contains(device) else { return }
      simulation.kernel.bind(device)
    }
    drivers[device] = driver
    try sysfs.bind(device, to: driver)
  }

  private func unbind(_ device: PCIAddress, from driver: String) throws(SandboxError) {
    guard drivers[device] == driver else { return }
    if driver == ScenarioDevice.pciback {
      simulation.kernel.unbind(device)
      permissive.remove(device)
      try writePermissive()
    }
    drivers[device] = nil
    try sysfs.unbind(device, from: driver)
  }

  /// Takes a card out of the host, as its removal from the slot does (`remove_store`, Linux drivers/pci/pci-sysfs.c). Its
  /// driver releases it, even if a guest has it, and Xen drops it (`pci_remove_device`, xen/drivers/passthrough/pci.c,
  /// 4.17). What a domain was granted with it stays granted.
  private func remove(_ device: PCIAddress) throws(SandboxError) {
    if let driver = drivers[device] { try unbind(device, from: driver) }
    hypervisor.owners[device] = nil
    try sysfs.remove(device)
  }

  private var permissiveText: String { permissive.sorted().map { "\($0)\n" }.joined() }

  /// Writes the content of pciback's `permissive`: the devices for which it is on. Only unbinding turns it off.
  func writePermissive() throws(SandboxError) {
    try directory.write(sysfs.attribute(.permissive), permissiveText)
  }
}
