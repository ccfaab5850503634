package import Model
package import Planning

/// How one domain stands with the daemon.
package struct DomainStanding: Hashable, Sendable {
  package enum State: Hashable, Sendable {
    /// As declared.
    case inSync
    /// Changes are about to be made, or are being made.
    case reconciling
    /// A device waits for the domain.
    case waiting(Wait)
    /// A person has to act first. The device is nil if it was not found.
    case blocked(PCIAddress?, Reason)
    /// This many changes would be made, and the mode forbids all of them.
    case differing(Int)
    /// Changes failed, this often in a row.
    case backingOff(until: Moment, failures: Int)
    /// Changes were made, and came back this often: they are stopped.
    case fighting([RepeatedChange: Int])
  }

  package let name: Name
  package let uuid: DomainUUID?
  package let id: DomainID?
  package let state: State

  package init(name: Name, uuid: DomainUUID?, id: DomainID?, state: State) {
    (self.name, self.uuid, self.id, self.state) = (name, uuid, id, state)
  }
}

extension DomainStanding.State {
  /// The word for the state. The words are stable: scripts depend on them.
  package var word: String {
    switch self {
    case .inSync: "in-sync"
    case .reconciling: "reconciling"
    case .waiting: "waiting"
    case .blocked: "blocked"
    case .differing: "differing"
    case .backingOff: "backing-off"
    case .fighting: "fighting"
    }
  }
}
