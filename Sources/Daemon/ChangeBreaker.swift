package import Model
import Planning

/// A change of one device in one life of a domain: a guest that restarts is another one.
package struct RepeatedChange: Hashable, Sendable {
  package let domain: DomainKey
  package let device: PCIAddress
  package let kind: ChangeKind

  package init(domain: DomainKey, device: PCIAddress, kind: ChangeKind) {
    (self.domain, self.device, self.kind) = (domain, device, kind)
  }
}

/// Stops a change that was made and came back too often: another tool, or a person, keeps undoing it.
package struct ChangeBreaker: Sendable {
  /// How often a change may be made within the window.
  package let most: Int
  private let window: Duration
  private var made: [RepeatedChange: [Moment]] = [:]
  /// The changes that are stopped, with the number of times that each was made.
  package private(set) var stopped: [RepeatedChange: Int] = [:]

  package init(most: Int = 3, window: Duration = .seconds(600)) {
    (self.most, self.window) = (max(1, most), window)
  }

  /// Records that a change was made, and was proven. Returns whether it is stopped from now on.
  package mutating func note(_ change: RepeatedChange, at now: Moment) -> Bool {
    let times = (made[change] ?? []).filter { $0 + window > now } + [now]
    made[change] = times
    guard times.count >= most else { return false }
    stopped[change] = times.count
    return true
  }

  package func isStopped(_ change: RepeatedChange) -> Bool { stopped[change] != nil }

  /// Forgets all changes of domains that are not among these, and what is too old to count.
  package mutating func keep(only domains: Set<DomainKey>, at now: Moment) {
    made = made.filter { change, times in
      domains.contains(change.domain) && times.contains { $0 + window > now }
    }
    stopped = stopped.filter { domains.contains($0.key.domain) }
  }

  /// Forgets everything, because a person asked for it or because the manifest changed.
  package mutating func reset() { (made, stopped) = ([:], [:]) }
}
