package import Model

/// How one step of an apply ended.
package enum StepResult: String, Sendable, CaseIterable {
  /// Done and proven by what was read back.
  case done
  /// Nothing had to be done.
  case unchanged
  case failed
  /// Not known: the guest did not answer in time. The next run takes it up.
  case unknown
  /// Refused at the time of the change, with nothing touched.
  case blocked
  /// The domain cannot take it now.
  case pending
  /// Not begun, since the user asked to stop.
  case interrupted
}

/// What became of one device's step, and what was read back to prove it.
package struct StepOutcome: Hashable, Sendable {
  package var device: PCIAddress
  package var action: ChangeKind
  package var result: StepResult
  /// For people: the cause, and what is so now.
  package var detail: OutcomeDetail?
  /// What was read back: `dev-1 0000:03:00.0`, `state-1 3`, `back end 4`, …
  package var evidence: [String]
  /// Whether what this run had done for the step was taken back.
  package var isUndone: Bool
  /// The address the guest sees, where it has the device.
  package var virtualAddress: PCIAddress?
  package var isRequired: Bool

  package init(
    device: PCIAddress, action: ChangeKind, result: StepResult, detail: OutcomeDetail? = nil, evidence: [String] = [],
    isUndone: Bool = false, virtualAddress: PCIAddress? = nil, isRequired: Bool = true
  ) {
    self.device = device
    self.action = action
    self.result = result
    self.detail = detail
    self.evidence = evidence
    self.isUndone = isUndone
    self.virtualAddress = virtualAddress
    self.isRequired = isRequired
  }
}

/// What became of one domain's steps.
package struct DomainOutcome: Hashable, Sendable {
  package var name: String
  package var id: DomainID?
  package var uuid: DomainUUID?
  package var steps: [StepOutcome]
  /// A failure that ended the domain's work early: the lock, the store, …
  package var failure: OutcomeDetail?
  /// Whether that failure was the lock.
  package var isLockBusy: Bool
  /// Entries that another toolstack had overwritten, and that are back.
  package var readopted: [PCIAddress]
  /// Reconfiguration rounds this run started.
  package var rounds: Int
  /// Longest time the userdata lock was held, in microseconds.
  package var longestLockMicroseconds: Int64

  package init(
    name: String, id: DomainID? = nil, uuid: DomainUUID? = nil, steps: [StepOutcome] = [],
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

/// What became of an apply.
package struct ApplyOutcome: Hashable, Sendable {
  package var domains: [DomainOutcome]
  /// Sentences on what was mended that belongs to no living domain.
  package var hostRepairs: [String]
  /// Sentences on what of that, or of Berth's own records, could not be done.
  package var hostFailures: [OutcomeDetail]
  package var wasInterrupted: Bool
  /// Changes that a fresh look asks for and nobody was shown: they were not made.
  package var notShown: [UnshownChange] = []
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

/// A change that became necessary after the plan was shown.
package struct UnshownChange: Hashable, Sendable {
  package var domain: String
  package var uuid: DomainUUID?
  package var id: DomainID?
  package var step: DeviceStep
  package init(domain: String, uuid: DomainUUID?, id: DomainID?, step: DeviceStep) {
    (self.domain, self.uuid, self.id, self.step) = (domain, uuid, id, step)
  }
}

/// What an apply tells while it runs.
package enum ApplyEvent: Hashable, Sendable {
  /// Another run of Berth is at work on the domain; its end is waited for.
  case waitingForRun(domain: String, holder: RunHolder?, until: ContinuousClock.Instant)
  case began(domain: String, devices: Int)
  /// The change is committed and the guest is asked.
  case waiting(domain: String, devices: Int, until: ContinuousClock.Instant)
  /// Another toolstack was seen at work; its entries are looked at again later.
  case auditing(domain: String, until: ContinuousClock.Instant)
  case finished(DomainOutcome)
}
