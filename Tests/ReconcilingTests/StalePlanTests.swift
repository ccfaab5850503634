import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// What a run makes of a shown plan whose domains have changed since.
@Suite struct StalePlanTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  // MARK: A name that another domain has now

  @Test func `nothing of the plan of a domain that was recreated under its name is carried out`() throws {
    let (model, key, _) = try makeAttachedHost()
    model.addDomain(6, "web")
    let shown = try show(Sample.desired(["net": [one], "web": [two]]), on: model)
    #expect(shown.plan.count(.move) == 1)
    model.destroy(6)
    let new = model.addDomain(7, "web")
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied) == [])
    #expect(applied.outcome.domains.isEmpty)
    #expect(applied.outcome.notShown.map(\.uuid) == [new.uuid])
    #expect(applied.outcome.notShown.map(\.step.action) == [.move])
    #expect(exitStatus(of: applied.outcome, plan: applied.plan, requiresRunning: false) == .stalePlan)
    #expect(!applied.plan.domains.contains { $0.id == DomainID(6) }, "the plan of the run is without the gone domain")
    #expect(disagreements(model, key, [one, two]) == [])
  }

  @Test func `a plan lists a domain once if an undeclared domain gets its name`() throws {
    let (model, _, _) = try makeAttachedHost()
    model.addDomain(6, "web")
    let shown = try show(Sample.desired(["web": [three]], prune: .never), on: model)
    #expect(shown.plan.domains.map(\.name) == ["web", "net"])
    // The new domain comes first in order of name and number.
    let twin = model.addDomain(3, "net")
    model.addDevice(Sample.address(4), interrupt: 17)
    #expect(ModelXl(model, twin, Sample.address(4)).attach() == .success)
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied) == ["web attach \(three) done"])
    #expect(applied.plan.domains.filter { $0.name == "net" }.map(\.id) == [DomainID(5)])
  }

  // MARK: A plan that was agreed to long before

  @Test func `an exact plan is not carried out on another life of its domain`() throws {
    for isExact in [false, true] {
      let model = ModelHost()
      let key = model.addDomain(5, "net")
      model.addDevice(three)
      var shown = try show(Sample.desired(["net": [three]]), on: model)
      shown.isExact = isExact
      // The guest restarts under its UUID.
      model.destroy(5)
      model.addDomain(8, "net", uuid: key.uuid)
      let applied = try carryOut(shown, on: model.host)
      #expect(applied.outcome.notShown.map(\.step.device) == (isExact ? [three] : []))
      #expect(results(applied) == (isExact ? [] : ["net attach \(three) done"]))
    }
  }

  // MARK: Changes that the fresh plan does not show

  @Test func `a move that was shown as pending is not made`() throws {
    let (model, key, _) = try makeAttachedHost()
    model.addDomain(6, "other") { $0.isPaused = true }
    let shown = try show(Sample.desired(["net": [one], "other": [two]]), on: model)
    #expect(!shown.plan.hasChanges)
    model.change(6) { $0.isPaused = false }
    // Another run was at work, so the host is looked at again.
    let held = try model.host.runLocks.lock(key.uuid, until: .now, isInterrupted: { false })
    guard case .held(let lock) = held else {
      Issue.record("busy")
      return
    }
    lock.release()
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied).isEmpty)
    #expect(applied.outcome.notShown.map(\.step.action) == [.move])
    #expect(disagreements(model, key, [one, two]) == [])
  }

  @Test func `a repair is not so while the domain cannot take it`() throws {
    let (model, key, _) = try makeAttachedHost()
    try model.loseSavedLine(of: two, key)
    let shown = try show(Sample.desired(["net": [one, two]]), on: model)
    #expect(shown.plan.count(.repair) == 1)
    model.change(5) { $0.isPaused = true }
    let applied = try carryOut(shown, on: model.host)
    #expect(results(applied) == ["net repair \(two) pending"])
    #expect(applied.outcome.domains.first?.steps.first?.detail == OutcomeDetail(.cannotTakeChange))
    #expect(model.saved(key) == [one])
  }

  @Test func `a detach is not so while the domain cannot take it`() throws {
    let (model, key, run) = try makeAttachedHost()
    try run.apply(Sample.desired(["net": [one]]))
    // The state after a killed run: only its intent names the device.
    model.put(Intent(identifier: "left", domain: key, operation: .detach, devices: [two]))
    let shown = try show(Sample.desired(["net": [one]]), on: model)
    #expect(shown.plan.count(.detach) == 1)
    model.change(5) { $0.isPaused = true }
    #expect(results(try carryOut(shown, on: model.host)) == ["net detach \(two) pending"])
  }

  // MARK: Events

  @Test func `each of two repairs of one device ends under its own step`() throws {
    let (model, key, _) = try makeAttachedHost()
    try model.loseSavedLine(of: two, key)
    model.store[StorePath.claim(two).text] = nil
    let shown = try show(Sample.desired(["net": [one, two]]), on: model)
    let ids = shown.plan.steps.filter(\.isChange).map(\.id)
    #expect(ids.count == 2)
    let ended = Mutex<[StepID?]>([])
    let applied = try carryOut(shown, on: model.host) { event in
      if case .stepEnded(_, let step, _) = event.kind { ended.withLock { $0.append(step) } }
    }
    #expect(results(applied).count == 2)
    #expect(Set(ended.withLock { $0 }) == Set(ids))
  }
}
