package import Model

/// Names a step. Planning again from the same difference gives the same id, whatever else has changed.
package struct StepID: Hashable, Sendable {
  package enum Domain: Hashable, Sendable {
    case uuid(DomainUUID)
    /// The domain does not exist, and the manifest gives no UUID.
    case name(String)
  }

  package enum Kind: Hashable, Sendable {
    case attach, detach, reattach, move, adopt
    case repair(DriftName)
    case unchanged, foreign, blocked, pending
    case drift(DriftName)
  }

  package let domain: Domain
  package let device: PCIAddress
  package let kind: Kind

  package init(domain: Domain, device: PCIAddress, kind: Kind) {
    self.domain = domain
    self.device = device
    self.kind = kind
  }
}
