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
  /// Whether the line at the location is shown. It is not, if the text is not Berth's to show.
  package var showsLine = true

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
  private var counts: [Diagnostic.Severity: Int] = [:]
  /// The number of messages that were put together. A repeated one is not kept, but an alias can repeat it for ever.
  private(set) var composed = 0

  package init(limit: Int = 100) { self.limit = limit }

  /// Whether the next error's message is put together. Otherwise the error is only counted.
  var composesErrors: Bool { composes(.error) }

  private func composes(_ severity: Diagnostic.Severity) -> Bool {
    counts[severity, default: 0] < limit && composed < 4 * limit
  }

  package var hasErrors: Bool { errorCount > 0 }
  /// The number of errors, including those beyond the limit.
  package var errorCount: Int { counts[.error, default: 0] }

  /// Adds an error. Its message and hint are not computed after the limit is reached.
  package func error(
    _ message: @autoclosure () -> String, at mark: SourceMark?, notes: @autoclosure () -> [Diagnostic.Note] = [],
    hint: @autoclosure () -> String? = nil
  ) {
    add(.error) { Diagnostic(.error, message(), at: mark, notes: notes(), hint: hint()) }
  }

  /// Adds a warning. Its message and hint are not computed after the limit is reached.
  package func warning(
    _ message: @autoclosure () -> String, at mark: SourceMark?, notes: @autoclosure () -> [Diagnostic.Note] = [],
    hint: @autoclosure () -> String? = nil
  ) {
    add(.warning) { Diagnostic(.warning, message(), at: mark, notes: notes(), hint: hint()) }
  }

  /// Adds an error about a text whose lines are not shown.
  func error(hiding mark: SourceMark, _ message: String, hint: String?) {
    add(.error) {
      var diagnostic = Diagnostic(.error, message, at: mark, hint: hint)
      diagnostic.showsLine = false
      return diagnostic
    }
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
    for severity in [Diagnostic.Severity.error, .warning] {
      let more = counts[severity, default: 0] - kept.count { $0.severity == severity }
      if more > 0 { result.append(rest(severity, more)) }
    }
    return result
  }

  /// Only the errors.
  package var sortedErrors: [Diagnostic] { sorted.filter { $0.severity == .error } }
  /// Only the warnings.
  package var sortedWarnings: [Diagnostic] { sorted.filter { $0.severity == .warning } }

  /// Returns what stands for those that are not kept. Whether two of them are the same is not known, since their messages
  /// are not put together.
  private func rest(_ severity: Diagnostic.Severity, _ count: Int) -> Diagnostic {
    let verb = count == 1 ? "is" : "are"
    var rest = Diagnostic(
      severity, "up to \(count) more \(severity.rawValue)\(count == 1 ? "" : "s") \(verb) not shown", at: nil)
    rest.count = count
    return rest
  }

  /// Adds what `compose` returns, unless the same is there already. After the limit it is only counted.
  private func add(_ severity: Diagnostic.Severity, _ compose: () -> Diagnostic) {
    if composes(severity) {
      composed += 1
      let diagnostic = compose()
      guard seen.insert(diagnostic).inserted else { return }
      kept.append(diagnostic)
    }
    counts[severity, default: 0] += 1
  }
}
