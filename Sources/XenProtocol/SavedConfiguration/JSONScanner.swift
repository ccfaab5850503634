import Model

/// Reads JSON text without changing it, and returns the place of each thing that it finds.
///
/// It accepts what yajl accepts with its default options, which libxl uses (`libxl__json_parse`,
/// tools/libs/light/libxl_json.c, Xen 4.17): no comments, no trailing commas, valid UTF-8. Nesting is limited.
struct JSONScanner {
  /// Far more than the six levels of a domain's configuration, and far less than the stack can hold.
  static let deepest = 64

  /// A value's kind and position.
  struct Value {
    enum Kind { case object, array, string, number, boolean, null }
    var kind: Kind
    var range: Range<Int>
  }

  /// A key of an object, with its value.
  struct Member {
    var name: String
    /// The position of the key's opening quotation mark.
    var start: Int
    var value: Value
  }

  private let bytes: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ bytes: ArraySlice<UInt8>, at position: Int? = nil) {
    self.bytes = bytes
    self.position = position ?? bytes.startIndex
  }

  // MARK: Whole values

  /// Checks the value at this position, to its end.
  mutating func skipValue(depth: Int = 0) throws(SavedConfigurationError) -> Value {
    skipBlanks()
    let start = position
    guard depth < Self.deepest else { throw failure("is nested too deeply") }
    let kind: Value.Kind
    switch peek {
    case UInt8(ascii: "{"):
      kind = .object
      try forEachMember(depth: depth) { _ in }
    case UInt8(ascii: "["):
      kind = .array
      try forEachElement(depth: depth) { _ in }
    case UInt8(ascii: "\""):
      kind = .string
      _ = try string()
    case UInt8(ascii: "t"):
      kind = .boolean
      try word("true")
    case UInt8(ascii: "f"):
      kind = .boolean
      try word("false")
    case UInt8(ascii: "n"):
      kind = .null
      try word("null")
    default:
      kind = .number
      try number()
    }
    return Value(kind: kind, range: start..<position)
  }

  /// Checks the object at this position, and passes its members to the closure in their order.
  mutating func forEachMember(
    depth: Int = 0, _ body: (Member) throws(SavedConfigurationError) -> Void
  ) throws(SavedConfigurationError) {
    try expect("{")
    skipBlanks()
    if take("}") { return }
    repeat {
      skipBlanks()
      let start = position
      let name = try string()
      skipBlanks()
      try expect(":")
      try body(Member(name: name, start: start, value: skipValue(depth: depth + 1)))
      skipBlanks()
    } while take(",")
    try expect("}")
  }

  /// Checks the array at this position, and passes its elements to the closure in their order.
  mutating func forEachElement(
    depth: Int = 0, _ body: (Value) throws(SavedConfigurationError) -> Void
  ) throws(SavedConfigurationError) {
    try expect("[")
    skipBlanks()
    if take("]") { return }
    repeat {
      try body(skipValue(depth: depth + 1))
      skipBlanks()
    } while take(",")
    try expect("]")
  }

  /// Checks that only blanks remain.
  mutating func expectEnd() throws(SavedConfigurationError) {
    skipBlanks()
    if position != bytes.endIndex { throw failure("continues after its end") }
  }

  // MARK: Simple values

  /// Returns the text of the string at this position, with escapes resolved. Half a surrogate pair becomes U+FFFD.
  mutating func string() throws(SavedConfigurationError) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while let byte = peek {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): try appendEscape(to: &text)
      case 0..<0x20: throw failure("has a control character in a string")
      default: text.append(byte)
      }
    }
    throw failure("ends inside a string")
  }

  private mutating func appendEscape(to text: inout [UInt8]) throws(SavedConfigurationError) {
    guard let byte = peek else { throw failure("ends inside a string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var unit = try codeUnit()
      if unit & 0xFC00 == 0xD800, peek == UInt8(ascii: "\\"), position + 1 < bytes.endIndex,
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = try codeUnit()
        unit = low & 0xFC00 == 0xDC00 ? 0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF : 0xFFFD
      }
      text += Array(String(Character(Unicode.Scalar(unit) ?? "\u{FFFD}")).utf8)
    default: throw failure("has an unknown escape in a string")
    }
  }

  private mutating func codeUnit() throws(SavedConfigurationError) -> UInt32 {
    guard position + 4 <= bytes.endIndex,
      let unit = hexadecimal(String(decoding: bytes[position..<position + 4], as: UTF8.self), digits: 4...4)
    else { throw failure("has an unknown escape in a string") }
    position += 4
    return UInt32(unit)
  }

  private mutating func number() throws(SavedConfigurationError) {
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits()
    }
  }

  private mutating func digits() throws(SavedConfigurationError) {
    let start = position
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    if position == start { throw failure("lacks a value") }
  }

  private mutating func word(_ word: StaticString) throws(SavedConfigurationError) {
    for byte in String(describing: word).utf8 {
      guard peek == byte else { throw failure("has an unknown word") }
      position += 1
    }
  }

  // MARK: Bytes

  private var peek: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

  private mutating func skipBlanks() {
    while let byte = peek, byte == 0x20 || (0x09...0x0D).contains(byte) { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(SavedConfigurationError) {
    if !take(character) { throw failure("lacks `\(character)`") }
  }

  private func failure(_ what: String) -> SavedConfigurationError {
    SavedConfigurationError("is not valid JSON: it \(what) at byte \(position)")
  }
}
