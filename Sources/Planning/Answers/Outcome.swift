package import Model

/// How one step of an apply ended.
package enum StepResult: String, Sendable, CaseIterable {
  /// Done, and proven by what was read back.
  case done
  /// Nothing had to be done.
  case unchanged
  case failed
  /// Unknown: the guest did not answer in time. The next run resumes the step.
  case unknown
  /// Refused at the time of the change. Nothing was changed.
  case blocked
  /// The domain cannot take the change now.
  case pending
  /// Not begun, because the user asked to stop.
  case interrupted
}

/// The outcome of one device's step, and what was read back to prove it.
package struct StepOutcome: Hashable, Sendable {
  package var device: PCIAddress
  package var action: ChangeKind
  /// What tells the step apart from others on the same device; nil if that is not known.
  package var identity: StepID.Kind?
  package var result: StepResult
  /// For people: the cause, and the present state.
  package var detail: OutcomeDetail?
  /// What the change was refused for, if that has a name.
  package var reason: Reason?
  /// What was read back: `dev-1 0000:03:00.0`, `state-1 3`, `back end 4`, …
  package var evidence: [String]
  /// Whether this run undid what it had done for the step.
  package var isUndone: Bool
  /// The address at which the guest sees the device; nil if the guest does not have it.
  package var virtualAddress: PCIAddress?
  package var isRequired: Bool

  package init(
    device: PCIAddress, action: ChangeKind, identity: StepID.Kind? = nil, result: StepResult,
    detail: OutcomeDetail? = nil, reason: Reason? = nil, evidence: [String] = [], isUndone: Bool = false,
    virtualAddress: PCIAddress? = nil, isRequired: Bool = true
  ) {
    self.device = device
    self.action = action
    self.identity = identity
    self.result = result
    self.detail = detail
    self.reason = reason
    self.evidence = evidence
    self.isUndone = isUndone
    self.virtualAddress = virtualAddress
    self.isRequired = isRequired
  }
}

/// The outcomes of one domain's steps.
package struct DomainOutcome: Hashable, Sendable {
  package var name: Name
  package var id: DomainID?
  package var uuid: DomainUUID?
  package var steps: [StepOutcome]
  /// A failure that ended the domain's work early: the lock, the store, …
  package var failure: OutcomeDetail?
  /// Whether that failure was a busy lock.
  package var isLockBusy: Bool
  /// Devices whose entries another toolstack had overwritten, and that were added again.
  package var readopted: [PCIAddress]
  /// Number of reconfiguration rounds that this run started.
  package var rounds: Int
  /// Longest time for which the userdata lock was held, in microseconds.
  package var longestLockMicroseconds: Int64

  package init(
    name: Name, id: DomainID? = nil, uuid: DomainUUID? = nil, steps: [StepOutcome] = [],
    failure: OutcomeDetail? = nil,
    isLockBusy: Bool = false, readopted: [PCIAddress] = [], rounds: Int = 0, longestLockMicroseconds: Int64 = 0
  ) {
    self.name = name
    self.id = id
    self.uuid = uuid
    self.steps = steps
    self.failure = failure
    self.isLockBusy = isLockBusy
    self.readopted = readopted
    self.rounds = rounds
    self.longestLockMicroseconds = longestLockMicroseconds
  }
}

/// The outcome of an apply.
package struct ApplyOutcome: Hashable, Sendable {
  package var domains: [DomainOutcome]
  /// One sentence per repair of something that belongs to no living domain.
  package var hostRepairs: [String]
  /// What failed among those repairs, or in Berth's own records.
  package var hostFailures: [OutcomeDetail]
  package var wasInterrupted: Bool
  /// Changes that a fresh look asks for, but that nobody saw in the plan. They were not made.
  package var notShown: [UnshownChange] = []
  /// What became of the steps about drivers.
  package var drivers: [DriverOutcome] = []
  /// Steps about drivers that a fresh look asks for, but that nobody saw in the plan. They were not made.
  package var unshownDrivers: [DriverStep] = []
  package init(
    domains: [DomainOutcome] = [], hostRepairs: [String] = [], hostFailures: [OutcomeDetail] = [],
    wasInterrupted: Bool = false
  ) {
    self.domains = domains
    self.hostRepairs = hostRepairs
    self.hostFailures = hostFailures
    self.wasInterrupted = wasInterrupted
  }
}

/// The outcome of one step about a device's driver, and what was read back to prove it.
package struct DriverOutcome: Hashable, Sendable {
  package var step: DriverStep
  package var result: StepResult
  /// For people: the cause, and the present state.
  package var detail: OutcomeDetail?
  /// What the step was refused for, if that has a name.
  package var obstacle: Obstacle?
  /// What was read back: `driver pciback`, `driver_override none`, …
  package var evidence: [String]
  /// Whether this run undid what it had done for the step.
  package var isUndone: Bool
  /// Whether another run was at work on the device.
  package var isLockBusy = false

  package init(
    _ step: DriverStep, _ result: StepResult, _ detail: OutcomeDetail? = nil, obstacle: Obstacle? = nil,
    evidence: [String] = [], isUndone: Bool = false
  ) {
    self.step = step
    self.result = result
    self.detail = detail
    self.obstacle = obstacle
    self.evidence = evidence
    self.isUndone = isUndone
  }
}

/// A change that became necessary after the plan was shown.
package struct UnshownChange: Hashable, Sendable {
  package var domain: Name
  package var uuid: DomainUUID?
  package var id: DomainID?
  package var step: DeviceStep
  package init(domain: Name, uuid: DomainUUID?, id: DomainID?, step: DeviceStep) {
    (self.domain, self.uuid, self.id, self.step) = (domain, uuid, id, step)
  }
}
