/// A PCI function's name in sysfs, such as `0000:03:00.0`.
///
/// A segment has at least four digits. Linux numbers the segments behind Intel VMD from 10000 on (`vmd_find_free_domain`,
/// drivers/pci/controller/vmd.c, 6.1). Xen has 16 bits for a segment, so such a function has no `address`.
package struct FunctionName: Hashable, Sendable {
  package let segment: UInt32
  package let bus: UInt8
  /// 0…31.
  package let device: UInt8
  /// 0…7.
  package let function: UInt8

  package init(_ address: PCIAddress) {
    (segment, bus, device, function) = (
      UInt32(address.segment), address.bus, address.device, address.function
    )
  }

  /// Reads a name as the kernel writes it (`pci_setup_device`, drivers/pci/probe.c, 6.1: `%04x:%02x:%02x.%d`).
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let segment = hexadecimal(parts[0], digits: 4...8),
      let bus = hexadecimal(parts[1], digits: 2...2), let place = SlotPlace(parts[2])
    else { return nil }
    self.init(segment: UInt32(segment), bus: UInt8(bus), place)
  }

  private init(segment: UInt32, bus: UInt8, _ place: SlotPlace) {
    (self.segment, self.bus, device, function) = (segment, bus, place.device, place.function)
  }

  /// The function's address for Xen; nil if the segment has more than 16 bits.
  package var address: PCIAddress? {
    UInt16(exactly: segment).flatMap { PCIAddress(segment: $0, bus: bus, device: device, function: function) }
  }

  /// The place on the function's bus.
  package var place: SlotPlace { SlotPlace(device: device, function: function) }

  /// Whether another function has the same segment, bus and device number.
  package func isInSlot(of other: FunctionName) -> Bool {
    segment == other.segment && bus == other.bus && device == other.device
  }

  private var order: UInt64 {
    UInt64(segment) << 16 | UInt64(bus) << 8 | UInt64(device) << 3 | UInt64(function)
  }
}

extension FunctionName: Comparable {
  package static func < (left: Self, right: Self) -> Bool { left.order < right.order }
}

extension FunctionName: CustomStringConvertible {
  package var description: String { hex(UInt64(segment), 4) + ":" + hex(UInt64(bus), 2) + ":" + place.description }
}

/// A function's place on its bus: `1c.4`, device and function.
package struct SlotPlace: Hashable, Sendable {
  package let device: UInt8
  package let function: UInt8

  /// The caller must keep the device below 32, and the function below 8.
  fileprivate init(device: UInt8, function: UInt8) { (self.device, self.function) = (device, function) }

  /// Reads two hexadecimal digits, a dot and a digit below 8.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let device = hexadecimal(parts[0], digits: 2...2), device < 32,
      let function = hexadecimal(parts[1], digits: 1...1), function < 8
    else { return nil }
    self.init(device: UInt8(device), function: UInt8(function))
  }
}

extension SlotPlace: CustomStringConvertible {
  package var description: String { hex(UInt64(device), 2) + "." + hex(UInt64(function), 1) }
}

extension FunctionName: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}
