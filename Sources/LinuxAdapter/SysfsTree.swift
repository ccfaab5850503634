import Glibc
package import Model
package import Ports

/// dom0's PCI devices as the kernel shows them: sysfs, the pciback driver's folder, the kernel log.
package struct SysfsTree: DeviceTreePort {
  /// The ranges that are granted with a device: six base address registers and the ROM (`PROC_PCI_NUM_RESOURCES`,
  /// libxl_pci.c).
  private static let resourceLines = 7

  private let root: Root

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  package init(root: String) { self.root = Root(root) }

  package func hasPCIBack() throws(HostError) -> Bool { try isThere(root.pciback) }

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
    if let text = try content(alias) {
      guard let names = ModuleAlias(text) else { throw malformed(alias) }
      (facts.id, facts.subsystem, facts.deviceClass) = (names.id, names.subsystem, names.deviceClass)
    } else if try !isThere(folder) {
      return nil
    }
    facts.driver = try linkTarget(folder + "/driver")
    facts.isOnPCIBack = facts.driver == Root.pcibackDriver
    // `physfn` is a link to the physical function (pci_iov_add_virtfn, drivers/pci/iov.c, Linux 6.1).
    facts.isVirtualFunction = try isThere(folder + "/physfn")
    return facts
  }

  package func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants {
    let path = folder(of: device) + "/resource"
    guard let text = try content(path) else { throw .tree(DeviceTreeError(.missing, operation: "read", place: path)) }
    var resources: [DeviceResource] = []
    // First byte, last byte, flags: `0x00000000febc0000 0x00000000febdffff 0x0000000000040200`.
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).prefix(Self.resourceLines) {
      let words = line.split(separator: " ")
      if words.isEmpty { continue }
      let numbers = words.compactMap { hexadecimalWord($0) }
      guard numbers.count == 3, words.count == 3 else { throw malformed(path) }
      // An unused register is all zeros.
      if numbers[0] == 0 { continue }
      guard numbers[0] <= numbers[1] else { throw malformed(path) }
      // IORESOURCE_IO is among the bits 8 and up; the lowest bit is the register's own (PCI_BASE_ADDRESS_SPACE_IO).
      let space: DeviceResource.Space = numbers[2] & 1 != 0 ? .ports : .memory
      guard space == .memory || numbers[1] <= DeviceResource.lastPort else { throw malformed(path) }
      resources.append(DeviceResource(space: space, range: numbers[0]...numbers[1]))
    }
    return DeviceGrants(resources: resources, interrupt: try interrupt(of: device))
  }

  package func serial(of device: PCIAddress) throws(HostError) -> String? {
    let path = folder(of: device) + "/config"
    do throws(SystemFailure) {
      return ConfigurationSpace(bytes: try readFile(path, atMost: ConfigurationSpace.size)).serial
    } catch {
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
  }

  package func neighbours(of device: PCIAddress) throws(HostError) -> Set<PCIAddress> {
    guard try isThere(slotReset) else { return [] }
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

  package func setPermissive(_ device: PCIAddress) throws(HostError) { try write(device, to: "permissive") }

  package func permissiveDevices() throws(HostError) -> Set<PCIAddress> {
    let path = root.pciback + "/permissive"
    guard let text = try content(path) else { return [] }
    // One line per device, until the page is full (`permissive_show`, Linux drivers/xen/xen-pciback/pci_stub.c, 6.1).
    // What is left of a cut line is no address.
    return Set(text.split(separator: "\n").compactMap { PCIAddress($0) })
  }

  package func hasVirtualFunctions(_ device: PCIAddress) throws(HostError) -> Bool {
    try isThere(folder(of: device) + "/virtfn0")
  }

  package func unbindFromPCIBack(_ device: PCIAddress) throws(HostError) { try write(device, to: "unbind") }

  package func bindToPCIBack(_ device: PCIAddress) throws(HostError) { try write(device, to: "bind") }

  package func isPermissiveForAll() throws(HostError) -> Bool {
    try content(root.pcibackPermissive)?.hasPrefix("Y") == true
  }

  package func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool {
    try isThere("\(root.backEndObjects)/pci-\(domain)-0")
  }

  package func listenForExports(sinceBoot: Bool) -> (any ExportLog)? {
    KernelLog(path: root.kernelLog, sinceBoot: sinceBoot)
  }

  // MARK: -

  private func folder(of device: PCIAddress) -> String { "\(root.pciDevices)/\(device)" }

  private func malformed(_ path: String) -> HostError {
    .tree(DeviceTreeError(.malformed, operation: "read", place: path))
  }

  private func isThere(_ path: String) throws(HostError) -> Bool {
    do throws(SystemFailure) { return try exists(path) } catch { throw .tree(DeviceTreeError(error, path)) }
  }

  /// Returns a file's text; nil if there is no file.
  private func content(_ path: String) throws(HostError) -> String? {
    do throws(SystemFailure) {
      return try readAttribute(path)
    } catch {
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
  }

  /// Returns the legacy interrupt. 0, 255 and 2³¹ mean none: the line register's value for "not connected", and Linux's
  /// value for an unrouted line.
  private func interrupt(of device: PCIAddress) throws(HostError) -> UInt32? {
    let path = folder(of: device) + "/irq"
    guard let text = try content(path) else { return nil }
    guard let line = UInt32(text.last == "\n" ? text.dropLast() : text[...]) else { throw malformed(path) }
    return line == 0 || line == 255 || line == 0x8000_0000 ? nil : line
  }

  /// Returns the last part of a link's target; nil if there is no link.
  private func linkTarget(_ path: String) throws(HostError) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink(path, &buffer, buffer.count)
    guard count >= 0 else {
      let failure = errno
      if failure == ENOENT { return nil }
      throw .tree(DeviceTreeError(SystemFailure("read-link", failure), path))
    }
    let target = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return target.split(separator: "/").last.map(String.init)
  }

  /// Writes a device's address to one of pciback's attributes.
  private func write(_ device: PCIAddress, to attribute: String) throws(HostError) {
    let path = "\(root.pciback)/\(attribute)"
    do throws(SystemFailure) {
      try Descriptor(opening: path, O_WRONLY).writeAll(Array("\(device)".utf8))
    } catch { throw .tree(DeviceTreeError(error, path)) }
  }

  /// Writes to a file that resets a device; returns nil if there is no such file.
  private func write(_ text: String, toResetFile path: String) throws(HostError) -> ResetOutcome? {
    let file: Descriptor
    do throws(SystemFailure) { file = try Descriptor(opening: path, O_WRONLY) } catch {
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
    do throws(SystemFailure) { try file.writeAll(Array(text.utf8)) } catch { return .failed }
    return .done
  }
}

/// A device's configuration space, as `config` shows it. Without CAP_SYS_ADMIN only 64 bytes are readable
/// (`pci_read_config`, Linux drivers/pci/pci-sysfs.c).
private struct ConfigurationSpace {
  static let size = 4096
  let bytes: [UInt8]

  private func word(at offset: Int) -> UInt32? {
    guard offset + 4 <= bytes.count else { return nil }
    return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * $1) }
  }

  /// The serial number (`PCI_EXT_CAP_ID_DSN`, linux/pci_regs.h): two words, the lower first. Nil if there is none.
  var serial: String? {
    var offset = 0x100
    // Each capability has at least a header of four bytes, so a longer chain is a loop.
    for _ in 0..<Self.size / 4 {
      guard let header = word(at: offset), header != 0, header != .max else { return nil }
      if header & 0xFFFF == 0x0003 {
        guard let low = word(at: offset + 4), let high = word(at: offset + 8) else { return nil }
        let value = UInt64(high) << 32 | UInt64(low)
        // What is the same on every card identifies none.
        if value == 0 || value == .max { return nil }
        return (0..<8).map { hex(value >> (56 - 8 * UInt64($0)) & 0xFF, 2) }.joined(separator: "-")
      }
      offset = Int(header >> 20 & 0xFFC)
      guard offset >= 0x100 else { return nil }
    }
    return nil
  }
}

