import Glibc
import Model

/// Reactions of dom0's kernel to writes into sysfs.
extension SandboxServer {
  func watchFiles() throws(SandboxError) {
    for name in drivers.names { try files.add(sysfs.driver(name)) }
    try files.addFile(paths.pciProbe)
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
    if path == paths.pciProbe { return try drivers.offer(path) }
    let names = path.split(separator: "/").suffix(2)
    guard names.count == 2 else { return }
    let (owner, name) = (String(names[names.startIndex]), names.last ?? "")
    if let device = sysfs.device(withFile: path) {
      guard try directory.read(path)?.isEmpty == false else { return }
      if name == "remove" { return try remove(device) }
      if name == "driver_override" { return try drivers.override(device, path) }
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
      return try drivers.permit(device, text)
    case .newSlot: if let device { drivers.slots.insert(device) }
    case .removeSlot: if let device { drivers.slots.remove(device) }
    case .bind: if let device { try drivers.bind(device, to: owner) }
    case .unbind: if let device { try drivers.unbind(device, from: owner) }
    }
    try directory.write(path, "")
    try drivers.writeSlots()
  }

  /// Takes a card out of the host, as its removal from the slot does (`remove_store`, Linux drivers/pci/pci-sysfs.c). Its
  /// driver releases it, even if a guest has it, and Xen drops it (`pci_remove_device`, xen/drivers/passthrough/pci.c,
  /// 4.17). What a domain was granted with it stays granted.
  private func remove(_ device: PCIAddress) throws(SandboxError) {
    if let driver = drivers.bound[device] { try drivers.unbind(device, from: driver) }
    hypervisor.owners[device] = nil
    try sysfs.remove(device)
  }
}
