package import Model

/// What is done about something that belongs to no living domain.
package struct HostStep: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// Removes the claim of a domain that is gone.
    case removeClaim(PCIAddress, of: DomainID)
    /// Removes the back end of a domain that is gone.
    case removeBackEnd(of: DomainID)
    /// Seen, and left as it is.
    case drift(HostDrift)
  }

  package let kind: Kind
  /// What was found, for people.
  package let evidence: String

  package init(_ kind: Kind, evidence: String) {
    self.kind = kind
    self.evidence = evidence
  }

  /// The difference that the step is about.
  package var drift: HostDrift {
    switch kind {
    case .removeClaim(let device, let domain): .staleClaim(device, of: domain)
    case .removeBackEnd(let domain): .leakedBackEnd(of: domain)
    case .drift(let drift): drift
    }
  }

  /// Whether an apply does something for it.
  package var isChange: Bool {
    switch kind {
    case .removeClaim, .removeBackEnd: true
    case .drift: false
    }
  }
}

/// A difference that belongs to no living domain.
package enum HostDrift: Hashable, Sendable {
  /// A claim by a domain that is gone.
  case staleClaim(PCIAddress, of: DomainID)
  /// A back end whose domain is gone.
  case leakedBackEnd(of: DomainID)

  package var name: DriftName {
    switch self {
    case .staleClaim: .staleClaim
    case .leakedBackEnd: .leakedBackEnd
    }
  }

  /// The domain that is gone.
  package var domain: DomainID {
    switch self {
    case .staleClaim(_, let domain), .leakedBackEnd(let domain): domain
    }
  }

  /// The device that is claimed; nil for a back end.
  package var device: PCIAddress? {
    switch self {
    case .staleClaim(let device, _): device
    case .leakedBackEnd: nil
    }
  }
}
