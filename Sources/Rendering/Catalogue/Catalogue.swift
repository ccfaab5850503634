import Planning
import XenProtocol

/// One name with its entry.
package struct CatalogueEntry: Hashable, Sendable {
  package let name: String
  package let explanation: Explanation
}

/// All names in Berth's answers, each with its entry.
package enum Catalogue {
  package static let drifts = DriftName.allCases.map {
    CatalogueEntry(name: $0.rawValue, explanation: $0.explanation)
  }
  /// The names in `reason` that are not drift, in the order of the vocabularies.
  package static let reasons = Reason.allCases.filter { !$0.isDrift }.map {
    CatalogueEntry(name: $0.name, explanation: $0.explanation)
  }
  package static let ailments = Ailment.allCases.map {
    CatalogueEntry(name: $0.rawValue, explanation: $0.explanation)
  }
  package static let interlocks = InterlockName.allCases.map {
    CatalogueEntry(name: $0.rawValue, explanation: $0.explanation)
  }
  /// All of them, in order of name.
  package static let all =
    (drifts + reasons.filter { reason in !interlocks.contains { $0.name == reason.name } } + ailments + interlocks)
    .sorted { $0.name < $1.name }

  /// Returns the whole catalogue in Markdown, with one table of the names per family before its sections.
  package static func markdown() -> String {
    [("Reasons", reasons), ("Drift", drifts), ("Findings of berth doctor", ailments), ("Interlocks", interlocks)].map {
      title, entries in
      "# \(title)\n\n" + table(of: entries) + "\n" + sections(of: entries, level: 2)
    }.joined(separator: "\n")
  }

  /// Returns a table with one row per name: the name and what it says.
  package static func table(of entries: [CatalogueEntry]) -> String {
    "| name | meaning |\n|---|---|\n"
      + entries.map { "| `\($0.name)` | \(cell($0.explanation.meaning)) |\n" }.joined()
  }

  /// A table with one row per interlock: its name, how strong it is, what it says, and what a person can do.
  package static var interlockTable: String {
    "| name | strength | meaning | next step |\n|---|---|---|---|\n"
      + InterlockName.allCases.map { name in
        let texts = name.explanation
        return "| `\(name.rawValue)` | \(name.strength.rawValue) | \(cell(texts.meaning)) "
          + "| \(cell(texts.remedy?.text() ?? "")) |\n"
      }.joined()
  }

  /// Returns a table with one row per name: the name, what it says, and what a person can do.
  package static func remedyTable(of entries: [CatalogueEntry]) -> String {
    "| reason | meaning | next step |\n|---|---|---|\n"
      + entries.map { entry in
        "| `\(entry.name)` | \(cell(entry.explanation.meaning)) | \(cell(entry.explanation.remedy?.text() ?? "")) |\n"
      }.joined()
  }

  /// A table with one row per sentence of an outcome: its words, and what must have been observed for it.
  package static var sentenceTable: String {
    "| sentence | said only after |\n|---|---|\n"
      + OutcomeSentence.allCases.map(\.entry).map { entry in
        "| \(cell(entry.words.replacing("{}", with: "…"))) | \(cell(entry.observation)) |\n"
      }.joined()
  }

  /// Returns one section per name, in lines that a terminal can show.
  package static func sections(of entries: [CatalogueEntry], level: Int) -> String {
    entries.map { entry in
      let texts = entry.explanation
      let items = [
        ("Seen", texts.seen), ("Cause", texts.cause), ("Apply", texts.repair), ("Left", texts.whyLeft),
        ("Next", texts.remedy?.text()),
      ].compactMap { title, text in
        text.map { "* \(title): " + Words.wrapped(sentence($0), indent: 2, first: title.count + 4) }
      }
      return String(repeating: "#", count: level) + " `\(entry.name)`\n\n"
        + Words.wrapped(sentence(texts.meaning)) + "\n" + items.joined()
    }.joined(separator: "\n")
  }

  private static func sentence(_ text: String) -> String { text.hasSuffix(".") ? text : text + "." }

  /// Returns a text that does not end a cell of a table.
  private static func cell(_ text: String) -> String { text.replacing("|", with: "\\|") }
}
