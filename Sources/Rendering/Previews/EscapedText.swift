import Model

/// How one form of output writes a text from outside, so that no program takes a part of the text for its own signs.
protocol Escape: Sendable {
  /// Returns the text in this form. The text is `visible` already, so it is one line.
  static func escaped(_ outside: String) -> String
}

/// Text in one form of output: Berth's own words and signs, and texts from outside as the form writes them.
///
/// A literal is Berth's own. Each value in an interpolation is from outside, unless it is text of the same form. Text of
/// another form does not compile here.
struct EscapedText<Form: Escape>: Hashable, Sendable {
  /// The text as it is written.
  private(set) var description: String

  /// Writes a text from outside in this form.
  init(_ outside: some StringProtocol) { description = Form.escaped(visible(outside)) }

  fileprivate init(own text: String) { description = text }

  /// The text for a standard stream. Each part from outside is visible.
  var output: TerminalText { TerminalText(own: description) }

  /// The number of UTF-16 units. No program that limits characters counts more of them.
  var length: Int { description.utf16.count }

  var isEmpty: Bool { description.isEmpty }

  static func + (left: Self, right: Self) -> Self { Self(own: left.description + right.description) }

  static func += (left: inout Self, right: Self) { left.description += right.description }
}

extension EscapedText: ExpressibleByStringInterpolation {
  init(stringLiteral value: String) { self.init(own: value) }

  init(stringInterpolation: StringInterpolation) { self.init(own: stringInterpolation.text) }

  /// Collects the parts of a literal.
  struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

    mutating func appendLiteral(_ literal: String) { text += literal }

    mutating func appendInterpolation(_ part: EscapedText) { text += part.description }

    mutating func appendInterpolation(_ outside: String) { text += EscapedText(outside).description }

    mutating func appendInterpolation(_ number: Int) { text += String(number) }
  }
}

extension EscapedText: Encodable {
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension Sequence {
  /// Returns the texts in their order, with a separator between them.
  func joined<Form: Escape>(_ separator: EscapedText<Form> = "") -> EscapedText<Form>
  where Element == EscapedText<Form> {
    EscapedText(own: map(\.description).joined(separator: separator.description))
  }
}

extension MarkdownText {
  /// Returns a block of code, whose lines no Markdown is read in; empty without lines. Each line must begin with a sign of
  /// Berth's own, so that none can end the block.
  static func block(_ language: StaticString, _ lines: [BlockLine]) -> MarkdownText {
    if lines.isEmpty { return "" }
    return MarkdownText(own: "```\(language)\n" + lines.map { $0.description + "\n" }.joined() + "```\n")
  }

  /// Returns a text from outside as code, whatever its words are; empty if it is empty.
  static func code(_ outside: String) -> MarkdownText { MarkdownText(own: MarkdownProse.code(visible(outside))) }

  /// Returns the head of a table, ended by a newline.
  static func tableHead(_ columns: [StaticString]) -> MarkdownText {
    MarkdownText(
      own: "| " + columns.map { "\($0)" }.joined(separator: " | ") + " |\n"
        + "|" + columns.map { _ in "---|" }.joined() + "\n")
  }

  /// Returns a row of a table, ended by a newline. A bar would end a cell even in code, and a backslash before the bar
  /// does not help behind another backslash (GitHub Flavored Markdown 0.29, "Tables"). So the bar stands as its number.
  static func tableRow(_ cells: [String]) -> MarkdownText {
    let texts = cells.map { MarkdownProse.escaped(visible($0).replacing("|", with: "\\u{7c}")) }
    return MarkdownText(own: "| " + texts.joined(separator: " | ") + " |\n")
  }

  /// Returns a comment that no page shows, for a program that looks for it.
  static func marker(_ name: StaticString, _ values: KeyValuePairs<String, String>) -> MarkdownText {
    MarkdownText(
      own: "<!-- \(name) " + values.map { "\($0.key)=\(PlainWord.escaped($0.value)) " }.joined() + "-->\n")
  }
}

extension WorkflowText {
  /// A property of a command; one without a value is left out.
  struct Property {
    let key: StaticString
    let value: String?
  }

  /// Returns one command of GitHub's runner, ended by a newline.
  static func command(
    _ name: String, _ properties: [Property], _ message: WorkflowText
  ) -> WorkflowText {
    let list = properties.compactMap { property in
      property.value.map { "\(property.key)=\(WorkflowProperty.escaped(visible($0)))" }
    }
    return WorkflowText(
      own: "::\(name)" + (list.isEmpty ? "" : " " + list.joined(separator: ",")) + "::\(message.description)\n")
  }
}
