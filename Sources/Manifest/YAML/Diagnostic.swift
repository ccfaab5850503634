/// An error, a warning or a note about a text.
package struct Diagnostic: Hashable, Sendable {
  package enum Severity: String, Sendable {
    case error, warning, note
  }

  /// A second location that explains the message.
  package struct Note: Hashable, Sendable {
    /// The start of a phrase that continues with "at line 7": `first assigned`.
    package var message: String
    package var mark: SourceMark

    package init(_ message: String, at mark: SourceMark) {
      self.message = message
      self.mark = mark
    }
  }

  package var severity: Severity
  package var message: String
  /// The location; nil if the message is not about a text.
  package var mark: SourceMark?
  package var notes: [Note]
  /// The next step for the user.
  package var hint: String?
  /// How many diagnostics this one stands for.
  package var count = 1

  package init(
    _ severity: Severity, _ message: String, at mark: SourceMark?, notes: [Note] = [], hint: String? = nil
  ) {
    self.severity = severity
    self.message = message
    self.mark = mark
    self.notes = notes
    self.hint = hint
  }
}

/// Collects the diagnostics of one run, up to a limit, so that a hostile text uses a bounded amount of memory.
package final class Diagnostics {
  /// The number of errors, and of warnings, that are kept. Further ones are only counted.
  package let limit: Int
  private var kept: [Diagnostic] = []
  private var seen: Set<Diagnostic> = []
  private var errors = 0
  private var warnings = 0

  package init(limit: Int = 100) { self.limit = limit }

  package var hasErrors: Bool { errors > 0 }
  /// The number of errors, including those beyond the limit.
  package var errorCount: Int { errors }

  /// Adds an error. Its message and hint are not computed after the limit is reached.
  package func error(
    _ message: @autoclosure () -> String, at mark: SourceMark?, notes: @autoclosure () -> [Diagnostic.Note] = [],
    hint: @autoclosure () -> String? = nil
  ) {
    guard errors < limit else { errors += 1; return }
    if keep(Diagnostic(.error, message(), at: mark, notes: notes(), hint: hint())) { errors += 1 }
  }

  /// Adds a warning. Its message and hint are not computed after the limit is reached.
  package func warning(
    _ message: @autoclosure () -> String, at mark: SourceMark?, notes: @autoclosure () -> [Diagnostic.Note] = [],
    hint: @autoclosure () -> String? = nil
  ) {
    guard warnings < limit else { warnings += 1; return }
    if keep(Diagnostic(.warning, message(), at: mark, notes: notes(), hint: hint())) { warnings += 1 }
  }

  /// All kept diagnostics, in the order of the texts. The last entries say how many more there were.
  package var sorted: [Diagnostic] {
    var result = kept.enumerated().sorted { left, right in
      switch (left.element.mark, right.element.mark) {
      case (let first?, let second?) where first != second: first < second
      case (nil, _?): true
      case (_?, nil): false
      default: left.offset < right.offset
      }
    }.map(\.element)
    if errors > limit {
      result.append(rest(.error, errors - limit))
    }
    if warnings > limit {
      result.append(rest(.warning, warnings - limit))
    }
    return result
  }

  /// Only the errors.
  package var sortedErrors: [Diagnostic] { sorted.filter { $0.severity == .error } }
  /// Only the warnings.
  package var sortedWarnings: [Diagnostic] { sorted.filter { $0.severity == .warning } }

  /// Returns what stands for those that are not kept.
  private func rest(_ severity: Diagnostic.Severity, _ count: Int) -> Diagnostic {
    let verb = count == 1 ? "is" : "are"
    var rest = Diagnostic(
      severity, "\(count) more \(severity.rawValue)\(count == 1 ? "" : "s") \(verb) not shown", at: nil)
    rest.count = count
    return rest
  }

  private func keep(_ diagnostic: Diagnostic) -> Bool {
    guard seen.insert(diagnostic).inserted else { return false }
    kept.append(diagnostic)
    return true
  }
}
