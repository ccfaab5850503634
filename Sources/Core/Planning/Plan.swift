/// What would turn the observation into the desired state: closed data, decided once.
package struct Plan: Hashable, Sendable, Codable {
  package var host: HostFacts
  package var domainCount: Int
  package var deviceCount: Int
  package var policy: Policy
  /// Domains with something to show, declared ones first, each group in order of name.
  package var domains: [DomainPlan]
  /// Back ends and claims that belong to no living domain.
  package var hostDrift: [HostDrift]
  /// Changes to Berth's own records that an apply makes on the way; nothing on the host depends on them.
  package var bookkeeping: [RecordChange]

  package init(
    host: HostFacts, domainCount: Int, deviceCount: Int, policy: Policy, domains: [DomainPlan] = [],
    hostDrift: [HostDrift] = [], bookkeeping: [RecordChange] = []
  ) {
    self.bookkeeping = bookkeeping
    self.host = host
    self.domainCount = domainCount
    self.deviceCount = deviceCount
    self.policy = policy
    self.domains = domains
    self.hostDrift = hostDrift
  }

  package var steps: [PlannedStep] { domains.flatMap(\.steps) }

  /// Whether applying the plan would change anything but Berth's own records and intents of what is gone.
  package var hasChanges: Bool {
    hasStep { $0.action.isChange } || hostDrift.contains { $0.isRepaired }
  }

  /// More devices would be removed than the policy allows: nothing of the plan may be applied.
  package var isRefused: Bool { hasStep { $0.reason == .removalLimit } }

  /// How many steps there are of each action, for the summary.
  package func count(_ action: StepAction) -> Int {
    domains.reduce(0) { sum, domain in sum + domain.steps.count { $0.action == action } }
  }

  /// Whether a step is so; without the copies of all of them that `steps` makes.
  private func hasStep(_ isSo: (PlannedStep) -> Bool) -> Bool { domains.contains { $0.steps.contains(where: isSo) } }
}

/// The steps of one domain.
package struct DomainPlan: Hashable, Sendable, Codable {
  package var name: String
  package var uuid: DomainUUID?
  package var id: DomainID?
  package var kind: DomainKind?
  /// Nil where the domain does not exist.
  package var lifecycle: DomainLifecycle?
  package var stubDomain: DomainID?
  /// The way its devices take; nil where Berth knows none.
  package var route: DeviceRoute?
  /// In order of address; drift after requested change.
  package var steps: [PlannedStep]
  /// The run of Berth that was at work on the domain when the host was looked at.
  package var run: RunHolder?

  package init(
    name: String, uuid: DomainUUID? = nil, id: DomainID? = nil, kind: DomainKind? = nil,
    lifecycle: DomainLifecycle? = nil, stubDomain: DomainID? = nil, route: DeviceRoute? = nil,
    steps: [PlannedStep] = []
  ) {
    self.name = name
    self.uuid = uuid
    self.id = id
    self.kind = kind
    self.lifecycle = lifecycle
    self.stubDomain = stubDomain
    self.route = route
    self.steps = steps
  }
}

/// What is done to one device.
package enum StepAction: String, Sendable, Codable, CaseIterable {
  case attach, detach
  /// Detached and attached again, since options differ.
  case reattach
  /// Detached from another domain of the manifest, then attached here.
  case move
  /// A difference nobody declared is mended.
  case repair
  /// Declared and already there: only Berth's record changes.
  case adopt
  /// As declared.
  case keep
  /// Attached, not declared, not Berth's: shown, left alone.
  case foreign
  /// Cannot be done; the reason says why and what to do.
  case blocked
  /// Will be done once the domain can take it.
  case pending
  /// A difference nobody declared that is not mended by itself.
  case drift

  /// Whether applying it changes the host or Berth's record.
  package var isChange: Bool {
    switch self {
    case .attach, .detach, .reattach, .move, .repair, .adopt: true
    case .keep, .foreign, .blocked, .pending, .drift: false
    }
  }
}

