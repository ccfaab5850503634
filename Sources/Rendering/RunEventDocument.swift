package import Model
package import Planning

/// One line of `berth apply -o jsonl`: an event, as it happens. The last line has the result of the run.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct RunEventDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "RunEvent", formatVersion: 1)

  /// 16 hexadecimal digits; all events of one run have the same.
  let run: String
  /// Seconds since 1970.
  let time: Int64
  let event: Name
  let domain: String?
  let uuid: String?
  let steps: [String]?
  let phase: String?
  /// The run of Berth that is waited for.
  let holder: RunDocument?
  /// How long the wait lasts at most.
  let seconds: Int64?
  let result: StepOutcomeDocument?
  let failure: String?
  /// The step about a driver that begins.
  let driver: DriverStepDocument?
  /// What became of a step about a driver.
  let driverResult: DriverOutcomeDocument?
  let outcome: WithHead<ApplyDocument>?

  /// The words for events. They are stable: scripts depend on them.
  package enum Name: String, Encodable, Sendable, CaseIterable {
    case runBegan = "run-began"
    case waitingForRun = "waiting-for-run"
    case driverBegan = "driver-began"
    case driverEnded = "driver-ended"
    case domainBegan = "domain-began"
    case phase
    case waitingForGuest = "waiting-for-guest"
    case auditing
    case stepEnded = "step-ended"
    case domainEnded = "domain-ended"
    case runEnded = "run-ended"
  }

  private init(
    _ run: String, at time: Int64, _ event: Name, _ domain: RunEvent.Domain? = nil, steps: [StepID]? = nil,
    phase: RunEvent.Phase? = nil, holder: RunHolder? = nil, until deadline: ContinuousClock.Instant? = nil,
    result: StepOutcomeDocument? = nil, failure: String? = nil, driver: DriverStepDocument? = nil,
    driverResult: DriverOutcomeDocument? = nil, outcome: WithHead<ApplyDocument>? = nil
  ) {
    self.run = run
    self.time = time
    self.event = event
    self.domain = domain?.name.text
    uuid = domain?.uuid.description
    self.steps = steps?.map(\.description)
    self.phase = phase?.rawValue
    self.holder = holder.map(RunDocument.init)
    seconds = deadline.map { Words.seconds(until: $0) }
    self.result = result
    self.failure = failure
    self.driver = driver
    self.driverResult = driverResult
    self.outcome = outcome
  }

  /// Makes the line for an event; `place` has the words for failures. Returns nil for the end of the run, because its
  /// line has the whole result, which the event lacks.
  package init?(_ event: RunEvent, at time: Int64, place: HostPlace) {
    let run = event.run.description
    switch event.kind {
    case .runBegan(let steps): self.init(run, at: time, .runBegan, steps: steps)
    case .waitingForRun(let domain, let holder, let deadline):
      self.init(run, at: time, .waitingForRun, domain, holder: holder, until: deadline)
    case .driverBegan(let step):
      self.init(run, at: time, .driverBegan, driver: DriverStepDocument(step, naming: { _ in nil }))
    case .driverEnded(let outcome):
      let result = DriverOutcomeDocument(outcome, place, { _ in nil })
      self.init(run, at: time, .driverEnded, driverResult: result)
    case .domainBegan(let domain, let steps): self.init(run, at: time, .domainBegan, domain, steps: steps)
    case .phase(let phase, let domain, let steps): self.init(run, at: time, .phase, domain, steps: steps, phase: phase)
    case .waiting(let domain, let steps, let deadline):
      self.init(run, at: time, .waitingForGuest, domain, steps: steps, until: deadline)
    case .auditing(let domain, let deadline): self.init(run, at: time, .auditing, domain, until: deadline)
    case .stepEnded(let domain, let id, let outcome):
      let holder = Holder(id: nil, name: domain.name)
      let result = StepOutcomeDocument(outcome, planned: nil, in: holder, place, { _ in nil })
      self.init(run, at: time, .stepEnded, domain, steps: id.map { [$0] }, result: result)
    case .domainEnded(let domain, let failure):
      self.init(run, at: time, .domainEnded, domain, failure: failure.map(place.text))
    case .runEnded: return nil
    }
  }

  /// Makes the last line of a run.
  package init(end view: ApplyView, run: String, at time: Int64) {
    self.init(run, at: time, .runEnded, outcome: WithHead(view.document))
  }

  /// Returns the document on one line, ended by a newline. Throws what the encoder throws.
  package func line() throws -> TerminalText { try json(self, isIndented: false) }
}
