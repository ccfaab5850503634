import Planning

/// What one of the names in Berth's answers means.
package struct Explanation: Hashable, Sendable, Encodable {
  package let name: String
  package let meaning: String
  package let cause: String
  package let nextStep: String?
  /// For drift: which store says what.
  package let seen: String?
  /// For drift: what an apply does about it.
  package let repair: String?

  package static let all: [Explanation] = (drifts + reasons + ailments).sorted { $0.name < $1.name }

  private static let drifts = DriftName.allCases.map { drift in
    Explanation(
      name: drift.rawValue, meaning: drift.meaning, cause: drift.cause, nextStep: drift.remedy,
      seen: drift.runbook.seen, repair: drift.runbook.repair)
  }

  private static let reasons = Reason.allCases.filter { !$0.isDrift }.map { reason in
    Explanation(
      name: reason.name, meaning: reason.meaning, cause: reason.cause, nextStep: reason.remedy, seen: nil, repair: nil)
  }

  private static let ailments = Ailment.allCases.map { ailment in
    Explanation(
      name: ailment.rawValue, meaning: ailment.meaning, cause: ailment.cause, nextStep: ailment.nextStep, seen: nil,
      repair: nil)
  }
}

/// One explanation, or a list of all names.
package struct ExplanationView: View {
  package var explanations: [Explanation]
  package var isList: Bool

  package init(explanations: [Explanation], isList: Bool) {
    self.explanations = explanations
    self.isList = isList
  }

  package struct Document: VersionedDocument {
    package static let head = DocumentHead(kind: "Explanations", formatVersion: 1)
    let explanations: [Explanation]
  }

  package var document: Document { Document(explanations: explanations) }

  package func text(_ style: TextStyle) -> String {
    if isList {
      let width = explanations.map(\.name.utf8.count).max() ?? 0
      return explanations.map { explanation in
        explanation.name + String(repeating: " ", count: width - explanation.name.utf8.count + 2) + explanation.meaning
          + "\n"
      }.joined()
    }
    return explanations.map { explanation in
      "\(explanation.name): \(explanation.meaning).\n\n" + Words.wrapped(explanation.cause)
        + (explanation.seen.map { "\n" + Words.wrapped("Seen: \($0).") } ?? "")
        + (explanation.repair.map { "\n" + Words.wrapped("What Berth does: \($0).") } ?? "")
        + (explanation.nextStep.map { "\nNext: \($0)\n" } ?? "")
    }.joined(separator: "\n")
  }
}
