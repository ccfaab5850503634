import FoundationEssentials
package import Model

/// The forms an answer can have.
package enum OutputFormat: String, Sendable, CaseIterable {
  /// Text for people; it may change in any release.
  case table
  /// The same with everything that is known. Only `berth devices` has it.
  case wide
  /// A versioned document for programs.
  case json
  /// Versioned documents for programs, one per line; of a command that reports as it goes, one per event.
  case jsonl
  /// Text for a page of documentation or for a comment. `berth explain --all`, `plan` and `validate` have it.
  case markdown
  /// A page of its own. This and the following are forms of `plan` and `validate`.
  case html
  /// Commands of GitHub's runner.
  case github
  /// A log of SARIF 2.1.0.
  case sarif
  /// GitLab's report of code quality.
  case gitlab
  /// The three numbers that GitLab shows of a plan. Only `plan` has it.
  case gitlabSummary = "gitlab-summary"
  /// A report of tests. Only `plan` has it.
  case junit
}

extension OutputFormat {
  /// Whether the form of a plan has its fingerprint, which costs one more question to the host.
  package var hasFingerprint: Bool {
    switch self {
    case .json, .jsonl, .markdown: true
    case .table, .wide, .html, .github, .sarif, .gitlab, .gitlabSummary, .junit: false
    }
  }
}

/// An answer that can be shown in every format.
package protocol View {
  associatedtype Document: VersionedDocument
  /// The answer for people, ended by a newline.
  func text(_ style: TextStyle) -> TerminalText
  /// The answer for programs.
  var document: Document { get }
  /// The answer for a page of documentation, ended by a newline; nil if it has no such form.
  var markdown: String? { get }
  /// Returns the answer as another program shows it, ended by a newline; nil if the answer has no such form. `release` is
  /// Berth's version. Throws the encoder's errors, which no document causes.
  func preview(_ form: PreviewForm, release: String) throws -> TerminalText?
}

extension View {
  package var markdown: String? { nil }
  package func preview(_ form: PreviewForm, release: String) throws -> TerminalText? { nil }
}

/// A form that an answer does not have.
package struct MissingForm: Error {}

/// Writes an answer in one format, ended by a newline.
///
/// Only this function distinguishes formats, so a new format is an error here until it has a form.
/// Throws `MissingForm` if the answer does not have the form. It also throws the encoder's errors, which no document
/// causes.
package func render(
  _ view: some View, as format: OutputFormat, style: TextStyle, release: String = ""
) throws -> TerminalText {
  func preview(_ form: PreviewForm) throws -> TerminalText {
    guard let text = try view.preview(form, release: release) else { throw MissingForm() }
    return text
  }
  switch format {
  case .table: return view.text(style)
  case .wide:
    var style = style
    style.isVerbose = true
    return view.text(style)
  case .markdown:
    guard let markdown = view.markdown else { return try preview(.markdown) }
    // The catalogue, which has no text from outside.
    return TerminalText(own: markdown)
  case .html: return try preview(.html)
  case .github: return try preview(.github)
  case .sarif: return try preview(.sarif)
  case .gitlab: return try preview(.gitlab)
  case .gitlabSummary: return try preview(.gitlabSummary)
  case .junit: return try preview(.junit)
  case .json: return try json(view.document, isIndented: true)
  case .jsonl: return try json(view.document, isIndented: false)
  }
}

/// Returns a document with its head, ended by a newline, on one line unless it is indented. Throws what the encoder
/// throws.
func json(_ document: some VersionedDocument, isIndented: Bool) throws -> TerminalText {
  try json(WithHead(document), isIndented: isIndented)
}

/// Returns a value of another program's format, ended by a newline. Throws what the encoder throws.
func json(_ value: some Encodable, isIndented: Bool = true) throws -> TerminalText {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  if isIndented { encoder.outputFormatting.insert(.prettyPrinted) }
  return TerminalText(json: String(decoding: try encoder.encode(value), as: UTF8.self)) + "\n"
}
