package import Model

/// Names a step. Planning again from the same difference gives the same id, whatever else has changed.
package struct StepID: Hashable, Sendable {
  package enum Domain: Hashable, Sendable {
    case uuid(DomainUUID)
    /// The domain does not exist, and the manifest gives no UUID.
    case name(Name)
  }

  package enum Kind: Hashable, Sendable {
    case attach, detach, reattach, move, adopt
    case repair(DriftName)
    case unchanged, kept, foreign, blocked, pending
    case drift(DriftName)
  }

  package let domain: Domain
  package let device: PCIAddress
  package let kind: Kind

  /// The step that `work` does in a domain.
  package init(_ work: some DeviceWork, in domain: DomainUUID) {
    self.init(domain: .uuid(domain), device: work.device, kind: work.identity)
  }

  package init(domain: Domain, device: PCIAddress, kind: Kind) {
    self.domain = domain
    self.device = device
    self.kind = kind
  }
}

extension StepID: CustomStringConvertible {
  /// `<uuid or name>/0000:03:00.0/attach`. Parts of the name are what they are in the manifest.
  package var description: String {
    let place =
      switch domain {
      case .uuid(let uuid): uuid.description
      case .name(let name): name.text
      }
    return "\(place)/\(device)/\(kind.word)"
  }
}

extension StepID.Kind {
  /// The word of the step's action; repairs and drift are told apart by the name of the difference.
  fileprivate var word: String {
    switch self {
    case .attach: "attach"
    case .detach: "detach"
    case .reattach: "reattach"
    case .move: "move"
    case .adopt: "adopt"
    case .repair(let name): "repair-\(name.rawValue)"
    case .unchanged: "keep"
    case .kept: "keep-undeclared"
    case .foreign: "foreign"
    case .blocked: "blocked"
    case .pending: "pending"
    case .drift(let name): "drift-\(name.rawValue)"
    }
  }
}
