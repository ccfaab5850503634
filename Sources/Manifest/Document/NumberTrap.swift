/// Recognises texts that were PCI addresses or ids until a YAML tool read them as numbers.
///
/// YAML 1.1 reads `03:00.0` as the base-60 number 180.0 (yaml.org/type/float.html), and readers of YAML 1.2 read `15e3`
/// as 15000.0. A tool that loads and writes a manifest leaves only the number.
enum NumberTrap {
  /// Returns the address that a base-60 reader would have turned into this number; nil if there is none.
  static func likelyAddress(of text: String) -> String? {
    guard isNumber(text), !text.lowercased().contains("e"), let value = Double(text), (0..<1_000_000).contains(value)
    else { return nil }
    let tenths = Int((value * 10).rounded())
    guard abs(value * 10 - Double(tenths)) < 1e-6 else { return nil }
    let (whole, function) = tenths.quotientAndRemainder(dividingBy: 10)
    // The parts were decimal digits, or the text would not have been a number. Read as hexadecimal they are at most 1f.
    let device = whole % 60
    let bus = whole / 60 % 60
    let segment = whole / 3600
    guard function < 8, device < 20, segment < 10_000 else { return nil }
    return "\(padded(segment, 4)):\(padded(bus, 2)):\(padded(device, 2)).\(function)"
  }

  /// Returns the text with an exponent that a number may have been: `15e3` for 15000.0.
  static func likelyExponent(of text: String) -> String? {
    guard isNumber(text), let value = Double(text), value >= 1000, value < 1e15, value == value.rounded() else {
      return nil
    }
    var mantissa = Int(value)
    var exponent = 0
    while mantissa % 10 == 0, exponent < 9 {
      mantissa /= 10
      exponent += 1
    }
    let result = "\(mantissa)e\(exponent)"
    return exponent > 0 && result.utf8.count == 4 ? result : nil
  }

  /// Returns whether a text has only digits and at most a sign, a fraction and an exponent. JSON and YAML writers print
  /// numbers like this.
  static func isNumber(_ text: String) -> Bool {
    var rest = text.utf8[...]
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    guard takeDigits(&rest) else { return false }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      guard takeDigits(&rest) else { return false }
    }
    if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
      rest = rest.dropFirst()
      if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
      guard takeDigits(&rest) else { return false }
    }
    return rest.isEmpty
  }

  private static func takeDigits(_ rest: inout Substring.UTF8View) -> Bool {
    let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    rest = rest.dropFirst(digits.count)
    return !digits.isEmpty
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
