package import Model

/// Reads the part of a libvirt domain that says what the domain is and which PCI devices it has, as `virsh dumpxml` prints
/// it.
///
/// Returns nil if there is an error, which is reported with its location. What a manifest cannot have becomes a remark.
package func readLibvirtDomain(_ source: SourceText, report: Diagnostics) -> ConfiguredDomain? {
  guard let root = MarkupReader.root(of: source, report: report) else { return nil }
  return LibvirtConfiguration(root: root, source: source, report: report).domain()
}

private struct LibvirtConfiguration {
  let root: MarkupElement
  let source: SourceText
  let report: Diagnostics

  func domain() -> ConfiguredDomain? {
    let errors = report.errorCount
    guard root.name == "domain" else {
      fail(root, "the root is \(quoted(root.name)), and not the domain of libvirt")
      return nil
    }
    guard let name = root.child("name")?.text, !name.isEmpty else {
      fail(root, "the domain has no name, or several")
      return nil
    }
    var domain = ConfiguredDomain(name: Name(name), kind: kind, file: source.name)
    if let uuid = root.child("uuid") {
      domain.uuid = Self.uuid(uuid.text)
      if domain.uuid == nil { fail(uuid, "\(quoted(uuid.text)) is no UUID") }
    }
    if let type = root.attributes["type"], type != "xen" { domain.remarks.append(.hypervisor(type)) }
    for device in root.children("devices").flatMap(\.children) {
      switch (device.name, device.attributes["type"]) {
      case ("hostdev", "pci") where device.attributes["mode"] ?? "subsystem" == "subsystem":
        read(device, into: &domain)
      case ("interface", "hostdev"):
        read(device, into: &domain)
      case ("hostdev", let type): domain.remarks.append(.otherDevice("hostdev of type \(type ?? "none")"))
      default: break
      }
    }
    return report.errorCount > errors ? nil : domain
  }

  /// The domain's kind (`libxlMakeDomCreateInfo`, libvirt src/libxl/libxl_conf.c, 9.0).
  private var kind: DomainKind {
    switch root.child("os")?.child("type")?.text {
    case "hvm": .hvm
    case "xen", "linux": .pv
    case "xenpvh": .pvh
    default: .unknown
    }
  }

  /// Reads an assignment. The guest's own address of the device has no effect with libxl (`libxlMakePCI`, libvirt
  /// src/libxl/libxl_conf.c, 9.0), so that no slot follows from it.
  private func read(_ device: MarkupElement, into domain: inout ConfiguredDomain) {
    guard let place = device.child("source"), let written = place.child("address") else {
      fail(device, "this device has no address in its source")
      return
    }
    guard let address = address(written) else { return }
    var found = ConfiguredDevice(address: address, line: device.mark.line)
    // Filtering is pciback's usual rule for writes to the configuration space (`libxlMakePCI`).
    found.options.permissive = place.attributes["writeFiltering"] == "no"
    if device.attributes["managed"] == "yes" { found.remarks.append(.managed) }
    if device.name == "interface" { found.remarks.append(.interface) }
    domain.devices.append(found)
  }

  private func address(_ element: MarkupElement) -> PCIAddress? {
    func number(_ name: String, atMost most: UInt64) -> UInt64? {
      guard let text = element.attributes[name] else { return 0 }
      guard let number = Self.number(text), number <= most else {
        fail(element, "\(quoted(name)) is \(quoted(text)), and not a number up to 0x\(hex(most, 1))")
        return nil
      }
      return number
    }
    guard let segment = number("domain", atMost: 0xFFFF), let bus = number("bus", atMost: 0xFF),
      let slot = number("slot", atMost: 0x1F), let function = number("function", atMost: 7)
    else { return nil }
    return PCIAddress(segment: UInt16(segment), bus: UInt8(bus), device: UInt8(slot), function: UInt8(function))
  }

  /// Reads a number as strtoul(3) without a base does: hexadecimal with `0x`, octal with `0`, otherwise decimal
  /// (`virPCIDeviceAddressParseXML`, libvirt src/conf/device_conf.c, 9.0).
  private static func number(_ text: String) -> UInt64? {
    if text.hasPrefix("0x") || text.hasPrefix("0X") { return hexadecimal(text.dropFirst(2), digits: 1...8) }
    guard text.utf8.count <= 12, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    return UInt64(text, radix: text.hasPrefix("0") && text.utf8.count > 1 ? 8 : 10)
  }

  /// Reads a UUID with or without its signs `-` (`virUUIDParse`, libvirt src/util/viruuid.c, 9.0).
  private static func uuid(_ text: String) -> DomainUUID? {
    let digits = text.utf8.filter { ![UInt8(ascii: "-"), 0x20, 0x09, 0x0A, 0x0D].contains($0) }
    guard digits.count == 32 else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: 32, by: 2) {
      guard let byte = hexadecimal(String(decoding: digits[start..<start + 2], as: UTF8.self), digits: 2...2) else {
        return nil
      }
      bytes.append(UInt8(byte))
    }
    return DomainUUID(bytes: bytes)
  }

  private func fail(_ element: MarkupElement, _ message: String) {
    report.error(hiding: element.mark, message, hint: nil)
  }
}
