import Planning
import XenProtocol

/// Names with their explanations, for people and for programs.
package struct ExplanationView: View {
  /// How much text people get per name.
  package enum Detail: Sendable {
    /// One line.
    case line
    /// Everything that the catalogue has.
    case everything
  }

  package var entries: [CatalogueEntry]
  package var detail: Detail

  package init(entries: [CatalogueEntry], detail: Detail) {
    self.entries = entries
    self.detail = detail
  }

  package var document: ExplanationDocument { ExplanationDocument(entries) }

  package func text(_ style: TextStyle) -> String {
    switch detail {
    case .line: list
    case .everything: entries.map(Self.paragraphs).joined(separator: "\n")
    }
  }

  /// The whole catalogue, whose families have a chapter each.
  package var markdown: String? { Catalogue.markdown() }

  private var list: String {
    let width = entries.map(\.name.utf8.count).max() ?? 0
    return entries.map { entry in
      entry.name + String(repeating: " ", count: width - entry.name.utf8.count + 2) + entry.explanation.meaning + "\n"
    }.joined()
  }

  private static func paragraphs(_ entry: CatalogueEntry) -> String {
    let texts = entry.explanation
    return "\(entry.name): \(texts.meaning).\n\n" + Words.wrapped(texts.cause)
      + (texts.seen.map { "\n" + Words.wrapped("Seen: \($0).") } ?? "")
      + (texts.seen == nil ? "" : "\n" + Words.wrapped("What Berth does: \(texts.repair ?? "Nothing")."))
      + (texts.whyLeft.map { "\n" + Words.wrapped("Why it may be left: \($0).") } ?? "")
      + (texts.remedy.map { "\n" + Words.wrapped("Next: \($0.text()).") } ?? "")
  }
}

/// Names with their explanations for programs: `{"formatVersion": 1, "kind": "Explanations", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct ExplanationDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "Explanations", formatVersion: 1)

  package struct Entry: Encodable, Sendable {
    let name: String
    let meaning: String
    let cause: String
    let nextStep: String?
    /// For drift: which store says what.
    let seen: String?
    /// For drift: what an apply does about it, and when it does nothing.
    let repair: String?
  }

  let explanations: [Entry]

  init(_ entries: [CatalogueEntry]) {
    explanations = entries.map { entry in
      let texts = entry.explanation
      return Entry(
        name: entry.name, meaning: texts.meaning, cause: texts.cause, nextStep: texts.remedy?.text(),
        seen: texts.seen, repair: texts.conduct)
    }
  }
}
