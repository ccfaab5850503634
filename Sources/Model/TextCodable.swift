/// A value that documents hold as one string.
package protocol TextCodable: Codable, CodingKeyRepresentable {
  /// Reads the string form; returns nil for any other string.
  init?(text: String)
  /// The string form. Reading it returns an equal value.
  var text: String { get }
}

extension TextCodable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Self(text: text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a \(Self.self): \(text)")
    }
    self = value
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }

  package var codingKey: any CodingKey { TextKey(stringValue: text) }

  package init?(codingKey: some CodingKey) { self.init(text: codingKey.stringValue) }
}

/// A document key made from any string.
private struct TextKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

/// Reads an unsigned hexadecimal number of `digits` digits, without sign, prefix or other characters.
@inlinable package func hexadecimal(_ text: some StringProtocol, digits: ClosedRange<Int>) -> UInt64? {
  guard digits.contains(text.utf8.count) else { return nil }
  var value: UInt64 = 0
  for byte in text.utf8 {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt64(byte - UInt8(ascii: "A") + 10)
    default: return nil
    }
  }
  return value
}

/// Reads an unsigned decimal number of at most nine digits, without sign, blanks or other characters.
@inlinable package func decimal(_ text: some StringProtocol) -> Int? {
  guard (1...9).contains(text.utf8.count) else { return nil }
  var value = 0
  for byte in text.utf8 {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
    value = value * 10 + Int(byte - UInt8(ascii: "0"))
  }
  return value
}

/// Returns lower-case hexadecimal, padded with zeros to `width`.
package func hex(_ value: UInt64, _ width: Int) -> String {
  let digits = String(value, radix: 16)
  return digits.utf8.count >= width ? digits : String(repeating: "0", count: width - digits.utf8.count) + digits
}

/// Returns a text as a JSON string with its quotes. Control characters are escaped; all other characters are
/// unchanged.
package func jsonString(_ text: some StringProtocol) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case "\0"..<" ": result += "\\u\(hex(UInt64(scalar.value), 4))"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

/// Returns a text as one word of a shell command: as it stands if no shell reads more into it, otherwise in quotes.
package func shellWord(_ text: String) -> String {
  let isPlain = text.utf8.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    default: "-_./:@%+,=".utf8.contains(byte)
    }
  }
  return isPlain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
}

/// Returns a short digest of a text: sixteen digits that tell texts apart. It is no proof against forgery (FNV-1a, 64 bits).
package func shortDigest(of text: String) -> String {
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
  return hex(hash, 16)
}
