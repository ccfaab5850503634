package import Model

/// What would turn the observation into the desired state: closed data, decided once.
package struct Plan: Hashable, Sendable {
  package var host: HostFacts
  package var domainCount: Int
  package var deviceCount: Int
  package var policy: Policy
  /// The set of manifests that the plan is for.
  package var set = DesiredState.defaultSet
  /// The other sets that own devices of living domains, in order of name.
  package var otherSets: [String] = []
  /// Domains with something to show, declared ones first, each group in order of name.
  package var domains: [DomainPlan]
  /// What belongs to no living domain: back ends and claims of domains that are gone.
  package var hostSteps: [HostStep]
  /// What is done with drivers of devices: preparations before the work on the domains, releases after it.
  package var driverSteps: [DriverStep] = []
  /// Changes to Berth's own records that an apply makes on the way; nothing on the host depends on them.
  package var bookkeeping: [RecordChange]
  /// Why nothing of the plan may be applied; nil if it may be.
  package var refusal: PlanRefusal?

  package init(
    host: HostFacts, domainCount: Int, deviceCount: Int, policy: Policy, domains: [DomainPlan] = [],
    hostSteps: [HostStep] = [], bookkeeping: [RecordChange] = [], refusal: PlanRefusal? = nil
  ) {
    self.host = host
    self.domainCount = domainCount
    self.deviceCount = deviceCount
    self.policy = policy
    self.domains = domains
    self.hostSteps = hostSteps
    self.bookkeeping = bookkeeping
    self.refusal = refusal
  }

  /// Whether the plan may be applied.
  package var verdict: PlanVerdict {
    if let refusal { return .refused(refusal) }
    return hasChanges ? .applicable(leavesBlocked: isBlocked) : .nothingToDo
  }

  /// The steps of all domains, in their order.
  package var steps: [DeviceStep] {
    var steps: [DeviceStep] = []
    steps.reserveCapacity(count { _ in true })
    for domain in domains { steps += domain.steps }
    return steps
  }

  /// The number of devices that declared domains cannot take now, because a domain does not run or is not known.
  package var unreadyCount: Int {
    domains.reduce(0) { $0 + ($1.id == nil ? $1.unresolved.count : 0) }
      + count { step in
        switch step.kind {
        case .pending: true
        case .blocked(let obstacle): obstacle.isUnreadyDomain
        case .change, .unchanged, .kept, .foreign, .drift: false
        }
      }
  }

  /// Whether the steps would change anything but Berth's own records and intents of what is gone.
  package var hasChanges: Bool {
    hasStep { $0.isChange } || hostSteps.contains { $0.isChange } || !driverSteps.isEmpty
  }

  /// Whether a step that counts as blocked is left.
  package var isBlocked: Bool {
    hasStep { $0.countsAsBlocked } || domains.contains { $0.unresolved.contains(where: \.countsAsBlocked) }
  }

  /// Returns how many steps there are of an action.
  package func count(_ action: StepAction) -> Int {
    count { $0.action == action } + (action == .blocked ? domains.reduce(0) { $0 + $1.unresolved.count } : 0)
  }

  func count(_ predicate: (DeviceStep) -> Bool) -> Int {
    domains.reduce(0) { sum, domain in sum + domain.steps.count(where: predicate) }
  }

  /// Returns whether any step satisfies the predicate. Avoids the array that `steps` builds.
  private func hasStep(_ predicate: (DeviceStep) -> Bool) -> Bool {
    domains.contains { $0.steps.contains(where: predicate) }
  }
}

/// The steps of one domain.
package struct DomainPlan: Hashable, Sendable {
  package var name: Name
  package var uuid: DomainUUID?
  package var id: DomainID?
  package var kind: DomainKind?
  /// Nil if the domain does not exist.
  package var lifecycle: DomainLifecycle?
  package var stubDomain: DomainID?
  /// In order of address; drift after requested change.
  package var steps: [DeviceStep]
  /// Declared devices that were not found, or not as exactly one, in order of label.
  package var unresolved: [UnresolvedStep]
  /// The run of Berth that was at work on the domain when the host was observed.
  package var run: RunHolder?

  package init(
    name: Name, uuid: DomainUUID? = nil, id: DomainID? = nil, kind: DomainKind? = nil,
    lifecycle: DomainLifecycle? = nil, stubDomain: DomainID? = nil, steps: [DeviceStep] = [],
    unresolved: [UnresolvedStep] = []
  ) {
    self.name = name
    self.uuid = uuid
    self.id = id
    self.kind = kind
    self.lifecycle = lifecycle
    self.stubDomain = stubDomain
    self.steps = steps
    self.unresolved = unresolved
  }
}

/// A change to Berth's own record of a domain.
package enum RecordChange: Hashable, Sendable {
  /// The domain was found gone at this time, in seconds since 1970.
  case gone(DomainUUID, since: Int64)
  /// The domain is back.
  case returned(DomainUUID)
  /// The domain has been gone for so long that the record is removed.
  case collect(DomainUUID)
  /// The device is neither attached nor declared any more.
  case forget(DomainUUID, PCIAddress)
  /// The domain has the device, and what it was granted with it in this life is not on record yet.
  case granted(DomainUUID, PCIAddress)
  /// The intent's domain is gone, and with it everything it could have left.
  case discard(intent: String)
  /// A dead run had pciback release the device, and may not have bound it again.
  case bind(PCIAddress, intent: String)
}
