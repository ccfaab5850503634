import Model

/// Replaces numbers that have an unmistakable form, in a whole text: UUIDs, hardware addresses, and serial numbers of PCI
/// Express. No JSON escape has such a form.
struct NumberPatterns {
  /// A form: the lengths of its groups of hexadecimal digits, and what is between them.
  private struct Form {
    let groups: [Int]
    let separator: UInt8

    var length: Int { groups.reduce(groups.count - 1, +) }
  }

  private static let forms = [
    Form(groups: [8, 4, 4, 4, 12], separator: UInt8(ascii: "-")),
    Form(groups: [Int](repeating: 2, count: 8), separator: UInt8(ascii: "-")),
    Form(groups: [Int](repeating: 2, count: 6), separator: UInt8(ascii: ":")),
  ]
  /// Numbers that are the same on each host.
  private static let common: Set<String> = [
    PartitionIdentity.firmwareType, "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "00000000-0000-0000-0000-000000000000",
  ]

  /// The numbers that were found, with their substitutes.
  private var substitutes: [String: String] = [:]

  /// Collects the numbers in a text. `kept` are numbers of types, which many hosts have.
  init(in text: [UInt8], keeping kept: Set<String>) {
    var found: Set<String> = []
    Self.visit(text) { range, _ in found.insert(String(decoding: text[range], as: UTF8.self).lowercased()) }
    found.subtract(Self.common)
    found.subtract(kept.map { $0.lowercased() })
    for (index, number) in found.sorted().enumerated() {
      substitutes[number] = Self.substitute(index + 1, like: number)
    }
  }

  /// Returns a number of the same form. A hardware address stays one of a single card.
  private static func substitute(_ number: Int, like original: String) -> String {
    let digits = hex(UInt64(number), 8)
    let pairs = stride(from: 0, to: 8, by: 2).map { String(digits.dropFirst($0).prefix(2)) }
    return switch original.utf8.count {
    case 36: "00000000-0000-4000-8000-0000\(digits)"
    case 23: (["be", "00", "00", "00"] + pairs).joined(separator: "-")
    default: (["02", "00"] + pairs).joined(separator: ":")
    }
  }

  func replacing(in text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var end = 0
    Self.visit(text) { range, _ in
      result += text[end..<range.lowerBound]
      let original = String(decoding: text[range], as: UTF8.self)
      result += Array((substitutes[original.lowercased()] ?? original).utf8)
      end = range.upperBound
    }
    return result + text[end...]
  }

  /// Returns the substitute of one number; the text itself if it is no such number.
  func substitute(for number: String) -> String { substitutes[number.lowercased()] ?? number }

  /// Visits each number that is not a part of a longer run of hexadecimal digits.
  private static func visit(_ text: [UInt8], _ body: (Range<Int>, Form) -> Void) {
    var index = 0
    while index < text.count {
      guard isDigit(text[index]), index == 0 || !isDigit(text[index - 1]),
        let form = forms.first(where: { fits($0, text, at: index) })
      else {
        index += 1
        continue
      }
      body(index..<index + form.length, form)
      index += form.length
    }
  }

  private static func fits(_ form: Form, _ text: [UInt8], at start: Int) -> Bool {
    guard start + form.length <= text.count else { return false }
    var index = start
    for (number, count) in form.groups.enumerated() {
      if number > 0 {
        guard text[index] == form.separator else { return false }
        index += 1
      }
      guard text[index..<index + count].allSatisfy({ isDigit($0) }) else { return false }
      index += count
    }
    return index == text.count || !isDigit(text[index])
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"):
      true
    default: false
    }
  }
}
