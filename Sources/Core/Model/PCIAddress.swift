/// A PCI function's place on a host: segment, bus, device and function.
///
/// Its text is `0000:03:00.0`, lower-case hexadecimal, as in sysfs and in libxl's `PCI_BDF` format
/// (`tools/libs/light/libxl_pci.c`, Xen 4.17).
package struct PCIAddress: Hashable, Sendable {
  package let segment: UInt16
  package let bus: UInt8
  /// 0…31.
  package let device: UInt8
  /// 0…7.
  package let function: UInt8

  /// Fails where device or function are out of their 5 and 3 bits.
  package init?(segment: UInt16, bus: UInt8, device: UInt8, function: UInt8) {
    guard device < 32, function < 8 else { return nil }
    (self.segment, self.bus, self.device, self.function) = (segment, bus, device, function)
  }

  /// Reads `SSSS:BB:DD.F` or, with segment 0 understood, `BB:DD.F`; hexadecimal in either case.
  ///
  /// The function may have two digits, as pciback writes it in `vdev-N` (`%04x:%02x:%02x.%02x`,
  /// Linux `drivers/xen/xen-pciback/xenbus.c`).
  package init?(_ text: some StringProtocol) {
    let colons = text.split(separator: ":", omittingEmptySubsequences: false)
    guard colons.count == 2 || colons.count == 3 else { return nil }
    let slot = colons[colons.count - 1].split(separator: ".", omittingEmptySubsequences: false)
    guard slot.count == 2 else { return nil }
    guard let bus = hexadecimal(colons[colons.count - 2], digits: 1...2),
      let device = hexadecimal(slot[0], digits: 1...2),
      let function = hexadecimal(slot[1], digits: 1...2)
    else { return nil }
    var segment: UInt64 = 0
    if colons.count == 3 {
      guard let value = hexadecimal(colons[0], digits: 1...4) else { return nil }
      segment = value
    }
    guard function < 8, device < 32 else { return nil }
    self.init(
      segment: UInt16(segment), bus: UInt8(bus), device: UInt8(device), function: UInt8(function))
  }

  /// The form used inside xenstore paths, `0000-03-00-0`: `:` and `.` are illegal there.
  ///
  /// libxl's `PCI_BDF_XSPATH`.
  package var storeKey: String {
    hex(UInt64(segment), 4) + "-" + hex(UInt64(bus), 2) + "-" + hex(UInt64(device), 2) + "-" + hex(UInt64(function), 1)
  }

  /// Reads the form used inside xenstore paths.
  package init?(storeKey: some StringProtocol) {
    let parts = storeKey.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    self.init("\(parts[0]):\(parts[1]):\(parts[2]).\(parts[3])")
  }

  /// The number hypercalls take: segment, bus, device and function in 16, 8, 5 and 3 bits.
  ///
  /// libxl's `pci_encode_bdf`.
  package var sbdf: UInt32 {
    UInt32(segment) << 16 | UInt32(bus) << 8 | UInt32(device) << 3 | UInt32(function)
  }

  /// The address of the function that a hypercall's number names.
  package init(sbdf: UInt32) {
    segment = UInt16(truncatingIfNeeded: sbdf >> 16)
    bus = UInt8(truncatingIfNeeded: sbdf >> 8)
    device = UInt8(truncatingIfNeeded: sbdf >> 3) & 31
    function = UInt8(truncatingIfNeeded: sbdf) & 7
  }
}

extension PCIAddress {
  // By its number alone: plans of large hosts look up little else.
  package static func == (left: Self, right: Self) -> Bool { left.sbdf == right.sbdf }

  package func hash(into hasher: inout Hasher) { hasher.combine(sbdf) }
}

extension PCIAddress: Comparable {
  package static func < (left: Self, right: Self) -> Bool { left.sbdf < right.sbdf }
}

extension PCIAddress: CustomStringConvertible {
  package var description: String {
    hex(UInt64(segment), 4) + ":" + hex(UInt64(bus), 2) + ":" + hex(UInt64(device), 2) + "." + hex(UInt64(function), 1)
  }
}

extension PCIAddress: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}
