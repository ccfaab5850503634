import Model

/// The vital product data of a device: its name, its part number, its serial number (PCI Local Bus Specification 3.0,
/// appendix I).
struct VitalProductData {
  /// The most that the kernel shows (`PCI_VPD_MAX_SIZE`, Linux drivers/pci/vpd.c, 6.1).
  static let mostBytes = 32 << 10

  private(set) var data = ProductData()

  /// Reads what is there. What is cut short, or not understood, ends it.
  init(_ bytes: [UInt8]) {
    var position = 0
    while position < bytes.count {
      let tag = bytes[position]
      // A small item has its length in three bits, and only the end is one.
      guard tag & 0x80 != 0, position + 3 <= bytes.count else { return }
      let length = Int(bytes[position + 1]) | Int(bytes[position + 2]) << 8
      let start = position + 3
      guard start + length <= bytes.count else { return }
      let content = bytes[start..<start + length]
      switch tag & 0x7F {
      case 0x02: data.name = Self.text(content)
      case 0x10: readFields(content)
      default: break
      }
      position = start + length
    }
  }

  /// Reads keywords of two characters, each with a length and a value.
  private mutating func readFields(_ content: ArraySlice<UInt8>) {
    var rest = content
    while rest.count >= 3 {
      let keyword = String(decoding: rest.prefix(2), as: UTF8.self)
      let length = Int(rest[rest.startIndex + 2])
      rest = rest.dropFirst(3)
      guard rest.count >= length else { return }
      let value = rest.prefix(length)
      rest = rest.dropFirst(length)
      switch keyword {
      case "PN": data.partNumber = Self.text(value)
      case "SN": data.serial = Self.text(value)
      default: break
      }
    }
  }

  /// Returns a text of visible characters without blanks at its ends; nil if it is none.
  private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
    var rest = bytes
    while let last = rest.last, last == 0 || last == 0x20 { rest.removeLast() }
    while rest.first == 0x20 { rest.removeFirst() }
    guard !rest.isEmpty, rest.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
    return String(decoding: rest, as: UTF8.self)
  }
}
