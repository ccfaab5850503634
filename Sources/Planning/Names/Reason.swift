/// A name out of any of the vocabularies: what documents and `berth explain` show. No decision is made by it.
package enum Reason: Hashable, Sendable, CaseIterable {
  case change(ChangeReason)
  case obstacle(Obstacle)
  case wait(Wait)
  case drift(DriftName)
  case refusal(PlanRefusal.Name)

  /// The stable word.
  package var name: String {
    switch self {
    case .change(let reason): reason.rawValue
    case .obstacle(let obstacle): obstacle.rawValue
    case .wait(let wait): wait.rawValue
    case .drift(let drift): drift.rawValue
    case .refusal(let refusal): refusal.rawValue
    }
  }

  /// Whether it names a difference between the stores rather than one between them and the manifest.
  package var isDrift: Bool {
    switch self {
    case .drift: true
    case .obstacle(let obstacle): obstacle.drift != nil
    case .change, .wait, .refusal: false
    }
  }

  /// Each name once: an obstacle that is drift, too, is among the drift.
  package static var allCases: [Reason] {
    ChangeReason.allCases.map(Reason.change) + Obstacle.allCases.filter { $0.drift == nil }.map(Reason.obstacle)
      + PlanRefusal.Name.allCases.map(Reason.refusal) + Wait.allCases.map(Reason.wait)
      + DriftName.allCases.map(Reason.drift)
  }
}
