/// Whether a running guest takes part in a change.
package enum ChangeMode: String, Hashable, Sendable {
  case hot
  /// The domain has never run.
  case cold

  /// Returns the mode of changes to a domain in this state, once the domain can take changes.
  package init(_ lifecycle: DomainLifecycle) {
    switch lifecycle {
    case .cold: self = .cold
    case .building, .running, .paused, .shutdown, .destroying: self = .hot
    }
  }
}

/// The word for what an apply does to one device. The raw values are stable: scripts depend on them.
package enum ChangeKind: String, Hashable, Sendable, CaseIterable {
  case attach, detach
  /// Detached and attached again.
  case reattach
  /// Detached from another domain of the manifest, then attached here.
  case move
  /// A difference between stores, which no manifest asked for, is repaired.
  case repair
  /// The device is declared and already attached: only Berth's record changes.
  case adopt
}
