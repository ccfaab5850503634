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

  /// Returns nil if device or function does not fit in its 5 or 3 bits.
  package init?(segment: UInt16, bus: UInt8, device: UInt8, function: UInt8) {
    guard device < 32, function < 8 else { return nil }
    (self.segment, self.bus, self.device, self.function) = (segment, bus, device, function)
  }

  /// Reads `SSSS:BB:DD.F`, or `BB:DD.F` with segment 0; hexadecimal in either case.
  ///
  /// The function may have two digits, as pciback writes it in `vdev-N` (`%04x:%02x:%02x.%02x`, Linux
  /// `drivers/xen/xen-pciback/xenbus.c`).
  package init?(_ text: some StringProtocol) {
    // Works on bytes and in one pass: an observation of a large host reads about ten thousand addresses.
    var (first, second, third): (Field?, Field?, Field?)
    var field = Field()
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: ":"):
        guard third == nil, second == nil else { return nil }
        if first == nil { first = field } else { second = field }
        field = Field()
      case UInt8(ascii: "."):
        guard third == nil else { return nil }
        third = field
        field = Field()
      default: guard field.append(byte) else { return nil }
      }
    }
    // If there is one colon, the field before it is the bus.
    guard let first, let bus = (second ?? first).value(digits: 2), let device = third?.value(digits: 2),
      let function = field.value(digits: 2), let segment = second == nil ? 0 : first.value(digits: 4),
      function < 8, device < 32
    else { return nil }
    self.init(segment: segment, bus: UInt8(bus), device: UInt8(device), function: UInt8(function))
  }

  /// Hexadecimal digits as they are read.
  private struct Field {
    private var number: UInt16 = 0
    private var count = 0

    mutating func append(_ byte: UInt8) -> Bool {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: return false
      }
      count += 1
      number = number << 4 | UInt16(digit)
      return count <= 4
    }

    /// Returns the number if it has at least one digit and at most `most` digits.
    func value(digits most: Int) -> UInt16? { (1...most).contains(count) ? number : nil }
  }

  /// The number that hypercalls use: segment, bus, device and function in 16, 8, 5 and 3 bits.
  ///
  /// libxl's `pci_encode_bdf`.
  @inlinable package var sbdf: UInt32 {
    UInt32(segment) << 16 | UInt32(bus) << 8 | UInt32(device) << 3 | UInt32(function)
  }

  /// Returns the address of the function that a hypercall's number names.
  package init(sbdf: UInt32) {
    segment = UInt16(truncatingIfNeeded: sbdf >> 16)
    bus = UInt8(truncatingIfNeeded: sbdf >> 8)
    device = UInt8(truncatingIfNeeded: sbdf >> 3) & 31
    function = UInt8(truncatingIfNeeded: sbdf) & 7
  }
}

extension PCIAddress {
  // Compares the numbers only: plans of large hosts mostly look up addresses.
  @inlinable package static func == (left: Self, right: Self) -> Bool { left.sbdf == right.sbdf }

  @inlinable package func hash(into hasher: inout Hasher) { hasher.combine(sbdf) }
}

extension PCIAddress: Comparable {
  @inlinable package static func < (left: Self, right: Self) -> Bool { left.sbdf < right.sbdf }
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
