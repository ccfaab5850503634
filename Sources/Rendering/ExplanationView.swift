package import Model
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

  package func text(_ style: TextStyle) -> TerminalText {
    switch detail {
    case .line: list(style)
    case .everything: entries.map { Self.paragraphs($0, style) }.joined("\n")
    }
  }

  /// The whole catalogue, whose families have a chapter each.
  package var markdown: String? { Catalogue.markdown() }

  private func list(_ style: TextStyle) -> TerminalText {
    let width = entries.map(\.name.utf8.count).max() ?? 0
    return entries.map { entry -> TerminalText in
      "\(style.printable(entry.name).padded(to: width))  \(style.printable(entry.explanation.meaning))\n"
    }.joined()
  }

  private static func paragraphs(_ entry: CatalogueEntry, _ style: TextStyle) -> TerminalText {
    let texts = entry.explanation
    var parts = ["\(entry.name): \(texts.meaning).", texts.cause]
    if let seen = texts.seen { parts += ["Seen: \(seen).", "What Berth does: \(texts.repair ?? "Nothing")."] }
    if let why = texts.whyLeft { parts.append("Why it may be left: \(why).") }
    if let remedy = texts.remedy { parts.append("Next: \(remedy.text()).") }
    // The first sentence stays on one line, as in a list of names.
    let paragraphs = parts.enumerated().map { number, text -> TerminalText in
      "\((number == 0 ? [text] : Words.lines(text)).map(style.printable).joined("\n"))\n"
    }
    return paragraphs.joined("\n")
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
