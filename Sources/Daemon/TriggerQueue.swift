/// Collects triggers until it is time to look: one change of a guest makes many of them.
///
/// A look is due when nothing has happened for `quiet`, and at the latest `longest` after the first trigger.
package struct TriggerQueue: Sendable {
  private let quiet: Duration
  private let longest: Duration
  private var pending: Set<Trigger> = []
  private var first: Moment = .zero
  private var last: Moment = .zero

  package init(quiet: Duration = .milliseconds(5), longest: Duration = .milliseconds(250)) {
    (self.quiet, self.longest) = (quiet, max(quiet, longest))
  }

  /// When the next look is due; nil if nothing has happened.
  package var due: Moment? {
    if pending.isEmpty { return nil }
    return pending.contains(where: \.isUrgent) ? first : min(last + quiet, first + longest)
  }

  /// Adds a trigger. Moments before an earlier one count as that one.
  package mutating func add(_ trigger: Trigger, at now: Moment) {
    let now = pending.isEmpty ? now : max(now, last)
    if pending.isEmpty { first = now }
    last = now
    pending.insert(trigger)
  }

  /// Removes all triggers and returns them if a look is due; nil otherwise.
  package mutating func take(at now: Moment) -> Set<Trigger>? {
    guard let due, due <= now else { return nil }
    defer { pending = [] }
    return pending
  }
}
