import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing

/// What a run does under its locks with a plan that was shown before.
@Suite struct PlanRunnerTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  @Test func `a change that another run has made meanwhile is reported as already so`() throws {
    let (model, key, run) = try makeAttachedHost()
    let attach = try show(Sample.desired(["net": [one, two, three]]), on: model)
    try run.apply(Sample.desired(["net": [one, two, three]]))
    #expect(results(try carryOut(attach, on: model.host)) == ["net attach \(three) unchanged"])
    let detach = try show(Sample.desired(["net": [one]]), on: model)
    try run.apply(Sample.desired(["net": [one]]))
    let writes = model.store.requests
    let applied = try carryOut(detach, on: model.host)
    #expect(results(applied) == ["net detach \(two) unchanged", "net detach \(three) unchanged"])
    #expect(model.store.requests > writes, "it has looked again")
    #expect(disagreements(model, key, [one]) == [])
  }

  @Test func `a change that nobody was shown is not made, and is listed`() throws {
    let (model, key, run) = try makeAttachedHost()
    let shown = try show(Sample.desired(["net": [one, two, three]]), on: model)
    try run.apply(Sample.desired(["net": [one]]))
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied) == ["net attach \(three) done"], "what was shown is done")
    #expect(applied.outcome.notShown.map(\.step.device) == [two])
    #expect(applied.outcome.notShown.first?.domain == "net")
    #expect(disagreements(model, key, [one, three]) == [])
    #expect(!applied.plan.steps.contains { $0.device == two && $0.isChange }, "the plan of the run is without it")
  }

  @Test func `other options than those that were shown are no consent`() throws {
    let (model, key, _) = try makeAttachedHost()
    var shown = try show(Sample.desired(["net": [one, two, three]]), on: model)
    shown.desired.domains[0].devices[2].options.permissive = true
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied) == [])
    #expect(applied.outcome.notShown.map(\.step.device) == [three])
    #expect(disagreements(model, key, [one, two]) == [])
  }

  @Test func `a device that xl has attached meanwhile is adopted, since it was to be attached`() throws {
    let (model, key, run) = try makeAttachedHost()
    let shown = try show(Sample.desired(["net": [one, two, three]]), on: model)
    try run.apply(Sample.desired(["net": [one, two, three]]))
    model.put(OwnershipRecord(uuid: key.uuid, name: "net", devices: [one, two]))
    let applied = try carryOut(shown, on: model.host)
    #expect(Set(results(applied)) == ["net adopt \(three) done", "net attach \(three) unchanged"])
    #expect(applied.outcome.notShown.isEmpty)
    #expect(model.recorded(key) == [one, two, three])
  }

  @Test func `a domain that another run is at work on is left out, and the others are done`() throws {
    let (model, key, _) = try makeAttachedHost()
    model.addDomain(6, "other")
    let shown = try show(Sample.desired(["net": [one], "other": [three]]), on: model)
    let busy = try model.host.runLocks.lock(key.uuid, until: .now, isInterrupted: { false })
    let events = Mutex<[RunEvent]>([])
    let applied = try carryOut(shown, on: model.host) { event in events.withLock { $0.append(event) } }
    #expect(results(applied) == ["other attach \(three) done"])
    let refused = try #require(applied.outcome.domains.first { $0.name == "net" })
    #expect(refused.isLockBusy && refused.id == key.id)
    #expect(refused.failure?.contains("1234") == true, "it names the run")
    let waits = events.withLock { $0 }.filter { event in
      if case .waitingForRun(let domain, _, _) = event.kind { domain.name == "net" } else { false }
    }
    #expect(waits.count == 1)
    #expect(model.listed(5) == [one, two])
    if case .held(let lock) = busy { lock.release() }
    #expect(results(try carryOut(shown, on: model.host)).contains("net detach \(two) done"))
  }

  @Test func `a device does not move away from a domain that another run is at work on`() throws {
    let (model, key, _) = try makeAttachedHost()
    let other = model.addDomain(6, "other")
    let shown = try show(Sample.desired(["net": [one], "other": [two]]), on: model)
    let busy = try model.host.runLocks.lock(key.uuid, until: .now, isInterrupted: { false })
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied) == ["other move \(two) pending"])
    let moved = applied.outcome.domains.first { $0.name == "other" }?.steps.first
    #expect(moved?.detail == OutcomeDetail(.lockNotTaken, "net"))
    #expect(model.listed(5) == [one, two] && model.listed(6) == [])
    if case .held(let lock) = busy { lock.release() }
    _ = try carryOut(shown, on: model.host)
    #expect(disagreements(model, key, [one]) + disagreements(model, other, [two]) == [])
  }

  @Test func `every lock is released, whatever became of the run`() throws {
    let (model, key, _) = try makeAttachedHost()
    let other = model.addDomain(6, "other")
    for desired in [["net": [one], "other": [two]], ["net": [one, two, three], "other": []]] as [[Name: [PCIAddress]]] {
      _ = try carryOut(try show(Sample.desired(desired), on: model), on: model.host)
      for domain in [key, other] {
        guard case .held = try model.host.runLocks.lock(domain.uuid, until: .now, isInterrupted: { false }) else {
          Issue.record("\(domain) is still locked")
          continue
        }
      }
    }
  }

  @Test func `the locks of domains that are gone are removed, unless a run holds them`() throws {
    let (model, key, _) = try makeAttachedHost()
    let gone = model.addDomain(6, "gone")
    let held = model.addDomain(7, "held")
    _ = try carryOut(try show(Sample.desired(["gone": [three]]), on: model), on: model.host)
    let busy = try model.host.runLocks.lock(held.uuid, until: .now, isInterrupted: { false })
    #expect(Set(try model.host.runLocks.marks().keys) == [key.uuid, gone.uuid, held.uuid])
    model.destroy(6)
    model.destroy(7)
    _ = try carryOut(try show(Sample.desired(["net": [one]]), on: model), on: model.host)
    #expect(Set(try model.host.runLocks.marks().keys) == [key.uuid, held.uuid])
    if case .held(let lock) = busy { lock.release() }
  }

  // MARK: Plans without changes

  @Test func `a plan without changes is not looked at again if no run was at work`() throws {
    let (model, _, _) = try makeAttachedHost()
    let shown = try show(Sample.desired(["net": [one, two]]), on: model)
    let requests = model.store.requests
    let applied = try carryOut(shown, on: model.host)
    #expect(applied.outcome == ApplyOutcome() && applied.plan == shown.plan)
    #expect(model.store.requests == requests)
  }

  @Test(arguments: [false, true])
  func `a plan without changes is looked at again if a run was, or is, at work`(_ isAtWork: Bool) throws {
    let (model, key, run) = try makeAttachedHost()
    let shown = try show(Sample.desired(["net": [one, two]]), on: model)
    #expect(!shown.plan.hasChanges)
    let attempt = try model.host.runLocks.lock(key.uuid, until: .now, isInterrupted: { false })
    guard case .held(let lock) = attempt else {
      Issue.record("the lock was not to be had")
      return
    }
    if !isAtWork {
      lock.release()
      try run.apply(Sample.desired(["net": [one]]))
    }
    let applied = try carryOut(shown, on: model.host)
    if isAtWork {
      #expect(applied.outcome.domains.map(\.isLockBusy) == [true], "in sync is not what it says while a run is at work")
    } else {
      #expect(applied.outcome.notShown.map(\.step.device) == [two])
    }
    lock.release()
  }

  // MARK: What goes wrong

  @Test func `a run that cannot look again changes nothing, and says why`() throws {
    let (model, key, _) = try makeAttachedHost()
    let shown = try show(Sample.desired(["net": [one]]), on: model)
    var host = model.host
    let error = HostError.record(RecordError(.damaged, operation: "read", place: "records"))
    host.ownership = BrokenRecords(inner: host.ownership, error: error)
    #expect(throws: error) { try carryOut(shown, on: host) }
    #expect(disagreements(model, key, [one, two]) == [])
  }

  @Test func `a lock that cannot be taken is that domain's failure, and nothing is touched there`() throws {
    let (model, key, _) = try makeAttachedHost()
    model.addDomain(6, "other")
    let shown = try show(Sample.desired(["net": [one], "other": [three]]), on: model)
    var host = model.host
    let error = HostError.record(RecordError(.damaged, operation: "lock", place: "\(key.uuid).lock"))
    host.runLocks = BrokenLock(inner: host.runLocks, domain: key.uuid, error: error)
    let applied = try carryOut(shown, on: host)
    #expect(results(applied) == ["other attach \(three) done"])
    let failed = try #require(applied.outcome.domains.first { $0.name == "net" })
    #expect(failed.failure == OutcomeDetail(error) && !failed.isLockBusy)
    #expect(disagreements(model, key, [one, two], among: [one, two]) == [])
  }

  @Test func `a run that is stopped while it waits for another one has changed nothing`() throws {
    let (model, key, _) = try makeAttachedHost()
    let shown = try show(Sample.desired(["net": [one]]), on: model)
    let busy = try model.host.runLocks.lock(key.uuid, until: .now, isInterrupted: { false })
    var host = model.host
    host.isInterrupted = { true }
    let applied = try carryOut(shown, on: host)
    #expect(applied.outcome.wasInterrupted && applied.outcome.domains.isEmpty)
    #expect(model.listed(5) == [one, two])
    if case .held(let lock) = busy { lock.release() }
  }
}

/// Records that cannot be read.
private struct BrokenRecords: OwnershipPort {
  let inner: any OwnershipPort
  let error: HostError
  func readRecords() throws(HostError) -> OwnFiles<OwnershipRecord> { throw error }
  func record(of domain: DomainUUID) throws(HostError) -> OwnershipRecord? { throw error }
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    try inner.update(domain, change)
  }
  func sweep() {}
}

/// Run locks of which one is no lock.
private struct BrokenLock: RunLockPort {
  let inner: any RunLockPort
  let domain: DomainUUID
  let error: HostError
  func lock(
    _ domain: DomainUUID, until deadline: ContinuousClock.Instant, isInterrupted: () -> Bool
  ) throws(HostError) -> RunLockAttempt {
    guard domain != self.domain else { throw error }
    return try inner.lock(domain, until: deadline, isInterrupted: isInterrupted)
  }
  func readMarks() throws(HostError) -> (marks: [DomainUUID: RunMark], damaged: [DamagedFile]) {
    try inner.readMarks()
  }
  func sweep(keeping living: Set<DomainUUID>) {}
}
