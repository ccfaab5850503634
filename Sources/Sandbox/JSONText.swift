import Model

/// A JSON value as QEMU and libxl write it: members keep their order, numbers keep their text.
indirect enum JSONText: Sendable {
  case null
  case bool(Bool)
  case number(String)
  case text(String)
  case array([JSONText])
  case object([(name: String, value: JSONText)])

  static func integer(_ value: some BinaryInteger) -> JSONText { .number(String(value)) }

  var string: String? { if case .text(let text) = self { text } else { nil } }

  /// The value on one line, with a blank after each colon and comma (QEMU's `qobject_to_json`).
  var description: String {
    switch self {
    case .null: return "null"
    case .bool(let isTrue): return isTrue ? "true" : "false"
    case .number(let digits): return digits
    case .text(let text): return jsonString(text)
    case .array(let values): return "[" + values.map(\.description).joined(separator: ", ") + "]"
    case .object(let members):
      return "{" + members.map { jsonString($0.name) + ": " + $0.value.description }.joined(separator: ", ") + "}"
    }
  }
}

/// Reads one JSON text. Its failures have the texts of QEMU's parser (qobject/json-parser.c, 7.2).
struct JSONTextReader {
  struct Failure: Error { let text: String }

  private static let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
  /// QEMU's own limit (`MAX_NESTING`, qobject/json-streamer.c).
  private static let deepest = 1024

  private let bytes: [UInt8]
  private var position = 0

  /// Returns the value at the start of `bytes`, and ignores what follows.
  static func read(_ bytes: [UInt8]) throws(Failure) -> JSONText {
    var reader = JSONTextReader(bytes: bytes)
    return try reader.value(depth: 0)
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  /// Returns how many of `bytes` belong to the first message. An object or array ends at its last bracket, anything
  /// else at the end of the line.
  ///
  /// Returns nil if more bytes must come.
  static func length(ofFirstIn bytes: [UInt8]) -> Int? {
    guard let start = bytes.firstIndex(where: { !blanks.contains($0) }) else { return nil }
    guard bytes[start] == UInt8(ascii: "{") || bytes[start] == UInt8(ascii: "[") else {
      return bytes[start...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
    }
    var depth = 0
    var isText = false
    var isEscaped = false
    for index in start..<bytes.count {
      let byte = bytes[index]
      if isEscaped { isEscaped = false; continue }
      switch byte {
      case UInt8(ascii: "\\") where isText: isEscaped = true
      case UInt8(ascii: "\""): isText.toggle()
      case UInt8(ascii: "{") where !isText, UInt8(ascii: "[") where !isText: depth += 1
      case UInt8(ascii: "}") where !isText, UInt8(ascii: "]") where !isText: depth -= 1
      default: continue
      }
      if depth == 0, !isText { return index + 1 }
    }
    return nil
  }

  private mutating func next() -> UInt8? {
    while position < bytes.count, Self.blanks.contains(bytes[position]) { position += 1 }
    return position < bytes.count ? bytes[position] : nil
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(Failure) -> JSONText {
    guard depth < Self.deepest else { throw Failure(text: "JSON nesting depth limit exceeded") }
    switch next() {
    case nil: throw Failure(text: "JSON parse error, expecting value")
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .text(try text())
    case let byte?: return try word(byte)
    }
  }

  private mutating func object(depth: Int) throws(Failure) -> JSONText {
    position += 1
    var members: [(name: String, value: JSONText)] = []
    if take("}") { return .object(members) }
    repeat {
      guard next() == UInt8(ascii: "\"") else { throw Failure(text: "JSON parse error, key is not a string in object") }
      let name = try text()
      guard take(":") else { throw Failure(text: "JSON parse error, missing : in object pair") }
      members.append((name, try value(depth: depth + 1)))
    } while take(",")
    guard take("}") else { throw Failure(text: "JSON parse error, expected separator in dict") }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(Failure) -> JSONText {
    position += 1
    var values: [JSONText] = []
    if take("]") { return .array(values) }
    repeat { values.append(try value(depth: depth + 1)) } while take(",")
    guard take("]") else { throw Failure(text: "JSON parse error, expected separator in list") }
    return .array(values)
  }

  private mutating func text() throws(Failure) -> String {
    position += 1
    var found: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == UInt8(ascii: "\"") { return String(decoding: found, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\"), position < bytes.count else { found.append(byte); continue }
      let escaped = bytes[position]
      position += 1
      switch escaped {
      case UInt8(ascii: "n"): found.append(0x0A)
      case UInt8(ascii: "r"): found.append(0x0D)
      case UInt8(ascii: "t"): found.append(0x09)
      case UInt8(ascii: "b"): found.append(0x08)
      case UInt8(ascii: "f"): found.append(0x0C)
      case UInt8(ascii: "u"):
        let digits = String(decoding: bytes[position..<min(position + 4, bytes.count)], as: UTF8.self)
        guard let code = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(code) else {
          throw Failure(text: "JSON parse error, invalid hex escape '\\u\(digits)' in string")
        }
        position += 4
        found += String(Character(scalar)).utf8
      default: found.append(escaped)
      }
    }
    throw Failure(text: "JSON parse error, unterminated string")
  }

  /// Reads a number or one of the three words; throws for anything else.
  private mutating func word(_ first: UInt8) throws(Failure) -> JSONText {
    let start = position
    while position < bytes.count, let scalar = Unicode.Scalar(UInt32(bytes[position])),
      scalar.properties.isAlphabetic || scalar.properties.numericType != nil || "+-._".unicodeScalars.contains(scalar)
    { position += 1 }
    let found = String(decoding: bytes[start..<position], as: UTF8.self)
    switch found {
    case "null": return .null
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "": break
    default:
      if Double(found) != nil { return .number(found) }
      if found.utf8.allSatisfy({ $0 >= 0x61 && $0 <= 0x7A }) {
        throw Failure(text: "JSON parse error, invalid keyword '\(found)'")
      }
    }
    if ":,]}".utf8.contains(first) { throw Failure(text: "JSON parse error, expecting value") }
    throw Failure(text: "JSON parse error, stray '\(Unicode.Scalar(first))'")
  }
}
