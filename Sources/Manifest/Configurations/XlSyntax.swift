/// A value in an xl configuration.
struct XlValue {
  enum Content {
    case text(String)
    case list([XlValue])
  }

  var content: Content
  let mark: SourceMark

  var text: String? { if case .text(let text) = content { text } else { nil } }
}

/// A setting in an xl configuration.
struct XlSetting {
  var value: XlValue
  let mark: SourceMark
  /// Whether `+=` made it. xl then takes it for no number.
  let isAddition: Bool
}

/// Reads the syntax of xl configurations (`libxlu_cfg_l.l` and `libxlu_cfg_y.y`, tools/libs/util, Xen 4.17; the same in
/// 4.20). The last of several settings of one name counts.
///
/// Lines are not shown beside errors, because they may contain passwords.
struct XlReader {
  /// Deeper lists than xl itself has a use for are refused.
  static let deepest = 8

  private enum Token: Equatable {
    case identifier(String)
    case text(String)
    case sign(UInt8)
    /// `+=`.
    case addition
    case newline
    case end
    /// An error was reported.
    case broken
  }

  private let source: SourceText
  private let report: Diagnostics
  private var position = 0
  private var start = 0
  private var token = Token.end
  private(set) var settings: [String: XlSetting] = [:]

  private init(_ source: SourceText, _ report: Diagnostics) { (self.source, self.report) = (source, report) }

  /// Returns the settings by name; none if an error was reported.
  static func settings(in source: SourceText, report: Diagnostics) -> [String: XlSetting]? {
    let errors = report.errorCount
    let probe = Diagnostics()
    var reader = XlReader(source, probe)
    reader.readFile()
    guard !reader.settings.isEmpty else {
      // It may be any file: a file of passwords, or a program.
      report.error(
        hiding: SourceMark(wholeOf: source),
        "this is not an xl configuration: it has no setting such as name = \"web\"",
        hint: nil)
      return nil
    }
    guard probe.hasErrors else { return reader.settings }
    for error in probe.sortedErrors where error.mark != nil {
      report.error(hiding: error.mark ?? SourceMark(wholeOf: source), error.message, hint: error.hint)
    }
    return report.errorCount > errors ? nil : reader.settings
  }

  // MARK: Statements

  private mutating func readFile() {
    advance()
    while token != .end {
      switch token {
      case .newline, .sign(UInt8(ascii: ";")): advance()
      case .identifier(let name): readAssignment(name)
      default: fail("a setting is expected, such as name = \"web\"")
      }
    }
  }

  private mutating func readAssignment(_ name: String) {
    let mark = source.mark(atOffset: start)
    advance()
    let isAddition = token == .addition
    guard isAddition || token == .sign(UInt8(ascii: "=")) else {
      fail("'=' is expected after the name of a setting")
      return
    }
    advance()
    guard let value = readValue(depth: 0) else { return }
    store(name, value, at: mark, isAddition: isAddition)
    switch token {
    case .newline, .sign(UInt8(ascii: ";")), .end: break
    default: fail("the end of the line is expected after a value")
    }
  }

  private mutating func store(_ name: String, _ value: XlValue, at mark: SourceMark, isAddition: Bool) {
    var value = value
    if isAddition, let before = settings[name] {
      switch (before.value.content, value.content) {
      case (.text(let first), .text(let second)): value.content = .text(first + second)
      case (.list(let first), .list(let second)): value.content = .list(first + second)
      default:
        report.error(
          "\(quoted(name)) was \(before.value.text == nil ? "a list" : "a text"), and += adds the other one", at: mark)
      }
    }
    settings[name] = XlSetting(value: value, mark: mark, isAddition: isAddition)
  }

  /// Returns a text or a list; nil if an error was reported.
  private mutating func readValue(depth: Int) -> XlValue? {
    let mark = source.mark(atOffset: start)
    switch token {
    case .text(let text):
      advance()
      return XlValue(content: .text(text), mark: mark)
    case .sign(UInt8(ascii: "[")):
      guard depth < Self.deepest else {
        fail("lists in lists are nested too deeply")
        return nil
      }
      return readList(at: mark, depth: depth)
    case .identifier:
      // The word itself may be a password.
      fail("a text needs quotes")
      return nil
    default:
      fail("a value is expected: a text in quotes, a number, or a list in brackets")
      return nil
    }
  }

