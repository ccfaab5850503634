/// Reports a placeholder that no tool has filled in; returns whether the node is one.
///
/// `{{ name }}` without quotes is a mapping to YAML, so the source decides.
func reportTemplate(_ node: YAMLNode, _ name: String, _ report: Diagnostics) -> Bool {
  let text: String
  switch node.content {
  case .scalar(let scalar): text = scalar.text
  case .mapping: text = node.mark.source.text(from: node.mark, atMost: 64)
  case .sequence: return false
  }
  var isMapping = false
  if case .mapping = node.content { isMapping = true }
  guard isMapping ? text.hasPrefix("{{") : Template.isIn(text) else { return false }
  report.error(
    "\(name): \(quoted(isMapping ? Template.first(in: text) : text)) is a placeholder that no tool has filled in",
    at: node.mark, hint: Template.hint)
  return true
}

/// The marks of the usual template languages: Jinja and Go, shells, ERB, Terraform.
enum Template {
  static let hint = "give Berth the text that the template makes, not the template"
  private static let marks = ["{{", "}}", "{%", "%}", "${", "$(", "<%", "%>", "%{"]

  /// Returns whether a text has a template's mark.
  static func isIn(_ text: some StringProtocol) -> Bool { marks.contains { text.contains($0) } }

  /// Returns the part of a text up to the end of its first placeholder.
  static func first(in text: String) -> String {
    text.firstRange(of: "}}").map { String(text[..<$0.upperBound]) } ?? text
  }
}

/// Reports quotes of a word processor around a text, which YAML takes for a part of it; returns whether there are any.
func reportTypographicQuotes(_ scalar: YAMLScalar, _ name: String, at mark: SourceMark, _ report: Diagnostics) -> Bool {
  guard scalar.isPlain, let first = scalar.text.first, typographicQuotes.contains(first) else { return false }
  let rest = scalar.text.dropFirst()
  let plain = rest.last.map(typographicQuotes.contains) == true ? rest.dropLast() : rest
  report.error(
    "\(name): \(quoted(scalar.text)) has typographic quotes, which are part of the text in YAML", at: mark,
    hint: "write plain quotes: \"\(plain)\"")
  return true
}

private let typographicQuotes: Set<Character> = ["“", "”", "„", "‟", "‘", "’", "‚", "‛", "«", "»", "‹", "›"]
