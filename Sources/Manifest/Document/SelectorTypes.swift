import Model

// What a manifest can say of a device, besides its address and its id.

extension ValueType where Value == PCIPath {
  static var path: ValueType {
    .parsed(
      expected: "a path through bridges such as 00_1c.4-00_00.0",
      schema: .members([
        "type": .string("string"),
        "pattern": .string(
          "^([0-9a-fA-F]{4,8}_)?[0-9a-fA-F]{2}_[01][0-9a-fA-F]\\.[0-7](-[0-9a-fA-F]{2}_[01][0-9a-fA-F]\\.[0-7])*$"),
      ]),
      explain: { text in
        PCIAddress(text) == nil
          ? nil : ("\(quoted(text)) is an address, not a path", "`berth devices -o wide` prints the path")
      }
    ) { PCIPath($0) }
  }
}

extension ValueType where Value == MACAddress {
  static var mac: ValueType {
    .parsed(
      expected: "a card's hardware address such as 52:54:00:12:34:56",
      schema: .members(["type": .string("string"), "pattern": .string("^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$")]),
      explain: { text in
        MACAddress(text).map { _ in
          ("\(quoted(text)) is empty, or a group's address: it identifies no card", "give the card's own address")
        }
      }
    ) { MACAddress($0).flatMap { $0.isIdentity ? $0 : nil } }
  }
}

extension ValueType where Value == ClassPrefix {
  static var deviceClass: ValueType {
    .parsed(
      expected: "the first 2, 4 or 6 digits of a class, such as 0200",
      schema: .members([
        "type": .string("string"), "pattern": .string("^([0-9a-fA-F]{2}|[0-9a-fA-F]{4}|[0-9a-fA-F]{6})$"),
      ])
    ) { ClassPrefix($0) }
  }
}

extension ValueType where Value == UInt8 {
  static var revision: ValueType {
    .parsed(
      expected: "a revision of two hexadecimal digits such as 03",
      schema: .members(["type": .string("string"), "pattern": .string("^[0-9a-fA-F]{2}$")])
    ) { hexadecimal($0, digits: 2...2).map { UInt8($0) } }
  }
}

extension ValueType where Value == String {
  /// A serial number of PCI Express. One of only zeros or ones is on every card of its type.
  static var serial: ValueType {
    .parsed(
      expected: "a serial number as berth devices prints it, such as a0-36-9f-ff-ff-12-34-56",
      schema: .members(["type": .string("string"), "pattern": .string("^[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){7}$")]),
      explain: { text in
        serialNumber(text).map { _ in
          ("\(quoted(text)) identifies no card", "cards without a serial number have only zeros or ones there")
        }
      }
    ) { text in
      serialNumber(text).flatMap { $0 == 0 || $0 == .max ? nil : text.lowercased() }
    }
  }

  /// The serial number of an NVMe controller: 20 bytes at most (NVM Express Base Specification, Identify Controller).
  static var nvmeSerial: ValueType {
    .parsed(
      expected: "an NVMe serial number of at most 20 characters",
      schema: .members(["type": .string("string"), "pattern": .string("^[!-~]([ -~]{0,18}[!-~])?$")]),
      explain: { text in
        isWritten(text, atMost: 20) ? ("\(quoted(text)) identifies no device", "it has only zeros") : nil
      }
    ) { text in isWritten(text, atMost: 20) && text.contains { $0 != "0" } ? text : nil }
  }

  /// The label of a slot, as `/sys/bus/pci/slots` has it.
  static var slotLabel: ValueType {
    .parsed(
      expected: "the label of a slot, as /sys/bus/pci/slots has it",
      schema: .members(["type": .string("string"), "pattern": .string("^[!-.0-~]([ -.0-~]{0,62}[!-.0-~])?$")])
    ) { text in isWritten(text, atMost: 64) && !text.contains("/") ? text : nil }
  }
}

/// Returns whether a text has visible ASCII characters, up to this limit, with blanks only between them.
private func isWritten(_ text: String, atMost limit: Int) -> Bool {
  let bytes = text.utf8
  guard let first = bytes.first, let last = bytes.last, bytes.count <= limit, first != 0x20, last != 0x20 else {
    return false
  }
  return bytes.allSatisfy { (0x20...0x7E).contains($0) }
}