  private mutating func readList(at mark: SourceMark, depth: Int) -> XlValue? {
    var values: [XlValue] = []
    advance()
    skipLines()
    while token != .sign(UInt8(ascii: "]")) {
      guard let value = readValue(depth: depth + 1) else { return nil }
      values.append(value)
      skipLines()
      if token == .sign(UInt8(ascii: ",")) {
        advance()
        skipLines()
      } else if token != .sign(UInt8(ascii: "]")) {
        fail("',' or ']' is expected in a list")
        return nil
      }
    }
    advance()
    return XlValue(content: .list(values), mark: mark)
  }

  private mutating func skipLines() { while token == .newline { advance() } }

  /// Reports an error at the token, unless one was reported there, and skips the line as xl does.
  private mutating func fail(_ message: String) {
    if token != .broken {
      report.error(token == .end ? "the text ends too early: \(message)" : message, at: source.mark(atOffset: start))
    }
    guard token != .newline else { return }
    position = source.bytes[position...].firstIndex(of: UInt8(ascii: "\n")) ?? source.bytes.count
    advance()
  }

  // MARK: Tokens

  private func byte(_ offset: Int) -> UInt8? { offset < source.bytes.count ? source.bytes[offset] : nil }

  private mutating func advance() {
    while let next = byte(position), next == UInt8(ascii: " ") || next == UInt8(ascii: "\t") { position += 1 }
    start = position
    guard let first = byte(position) else {
      token = .end
      return
    }
    switch first {
    case UInt8(ascii: "\n"): take(1, .newline)
    case UInt8(ascii: "#"):
      let end = source.bytes[position...].firstIndex(of: UInt8(ascii: "\n"))
      take((end.map { $0 + 1 } ?? source.bytes.count) - position, .newline)
    case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "="), UInt8(ascii: ";"):
      take(1, .sign(first))
    case UInt8(ascii: "+") where byte(position + 1) == UInt8(ascii: "="): take(2, .addition)
    case UInt8(ascii: "'"), UInt8(ascii: "\""): readQuoted(first)
    case UInt8(ascii: "a")...UInt8(ascii: "z"):
      let word = prefix { Self.isLetter($0) || Self.isDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") }
      take(word.utf8.count, .identifier(word))
    case UInt8(ascii: "0")...UInt8(ascii: "9"):
      // The lexer's own pattern: `[0-9][0-9a-fx]*`.
      let word = prefix {
        Self.isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) || $0 == UInt8(ascii: "x")
      }
      take(word.utf8.count, .text(word))
    case UInt8(ascii: "\r"): refuse(1, "a carriage return: xl reads only Unix line ends")
    default: refuse(1, "xl reads no such sign here")
    }
  }

  private mutating func take(_ count: Int, _ token: Token) {
    // What is refused may end beyond the text: a backslash is its last byte, for example.
    position = min(position + count, source.bytes.count)
    self.token = token
  }

  private mutating func refuse(_ count: Int, _ message: String) {
    report.error(message, at: source.mark(atOffset: position))
    take(count, .broken)
  }

  private func prefix(_ belongs: (UInt8) -> Bool) -> String {
    String(decoding: source.bytes[position...].prefix(while: belongs), as: UTF8.self)
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// Reads a text in quotes (`xlu__cfgl_dequote`, libxlu_cfg.c, Xen 4.17).
  private mutating func readQuoted(_ quote: UInt8) {
    var text: [UInt8] = []
    var index = position + 1
    while let next = byte(index), next != quote, next != UInt8(ascii: "\n") {
      index += 1
      guard next == UInt8(ascii: "\\") else {
        text.append(next)
        continue
      }
      guard let escaped = byte(index), let meaning = Self.escapes[escaped] else {
        // xl refuses hexadecimal numbers, and drops octal ones.
        position = index - 1
        refuse(2, "xl knows no such sign after a backslash")
        return
      }
      text.append(meaning)
      index += 1
    }
    guard byte(index) == quote else {
      refuse(index - position, "the text has no end: the quote is not closed on its line")
      return
    }
    guard text.allSatisfy({ $0 < 0x80 }) || String(validating: text, as: UTF8.self) != nil else {
      refuse(index + 1 - position, "the text is not UTF-8")
      return
    }
    take(index + 1 - position, .text(String(decoding: text, as: UTF8.self)))
  }

  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "\""): 0x22, UInt8(ascii: "'"): 0x27, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "a"): 7,
    UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
    UInt8(ascii: "v"): 11,
  ]
}
