/// Text that a terminal or a log shows as it is: Berth's own words, and texts from outside made `visible`.
///
/// The only type that Berth writes to a standard stream. A literal is Berth's own, with its line ends. Each value in an
/// interpolation is from outside, unless it is terminal text itself. So a name can neither steer a terminal nor begin a
/// line.
package struct TerminalText: Hashable, Sendable, CustomStringConvertible {
  /// The text as it is written.
  package private(set) var description: String

  /// Makes a text from outside visible.
  package init(_ outside: some StringProtocol) { description = visible(outside) }

  /// Takes a text of several lines that contains only words of Berth's own, such as the help.
  package init(own text: String) { description = text }

  /// Takes a JSON document, and escapes each character in its strings that is not visible. Its values stay the same.
  package init(json text: String) {
    description = text
    let isPlain = text.utf8.allSatisfy { byte in
      (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "#") || byte == UInt8(ascii: "\n")
    }
    if isPlain { return }
    description = ""
    let scalars = text.unicodeScalars
    for index in scalars.indices {
      let scalar = scalars[index]
      if scalar == "\n" || scalar.isVisible && !(scalar == "#" && isCommand(scalars[index...])) {
        description.unicodeScalars.append(scalar)
      } else {
        // Such a character is in a string, because JSON's own signs and blanks are visible.
        for unit in UTF16.encode(scalar).map(Array.init) ?? [] { description += "\\u" + hex(UInt64(unit), 4) }
      }
    }
  }

  /// Returns this many blanks; none if the number is negative.
  package static func blanks(_ count: Int) -> TerminalText {
    TerminalText(own: String(repeating: " ", count: max(0, count)))
  }

  package var isEmpty: Bool { description.isEmpty }

  /// The number of columns that a terminal uses for the text, if the text is one line without colours.
  package var columns: Int { Model.columns(of: description) }

  /// Returns a line that uses at most this many columns: the whole line, or its beginning with `ending` behind it.
  package func cut(to limit: Int, ending: TerminalText) -> TerminalText {
    TerminalText(own: Model.cut(description, to: limit, ending: ending.description))
  }

  /// Returns the line with blanks behind it, so that it uses at least this many columns.
  package func padded(to width: Int) -> TerminalText { self + .blanks(width - columns) }

  /// Returns the line without the blanks at its end.
  package var trimmed: TerminalText {
    var text = description[...]
    while text.last == " " { text.removeLast() }
    return TerminalText(own: String(text))
  }

  /// Returns the text with each character that is not ASCII replaced: by what `forms` has for it, or by its number.
  package func ascii(_ forms: [Unicode.Scalar: String]) -> TerminalText {
    guard description.utf8.contains(where: { $0 >= 0x80 }) else { return self }
    return TerminalText(
      own: description.unicodeScalars.map { scalar in
        scalar.isASCII ? String(scalar) : forms[scalar] ?? "\\u{\(String(scalar.value, radix: 16))}"
      }.joined())
  }

  package static func + (left: TerminalText, right: TerminalText) -> TerminalText {
    TerminalText(own: left.description + right.description)
  }

  package static func += (left: inout TerminalText, right: TerminalText) { left.description += right.description }
}

extension TerminalText: ExpressibleByStringInterpolation {
  package init(stringLiteral value: String) { self.init(own: value) }

  package init(stringInterpolation: StringInterpolation) { self.init(own: stringInterpolation.text) }

  /// Collects the parts of a literal.
  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    package init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

    package mutating func appendLiteral(_ literal: String) { text += literal }

    package mutating func appendInterpolation(_ part: TerminalText) { text += part.description }

    package mutating func appendInterpolation(_ outside: some CustomStringConvertible) {
      text += visible(outside.description)
    }
  }
}

extension Sequence<TerminalText> {
  /// Returns the texts in their order, with a separator between them.
  package func joined(_ separator: TerminalText = "") -> TerminalText {
    var result: TerminalText = ""
    var isFirst = true
    for part in self {
      if !isFirst { result += separator }
      isFirst = false
      result += part
    }
    return result
  }
}
