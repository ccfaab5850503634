/// pciback's parameter `hide`, as the kernel reads it (`pcistub_init`, Linux drivers/xen/xen-pciback/pci_stub.c, 6.1):
/// `(0000:03:00.0)(04:00.*)`, with blanks between the entries, and `*` for a function, or for device and function.
package struct HideList: Hashable, Sendable {
  /// One entry; nil stands for all devices of the bus, or for all functions of the slot.
  package struct Entry: Hashable, Sendable {
    package let segment: UInt16
    package let bus: UInt8
    package let device: UInt8?
    package let function: UInt8?

    package func covers(_ address: PCIAddress) -> Bool {
      segment == address.segment && bus == address.bus && (device == nil || device == address.device)
        && (function == nil || function == address.function)
    }
  }

  /// What the kernel does not read.
  package struct Fault: Error, Hashable, Sendable {
    /// The text from the error on. The kernel reads nothing of a list with an error, and pciback does not start.
    package let rest: String
    package init(rest: String) { self.rest = rest }
  }

  package let entries: [Entry]

  /// Reads a list; an empty one has no entries.
  package init(_ text: some StringProtocol) throws(Fault) {
    var rest = Array(text.utf8)[...]
    var entries: [Entry] = []
    Self.skipBlanks(&rest)
    while !rest.isEmpty {
      let start = rest
      guard let entry = Self.entry(&rest) else {
        throw Fault(rest: String(decoding: start.prefix(40), as: UTF8.self))
      }
      entries.append(entry)
      Self.skipBlanks(&rest)
    }
    self.entries = entries
  }

  package func covers(_ address: PCIAddress) -> Bool { entries.contains { $0.covers(address) } }

  private static func entry(_ rest: inout ArraySlice<UInt8>) -> Entry? {
    guard rest.popFirst() == UInt8(ascii: "("), let first = number(&rest), rest.popFirst() == UInt8(ascii: ":") else {
      return nil
    }
    if takeStar(&rest) { return end(&rest, 0, first, nil) }
    guard let second = number(&rest) else { return nil }
    if rest.first == UInt8(ascii: ".") { return end(&rest, 0, first, second) }
    guard rest.popFirst() == UInt8(ascii: ":") else { return nil }
    if takeStar(&rest) { return end(&rest, first, second, nil) }
    guard let third = number(&rest) else { return nil }
    return end(&rest, first, second, third)
  }

  /// Reads `.FUNCTION)` or `.*)`, and checks the numbers (`pcistub_device_id_add`, the same file).
  private static func end(
    _ rest: inout ArraySlice<UInt8>, _ segment: UInt64, _ bus: UInt64, _ device: UInt64?
  ) -> Entry? {
    guard rest.popFirst() == UInt8(ascii: ".") else { return nil }
    var function: UInt64?
    if !takeStar(&rest) {
      guard device != nil, let found = number(&rest) else { return nil }
      function = found
    }
    guard rest.popFirst() == UInt8(ascii: ")"), segment <= 0xFFFF, bus <= 0xFF, device ?? 0 <= 0x1F, function ?? 0 <= 7
    else { return nil }
    return Entry(
      segment: UInt16(segment), bus: UInt8(bus), device: device.map { UInt8($0) }, function: function.map { UInt8($0) })
  }

  private static func takeStar(_ rest: inout ArraySlice<UInt8>) -> Bool {
    guard rest.first == UInt8(ascii: "*") else { return false }
    rest.removeFirst()
    return true
  }

  /// Reads a hexadecimal number of at most eight digits.
  private static func number(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    let digits = rest.prefix { byte in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }
    guard let number = hexadecimal(String(decoding: digits, as: UTF8.self), digits: 1...8) else { return nil }
    rest = rest[digits.endIndex...]
    return number
  }

  private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) {
    while let next = rest.first, [0x20, 0x09, 0x0A, 0x0D].contains(next) { rest.removeFirst() }
  }
}

extension HideList.Entry: CustomStringConvertible {
  /// `0000:03:00.*`.
  package var description: String {
    hex(UInt64(segment), 4) + ":" + hex(UInt64(bus), 2) + ":" + (device.map { hex(UInt64($0), 2) } ?? "*") + "."
      + (function.map { hex(UInt64($0), 1) } ?? "*")
  }
}
