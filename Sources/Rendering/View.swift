import FoundationEssentials

/// The forms an answer can have.
package enum OutputFormat: String, Sendable, CaseIterable {
  /// Text for people; it may change in any release.
  case table
  /// A versioned document for programs.
  case json
  /// Versioned documents for programs, one per line; of a command that reports as it goes, one per event.
  case jsonl
}

/// An answer that can be shown in every format.
package protocol View {
  associatedtype Document: VersionedDocument
  /// The answer for people, ended by a newline.
  func text(_ style: TextStyle) -> String
  /// The answer for programs.
  var document: Document { get }
}

/// Writes an answer in one format, ended by a newline.
///
/// This is the only place that tells formats apart: a new one is an error here until it is given a form.
/// Throws what the encoder throws, for which none of the documents gives a cause.
package func render(_ view: some View, as format: OutputFormat, style: TextStyle) throws -> String {
  switch format {
  case .table: return view.text(style)
  case .json, .jsonl:
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if format == .json { encoder.outputFormatting.insert(.prettyPrinted) }
    return String(decoding: try encoder.encode(WithHead(view.document)), as: UTF8.self) + "\n"
  }
}
