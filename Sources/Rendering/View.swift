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
  /// Text for a page of documentation. Only `berth explain --all` has it.
  case markdown
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
}

extension View {
  package var markdown: String? { nil }
}

/// A form that an answer does not have.
package struct MissingForm: Error {}

/// Writes an answer in one format, ended by a newline.
///
/// Only this function distinguishes formats, so a new format is an error here until it has a form.
/// Throws `MissingForm` if the answer has no Markdown. It also throws the encoder's errors, which no document causes.
package func render(_ view: some View, as format: OutputFormat, style: TextStyle) throws -> TerminalText {
  switch format {
  case .table: return view.text(style)
  case .wide:
    var style = style
    style.isVerbose = true
    return view.text(style)
  case .markdown:
    guard let markdown = view.markdown else { throw MissingForm() }
    // The catalogue, which has no text from outside.
    return TerminalText(own: markdown)
  case .json: return try json(view.document, isIndented: true)
  case .jsonl: return try json(view.document, isIndented: false)
  }
}

/// Returns a document with its head, ended by a newline, on one line unless it is indented. Throws what the encoder
/// throws.
func json(_ document: some VersionedDocument, isIndented: Bool) throws -> TerminalText {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  if isIndented { encoder.outputFormatting.insert(.prettyPrinted) }
  return TerminalText(json: String(decoding: try encoder.encode(WithHead(document)), as: UTF8.self)) + "\n"
}
