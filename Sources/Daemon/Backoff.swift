/// When something that failed may be tried again: after 1, 2, 4 … seconds, and at most after five minutes.
package struct Backoff<Key: Hashable & Sendable>: Hashable, Sendable {
  private struct Entry: Hashable, Sendable {
    var failures: Int
    var next: Moment
  }

  private let first: Duration
  private let longest: Duration
  private var entries: [Key: Entry] = [:]

  package init(first: Duration = .seconds(1), longest: Duration = .seconds(300)) {
    (self.first, self.longest) = (first, max(first, longest))
  }

  /// Records a failure.
  package mutating func failed(_ key: Key, at now: Moment) {
    let failures = (entries[key]?.failures ?? 0) + 1
    // More doublings than these would pass any longest wait, and could pass what a number holds.
    let wait = min(longest, first * (1 << min(failures - 1, 20)))
    entries[key] = Entry(failures: failures, next: now + wait)
  }

  /// Forgets the failures of a key.
  package mutating func succeeded(_ key: Key) { entries[key] = nil }

  /// Forgets every key that is not among these.
  package mutating func keep(only keys: Set<Key>) { entries = entries.filter { keys.contains($0.key) } }

  /// Lets everything be tried at once, as a person asks for it. The failures still count.
  package mutating func release() { for key in entries.keys { entries[key]?.next = .zero } }

  /// Returns whether a key may be tried.
  package func mayTry(_ key: Key, at now: Moment) -> Bool { entries[key].map { $0.next <= now } ?? true }

  /// Returns when a key may be tried again; nil if it has not failed.
  package func next(_ key: Key) -> Moment? { entries[key]?.next }

  /// Returns how often a key has failed in a row.
  package func failures(_ key: Key) -> Int { entries[key]?.failures ?? 0 }

  /// Returns when the first of the keys that have to wait now may be tried; nil if none has to wait.
  package func nextWake(after now: Moment) -> Moment? { entries.values.map(\.next).filter { $0 > now }.min() }
}
