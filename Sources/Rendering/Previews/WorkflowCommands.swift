import Model
import Planning

/// Annotations as commands of GitHub's runner, which shows them at the lines of the manifest.
struct WorkflowCommands {
  /// How many commands of one kind the runner takes from one step; it drops the rest without a word. It takes 50 from a
  /// job, which one step with three kinds cannot reach.
  static let mostOfKind = 10

  /// What the answer says in one sentence: a line of the log.
  var summary: String
  var annotations: [Annotation]
  var directory: String?

  /// Returns the most severe annotations as commands, and in the last line how many are left out.
  func text() -> WorkflowText {
    var text: WorkflowText = "berth: \(summary)\n"
    var counts: [Annotation.Severity: Int] = [:]
    for annotation in annotations { counts[annotation.severity, default: 0] += 1 }
    let isLong = counts.values.contains { $0 > Self.mostOfKind }
    for severity in Annotation.Severity.allCases {
      // The last line is a notice, too.
      let most = Self.mostOfKind - (isLong && severity == .note ? 1 : 0)
      for annotation in annotations.filter({ $0.severity == severity }).prefix(most) {
        text += command(annotation)
        counts[severity, default: 0] -= 1
      }
    }
    let rest = Words.counts(
      Annotation.Severity.allCases.map { severity in
        let number = counts[severity, default: 0]
        return (number, severity.rest + (number == 1 ? "" : "s"))
      })
    if !rest.isEmpty {
      text += .command(
        "notice", [.init(key: "title", value: "berth")],
        "Not shown here: \(rest). The answer without -o has all of them.")
    }
    return text
  }

  private func command(_ annotation: Annotation) -> WorkflowText {
    let place = annotation.place
    let title = "berth: \(annotation.rule.name)"
    let file = place.map { ManifestPath($0.file, in: directory).path }
    let number = { (value: Int?) -> String? in value.flatMap { $0 > 0 ? String($0) : nil } }
    let next: WorkflowText = if let next = annotation.next { "%0Anext: \(next)" } else { "" }
    let properties: [WorkflowText.Property] = [
      .init(key: "file", value: file), .init(key: "line", value: number(place?.line)),
      .init(key: "col", value: number(place?.column)), .init(key: "title", value: title),
    ]
    return .command(annotation.severity.command, properties, "\(annotation.sentence)\(next)")
  }
}

extension Annotation.Severity {
  fileprivate var command: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .note: "notice"
    }
  }

  fileprivate var rest: String {
    switch self {
    case .error: "more error"
    case .warning: "more warning"
    case .note: "more notice"
    }
  }
}
