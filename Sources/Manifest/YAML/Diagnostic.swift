/// One thing found wrong, or worth knowing, in a text.
package struct Diagnostic: Hashable, Sendable {
  package enum Severity: String, Sendable, Codable {
    case error, warning, note
  }

  /// Another place that explains the message.
  package struct Note: Hashable, Sendable {
    /// Reads on with "at line 7": `first assigned`.
    package var message: String
    package var mark: SourceMark

    package init(_ message: String, at mark: SourceMark) {
      self.message = message
      self.mark = mark
    }
  }

  package var severity: Severity
  package var message: String
  /// nil where the message is about no text in particular.
  package var mark: SourceMark?
  package var notes: [Note]
  /// What to do next.
  package var hint: String?

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

/// Gathers everything found in one run, up to a bound, so that a hostile text costs bounded memory.
package final class Diagnostics {
  /// As many errors, and as many warnings, are kept; the others are counted.
  package let limit: Int
  private var kept: [Diagnostic] = []
  private var seen: Set<Diagnostic> = []
  private var errors = 0
  private var warnings = 0

  package init(limit: Int = 100) { self.limit = limit }

  package var hasErrors: Bool { errors > 0 }
  /// Those beyond the bound included.
  package var errorCount: Int { errors }

  /// Adds an error; its message and hint are not computed once the bound is reached.
  package func error(
    _ message: @autoclosure () -> String, at mark: SourceMark?, notes: @autoclosure () -> [Diagnostic.Note] = [],
    hint: @autoclosure () -> String? = nil
  ) {
    guard errors < limit else { errors += 1; return }
    if keep(Diagnostic(.error, message(), at: mark, notes: notes(), hint: hint())) { errors += 1 }
  }

  /// Adds a warning; its message and hint are not computed once the bound is reached.
  package func warning(
    _ message: @autoclosure () -> String, at mark: SourceMark?, notes: @autoclosure () -> [Diagnostic.Note] = [],
    hint: @autoclosure () -> String? = nil
  ) {
    guard warnings < limit else { warnings += 1; return }
    if keep(Diagnostic(.warning, message(), at: mark, notes: notes(), hint: hint())) { warnings += 1 }
  }

  /// All that was kept, in the order of the texts; last, how many more there were.
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
      result.append(Diagnostic(.error, "\(errors - limit) more errors are not shown", at: nil))
    }
    if warnings > limit {
      result.append(Diagnostic(.warning, "\(warnings - limit) more warnings are not shown", at: nil))
    }
    return result
  }

  /// Only the errors.
  package var sortedErrors: [Diagnostic] { sorted.filter { $0.severity == .error } }
  /// Only the warnings.
  package var sortedWarnings: [Diagnostic] { sorted.filter { $0.severity == .warning } }

  private func keep(_ diagnostic: Diagnostic) -> Bool {
    guard seen.insert(diagnostic).inserted else { return false }
    kept.append(diagnostic)
    return true
  }
}