/// Why a step is what it is. The raw values are stable: scripts may depend on them.
package enum Reason: String, Sendable, Codable, CaseIterable {
  // Requested change
  case declared = "declared"
  case notDeclared = "not-declared"
  case optionsDiffer = "options-differ"
  case declaredElsewhere = "declared-elsewhere"
  case alreadyAttached = "already-attached"
  case inSync = "in-sync"
  case notOwned = "not-owned"
  // Blocked
  case deviceMissing = "device-missing"
  case notAssignable = "not-assignable"
  case isBridge = "is-bridge"
  case assignedElsewhere = "assigned-elsewhere"
  case attachedElsewhere = "attached-elsewhere"
  case claimedElsewhere = "claimed-elsewhere"
  case identityMismatch = "identity-mismatch"
  case identityUnknown = "identity-unknown"
  case hostWithoutIOMMU = "host-without-iommu"
  case domainWithoutIOMMU = "domain-without-iommu"
  case kindNotSupported = "kind-not-supported"
  case domainMismatch = "domain-mismatch"
  case domainAmbiguous = "domain-ambiguous"
  case removalLimit = "removal-limit"
  case corruptBackEnd = "corrupt-back-end"
  case corruptSavedConfiguration = "corrupt-saved-configuration"
  case busClosing = "bus-closing"
  case nameCollision = "name-collision"
  // Pending
  case domainAbsent = "domain-absent"
  case domainBuilding = "domain-building"
  case domainShuttingDown = "domain-shutting-down"
  case domainDestroying = "domain-destroying"
  case domainPaused = "domain-paused"
  case stubDomainAbsent = "stub-domain-absent"
  // Drift, which docs/drift.md describes; corrupt-back-end, corrupt-saved-configuration and bus-closing are too
  case configOnly = "config-only"
  case storeOnly = "store-only"
  case recordOnly = "record-only"
  case claimMissing = "claim-missing"
  case claimOnly = "claim-only"
  case claimForeign = "claim-foreign"
  case staleClaim = "stale-claim"
  case assignmentOnly = "assignment-only"
  case attachedTwice = "attached-twice"
  case exportPending = "export-pending"
  case notOnPCIBack = "not-on-pciback"
  case halfRemoved = "half-removed"
  case revokedButListed = "revoked-but-listed"
  case overwritten = "overwritten"
  case orphanEntry = "orphan-entry"
  case duplicateEntry = "duplicate-entry"
  case mislabelled = "mislabelled"
  case sharedGuestAddress = "shared-guest-address"
  case leftoverIntent = "leftover-intent"
  case deviceModelLacks = "device-model-lacks"
  case deviceModelOnly = "device-model-only"
  case busUnsettled = "bus-unsettled"
  case busTorn = "bus-torn"
  case roundUnheard = "round-unheard"
  case busReplaced = "bus-replaced"
  case busVanishing = "bus-vanishing"
  case leakedBackEnd = "leaked-back-end"

  /// Whether it names a difference between the stores rather than one between them and the manifest.
  package var isDrift: Bool {
    switch self {
    case .configOnly, .storeOnly, .recordOnly, .claimMissing, .claimOnly, .claimForeign, .staleClaim, .assignmentOnly,
      .attachedTwice, .exportPending, .notOnPCIBack, .halfRemoved, .revokedButListed, .overwritten, .orphanEntry,
      .duplicateEntry, .mislabelled, .sharedGuestAddress, .leftoverIntent, .deviceModelLacks, .deviceModelOnly,
      .busUnsettled, .busTorn, .roundUnheard, .busReplaced, .busVanishing, .leakedBackEnd, .corruptBackEnd,
      .corruptSavedConfiguration, .busClosing:
      true
    case .declared, .notDeclared, .optionsDiffer, .declaredElsewhere, .alreadyAttached, .inSync, .notOwned,
      .deviceMissing, .notAssignable, .isBridge, .assignedElsewhere, .attachedElsewhere, .claimedElsewhere,
      .identityMismatch, .identityUnknown, .hostWithoutIOMMU, .domainWithoutIOMMU, .kindNotSupported, .domainMismatch,
      .domainAmbiguous, .removalLimit, .nameCollision, .domainAbsent, .domainBuilding, .domainShuttingDown,
      .domainDestroying, .domainPaused, .stubDomainAbsent:
      false
    }
  }
}

