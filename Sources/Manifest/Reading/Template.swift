/// Reports a placeholder that no tool has filled in; returns whether the node is one.
func reportTemplate(_ node: YAMLNode, _ name: String, _ report: Diagnostics) -> Bool {
  guard let text = Template.placeholder(of: node) else { return false }
  report.error(
    "\(name): \(quoted(text)) is a placeholder that no tool has filled in", at: node.mark, hint: Template.hint)
  return true
}

/// The marks of the usual template languages: Jinja and Go, shells, ERB, Terraform.
enum Template {
  static let hint = "give Berth the text that the template makes, not the template"
  private static let marks = Set(
    ["{{", "}}", "{%", "%}", "${", "$(", "<%", "%>", "%{"].map { $0.utf8.reduce(0) { $0 << 8 | UInt16($1) } })

  /// Returns whether a text has a mark, after one pass over its bytes.
  static func isMarked(_ text: String) -> Bool {
    var pair: UInt16 = 0
    for byte in text.utf8 {
      pair = pair << 8 | UInt16(byte)
      if marks.contains(pair) { return true }
    }
    return false
  }

  /// Returns the text of a node that has a template's mark; nil if it has none.
  static func placeholder(of node: YAMLNode) -> String? {
    switch node.content {
    case .scalar(let scalar):
      // Almost every text ends here.
      let isSuspect = scalar.text.utf8.contains { byte in
        byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "$") || byte == UInt8(ascii: "%")
      }
      return isSuspect && isMarked(scalar.text) ? scalar.text : nil
    case .mapping(let pairs):
      // `{{ name }}` without quotes is a mapping with a mapping as its key. The source has it as it is written.
      guard case .mapping? = pairs.first?.key.content else { return nil }
      let text = node.mark.source.text(from: node.mark, atMost: 64)
      guard text.hasPrefix("{{") else { return nil }
      return text.firstRange(of: "}}").map { String(text[..<$0.upperBound]) } ?? text
    case .sequence: return nil
    }
  }
}

/// Reports quotes of a word processor around a text, which YAML takes for a part of it; returns whether there are any.
func reportTypographicQuotes(_ scalar: YAMLScalar, _ name: String, at mark: SourceMark, _ report: Diagnostics) -> Bool {
  guard scalar.isPlain, scalar.text.utf8.first ?? 0 >= 0x80, let first = scalar.text.first,
    typographicQuotes.contains(first)
  else { return false }
  let rest = scalar.text.dropFirst()
  let plain = rest.last.map(typographicQuotes.contains) == true ? rest.dropLast() : rest
  report.error(
    "\(name): \(quoted(scalar.text)) has typographic quotes, which are part of the text in YAML", at: mark,
    hint: "write plain quotes: \"\(plain)\"")
  return true
}

private let typographicQuotes: Set<Character> = ["“", "”", "„", "‟", "‘", "’", "‚", "‛", "«", "»", "‹", "›"]
