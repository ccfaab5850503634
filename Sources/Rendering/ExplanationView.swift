import Core

/// What one of the names in Berth's answers means.
package struct Explanation: Hashable, Sendable, Encodable {
  package let name: String
  package let meaning: String
  package let cause: String
  package let nextStep: String?

  package static let all: [Explanation] =
    (Reason.allCases.map { Explanation(name: $0.rawValue, meaning: $0.meaning, cause: $0.cause, nextStep: $0.remedy) }
    + HostDrift.Kind.allCases.map {
      Explanation(name: $0.rawValue, meaning: $0.meaning, cause: $0.cause, nextStep: nil)
    }).sorted { $0.name < $1.name }
}

extension HostDrift.Kind {
  fileprivate var cause: String {
    switch self {
    case .leakedBackEnd:
      "A guest that did not answer was destroyed: libxl leaves its PCI back end, which nothing else removes. Applying "
        + "removes it once dom0's kernel has let go of it."
    case .staleClaim:
      "An attach that failed, or a domain that was destroyed without its toolstack. Applying removes the reservation."
    }
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

  package struct Document: Encodable {
    let version = documentVersion
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
      "\(explanation.name): \(explanation.meaning).\n\n" + wrapped(explanation.cause)
        + (explanation.nextStep.map { "\nNext: \($0)\n" } ?? "")
    }.joined(separator: "\n")
  }

  private func wrapped(_ text: String) -> String {
    var lines: [String] = [""]
    for word in text.split(separator: " ") {
      if lines[lines.count - 1].count + word.count + 1 > 80 { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