/// One device's step in a domain.
package struct PlannedStep: Hashable, Sendable, Codable {
  /// When the guest takes part.
  package enum Mode: String, Sendable, Codable { case hot, cold }

  package var device: PCIAddress
  /// What the device is, where sysfs told.
  package var id: DeviceID?
  /// Its name in the manifest.
  package var label: String?
  package var action: StepAction
  package var reason: Reason
  package var mode: Mode?
  package var before: DeviceOptions?
  package var after: DeviceOptions?
  /// The name of the domain a moved device comes from.
  package var from: String?
  /// That domain, and how changes to it are made.
  package var source: DomainKey?
  package var sourceMode: Mode?
  package var sourceRoute: DeviceRoute?
  /// What was found that leads to this step, for people.
  package var evidence: String?
  /// How a person can get a blocked step unblocked.
  package var remedy: String?
  /// What else happens: "guest link drops", …
  package var effects: [String]
  package var isReversible: Bool
  package var isRequired: Bool

  package init(
    device: PCIAddress, id: DeviceID? = nil, label: String? = nil, action: StepAction, reason: Reason,
    mode: Mode? = nil, before: DeviceOptions? = nil, after: DeviceOptions? = nil, from: String? = nil,
    evidence: String? = nil, remedy: String? = nil, effects: [String] = [], isReversible: Bool = true,
    isRequired: Bool = true
  ) {
    self.device = device
    self.id = id
    self.label = label
    self.action = action
    self.reason = reason
    self.mode = mode
    self.before = before
    self.after = after
    self.from = from
    self.evidence = evidence
    self.remedy = remedy
    self.effects = effects
    self.isReversible = isReversible
    self.isRequired = isRequired
  }
}

/// A change to Berth's own record of a domain.
package enum RecordChange: Hashable, Sendable, Codable {
  /// The domain was found gone at this time, in seconds since 1970.
  case gone(DomainUUID, since: Int64)
  /// The domain is back.
  case returned(DomainUUID)
  /// The domain has been gone for so long that the record is removed.
  case collect(DomainUUID)
  /// The device is neither attached nor declared any more.
  case forget(DomainUUID, PCIAddress)
  /// The intent's domain is gone, and with it everything it could have left.
  case discard(intent: String)
}

/// A difference that belongs to no living domain.
package struct HostDrift: Hashable, Sendable, Codable {
  package enum Kind: String, Sendable, Codable, CaseIterable {
    /// A back end whose domain is gone.
    case leakedBackEnd = "leaked-back-end"
    /// A claim by a domain that is gone.
    case staleClaim = "stale-claim"

    /// The same name among all others.
    package var reason: Reason {
      switch self {
      case .leakedBackEnd: .leakedBackEnd
      case .staleClaim: .staleClaim
      }
    }
  }
  package var kind: Kind
  package var domain: DomainID?
  package var uuid: DomainUUID?
  package var device: PCIAddress?
  package var evidence: String
  /// Whether applying the plan mends it.
  package var isRepaired: Bool

  package init(
    kind: Kind, domain: DomainID? = nil, uuid: DomainUUID? = nil, device: PCIAddress? = nil, evidence: String,
    isRepaired: Bool
  ) {
    self.kind = kind
    self.domain = domain
    self.uuid = uuid
    self.device = device
    self.evidence = evidence
    self.isRepaired = isRepaired
  }
}
