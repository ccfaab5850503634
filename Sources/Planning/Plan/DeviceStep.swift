package import Model

/// One device's step in a domain.
package struct DeviceStep: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// An apply does this in the domain.
    case change(Change, in: DomainTarget)
    /// As declared.
    case unchanged
    /// Attached by Berth, not declared, and kept.
    case kept(KeptBecause)
    /// Attached, neither declared nor Berth's: shown, left alone.
    case foreign
    /// Cannot be done before a person acts.
    case blocked(Obstacle)
    /// Will be done once the domain can take it.
    case pending(Wait)
    /// A difference nobody declared, seen and left as it is.
    case drift(DriftName)
  }

  package let domain: StepID.Domain
  package let device: PCIAddress
  /// What the device is, if sysfs or the manifest says.
  package let deviceID: DeviceID?
  /// The serial number of the device that the manifest means; nil if it has none, or if nothing was said of it.
  package let serial: String?
  /// Its name in the manifest.
  package let label: String?
  package let kind: Kind
  /// The options the device has in the domain; nil if the domain does not have it.
  package let before: DeviceOptions?
  /// The declared options; nil if the device is not declared here.
  package let after: DeviceOptions?
  /// The domain that has the device, if a step gives it to another one, or will.
  package let holder: DomainTarget?
  package let isRequired: Bool
  /// Whether the step is blocked because the host lacks the device.
  package let isMissing: Bool
  /// What was found that leads to this step, for people.
  package let evidence: String?
  /// How a person can get a blocked step unblocked.
  package let remedy: String?
  /// What else happens, for people: "guest link drops", …
  package let effects: [String]
  /// What stands on the device, if it would have to be taken from a driver of dom0.
  package var interlocks: [Interlock] = []
  /// The card that is taken as a whole, the device among its functions; nil if the device is declared alone.
  package var card: PCIAddress?

  package init(
    domain: StepID.Domain, device: PCIAddress, deviceID: DeviceID? = nil, serial: String? = nil, label: String? = nil,
    kind: Kind,
    before: DeviceOptions? = nil, after: DeviceOptions? = nil, holder: DomainTarget? = nil, isRequired: Bool = true,
    isMissing: Bool = false, evidence: String? = nil, remedy: String? = nil, effects: [String] = []
  ) {
    self.domain = domain
    self.device = device
    self.deviceID = deviceID
    self.serial = serial
    self.label = label
    self.kind = kind
    self.before = before
    self.after = after
    self.holder = holder
    self.isRequired = isRequired
    self.isMissing = isMissing
    self.evidence = evidence
    self.remedy = remedy
    self.effects = effects
  }
}

extension DeviceStep {
  package var id: StepID { StepID(domain: domain, device: device, kind: kind.identity) }

  /// What an apply does; nil if it does nothing.
  package var change: Change? { if case .change(let change, _) = kind { change } else { nil } }

  /// The domain that the change is made in; nil if there is none.
  package var target: DomainTarget? { if case .change(_, let target) = kind { target } else { nil } }

  package var isChange: Bool { change != nil }

  /// Whether the running guest takes part; nil if the guest has no part in the step.
  package var mode: ChangeMode? {
    guard case .change(let change, let target) = kind, change.concernsGuest else { return nil }
    return target.mode
  }

  package var action: StepAction { kind.action }
  package var reason: Reason { kind.reason }

  /// Whether it makes the run's exit status "blocked": a missing device that is optional does not.
  package var countsAsBlocked: Bool {
    switch kind {
    case .blocked(let obstacle): isRequired || !(isMissing || obstacle == .deviceMissing)
    case .change, .unchanged, .kept, .foreign, .pending, .drift: false
    }
  }

  /// Whether the step gives its domain a device that the domain does not have, now or once the domain can take it.
  package var givesDevice: Bool {
    switch kind {
    case .change(.attach, _), .change(.move, _), .pending: before == nil && after != nil
    case .change, .unchanged, .kept, .foreign, .blocked, .drift: false
    }
  }

  /// Whether the domain cannot answer, so that what it has is not known.
  package var isUnanswered: Bool { kind == .pending(.domainPaused) }
}

extension DeviceStep.Kind {
  package var action: StepAction {
    switch self {
    case .change(let change, _): StepAction(change.kind)
    case .unchanged, .kept: .keep
    case .foreign: .foreign
    case .blocked: .blocked
    case .pending: .pending
    case .drift: .drift
    }
  }

  /// Why the step is what it is, for people.
  package var reason: Reason {
    switch self {
    case .change(let change, _): change.reason
    case .unchanged: .change(.inSync)
    case .kept(.pruneNever): .change(.pruneNever)
    case .kept(.otherSet): .change(.ownedByOtherSet)
    case .foreign: .change(.notOwned)
    case .blocked(let obstacle): .obstacle(obstacle)
    case .pending(let wait): .wait(wait)
    case .drift(let name): .drift(name)
    }
  }

  /// The word for `reason`.
  package var name: String { reason.name }

  fileprivate var identity: StepID.Kind {
    switch self {
    case .change(.attach, _): .attach
    case .change(.detach, _): .detach
    case .change(.reattach, _): .reattach
    case .change(.move, _): .move
    case .change(.repair(let repair), _): .repair(repair.drift)
    case .change(.adopt, _): .adopt
    case .unchanged: .unchanged
    case .kept: .kept
    case .foreign: .foreign
    case .blocked: .blocked
    case .pending: .pending
    case .drift(let name): .drift(name)
    }
  }
}

/// The word for what a step does. The raw values are stable: scripts depend on them.
package enum StepAction: String, Hashable, Sendable, CaseIterable {
  case attach, detach, reattach, move, repair, adopt
  case keep, foreign, blocked, pending, drift

  package init(_ kind: ChangeKind) {
    switch kind {
    case .attach: self = .attach
    case .detach: self = .detach
    case .reattach: self = .reattach
    case .move: self = .move
    case .repair: self = .repair
    case .adopt: self = .adopt
    }
  }
}

/// Why a device of Berth's is kept though it is not declared.
package enum KeptBecause: Hashable, Sendable, CaseIterable {
  /// The policy removes nothing.
  case pruneNever
  /// Another set of manifests owns it.
  case otherSet
}

extension DeviceStep.Kind {
  package var isKept: Bool { if case .kept = self { true } else { false } }
}