/// The content of `modalias` for a device: `pci:v00008086d00001533sv00008086sd00000000bc02sc00i00`, upper-case
/// hexadecimal (`modalias_show`, Linux drivers/pci/pci-sysfs.c).
private struct ModuleAlias {
  let id: DeviceID
  /// Nil if the card has none: bridges have none, and PCI_SUBSYSTEM_VENDOR_ID may be 0.
  let subsystem: DeviceID?
  let deviceClass: UInt32

  init?(_ text: String) {
    var rest = (text.last == "\n" ? text.dropLast() : text[...]).utf8[...]
    /// Reads the number of `digits` digits that follows `mark`.
    func take(_ mark: String, _ digits: Int) -> UInt64? {
      guard rest.starts(with: mark.utf8), rest.count >= mark.utf8.count + digits else { return nil }
      rest = rest.dropFirst(mark.utf8.count)
      defer { rest = rest.dropFirst(digits) }
      return hexadecimal(Substring(rest.prefix(digits)), digits: digits...digits)
    }
    guard let vendor = take("pci:v", 8).flatMap({ UInt16(exactly: $0) }),
      let device = take("d", 8).flatMap({ UInt16(exactly: $0) }),
      let cardVendor = take("sv", 8).flatMap({ UInt16(exactly: $0) }),
      let card = take("sd", 8).flatMap({ UInt16(exactly: $0) }),
      let base = take("bc", 2), let sub = take("sc", 2), let interface = take("i", 2), rest.isEmpty
    else { return nil }
    id = DeviceID(vendor: vendor, device: device)
    subsystem = cardVendor == 0 && card == 0 ? nil : DeviceID(vendor: cardVendor, device: card)
    deviceClass = UInt32(base << 16 | sub << 8 | interface)
  }
}

/// Reads a number of `resource`: `0x` and up to sixteen digits.
private func hexadecimalWord(_ word: Substring) -> UInt64? {
  guard word.hasPrefix("0x") else { return nil }
  return hexadecimal(word.dropFirst(2), digits: 1...16)
}
