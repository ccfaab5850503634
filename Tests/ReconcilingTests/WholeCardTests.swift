import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// A card of which the manifest takes all functions: all are taken from their drivers, or none.
@Suite struct WholeCardTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  private func makeHost(_ devices: [PCIAddress]? = nil) -> (model: ModelHost, key: DomainKey, run: Run) {
    makeDriverHost(devices ?? [one, two])
  }

  /// Returns a declaration in which the devices of each domain are the functions of one card.
  private func whole(_ domains: [Name: [PCIAddress]], _ after: Policy.AfterDetach = .keep) -> DesiredState {
    preparing(domains, after).withCards
  }

  /// Returns what each driver step says, by device.
  private func texts(_ outcome: ApplyOutcome) -> [PCIAddress: String] {
    Dictionary(
      outcome.drivers.map { ($0.step.device, $0.detail?.plain ?? "") }, uniquingKeysWith: { first, _ in first })
  }

  private func carryOut(_ plan: Plan, on host: Host) -> ApplyOutcome {
    ScheduleRunner(host: host, options: .hasty) { _ in }.apply(plan)
  }

  /// Returns a hook that runs an action at the record that is written as the given one, counted from 1.
  private func hook(atRecord number: Int, _ action: @escaping @Sendable () -> Void) -> Hook<Void, Void> {
    let hook = Hook<Void, Void>()
    @Sendable func arm(_ left: Int) {
      hook.function = { _ in if left == 1 { action() } else { arm(left - 1) } }
    }
    arm(number)
    return hook
  }

  // MARK: The plan

  @Test func `one blocked function blocks the others, and the plan names it`() throws {
    let (model, _, run) = makeHost()
    model.drivers.setUsage(.mounted(two, at: "/srv"))
    let wanted = whole(["net": [one, two]])
    let plan = try run.plan(wanted)
    #expect(plan.steps.map(\.kind.name) == ["card-blocked", "interlocked"] && plan.driverSteps.isEmpty)
    let evidence = plan.steps.first?.evidence ?? ""
    #expect(evidence.hasPrefix("all functions of the card are declared, and \(two) is blocked: interlocked: "))
    #expect(evidence.hasSuffix("sda → /srv"), "\(evidence)")
    try run.apply(wanted)
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil)
    // Devices that are declared one by one do not wait for each other.
    #expect(try run.plan(preparing(["net": [one, two]], .keep)).driverSteps.map(\.device) == [one])
  }

  @Test func `one blocked function keeps a domain that does not exist from having the others prepared`() throws {
    let (model, _, run) = makeHost()
    model.drivers.setUsage(.mounted(two, at: "/srv"))
    let plan = try run.plan(whole(["later": [one, two]]))
    #expect(plan.driverSteps.isEmpty)
    #expect(plan.steps.first?.evidence?.contains("\(two) is blocked: ") == true, "\(plan.steps)")
  }

  @Test func `a function that the guest has stays, and one on pciback is not attached alone`() throws {
    let (model, key, run) = makeHost([one, two, three])
    try run.apply(preparing(["net": [one], "later": [two]], .keep))
    model.drivers.setUsage(.mounted(three, at: "/srv"))
    let wanted = whole(["net": [one, two, three]])
    #expect(try run.plan(wanted).steps.map(\.kind.name) == ["in-sync", "card-blocked", "interlocked"])
    try run.apply(wanted)
    #expect(model.listed(5) == [one] && model.recorded(key) == [one])
    #expect(model.drivers.driver(of: two) == "pciback" && model.drivers.preparation(of: two)?.phase == .prepared)
  }

  // MARK: The run

  @Test func `what is found before the first unbind leaves every function as it is`() throws {
    let (model, _, run) = makeHost()
    let plan = try run.plan(whole(["net": [one, two]]))
    model.drivers.setUsage(.mounted(two, at: "/srv"))
    let before = [one, two].map { model.drivers.driverState(of: $0) }
    let outcome = carryOut(plan, on: model.host)
    #expect(outcome.drivers.map(\.result) == [.blocked, .blocked])
    #expect(outcome.drivers.map(\.obstacle) == [.cardBlocked, .interlocked])
    #expect(texts(outcome)[one]?.contains("\(two) cannot be taken: interlocked") == true, "\(texts(outcome))")
    #expect([one, two].map { model.drivers.driverState(of: $0) } == before)
    #expect(exitStatus(of: outcome, plan: plan, requiresRunning: false) == .blocked)
    let steps = outcome.domains.flatMap(\.steps)
    #expect(steps.map(\.result) == [.blocked, .blocked] && steps.allSatisfy { $0.reason == .obstacle(.cardBlocked) })
    #expect(steps.allSatisfy { $0.detail?.plain.contains("\(two) cannot be taken") == true })
  }

  @Test(arguments: ["e1000e", "pciback"])
  func `a function whose driver refuses returns those that were taken`(_ driver: String) throws {
    let (model, _, run) = makeHost([one, two, three])
    let before = [one, two, three].map { model.drivers.driverState(of: $0) }
    model.drivers.refuse(two, by: driver)
    let plan = try run.plan(whole(["net": [one, two, three]]))
    let outcome = carryOut(plan, on: model.host)
    #expect(outcome.drivers.map(\.result) == [.failed, .failed, .blocked], "\(texts(outcome))")
    #expect(outcome.drivers.map(\.isUndone) == [true, true, false])
    #expect(texts(outcome)[one]?.contains("\(two) cannot be taken: ") == true, "\(texts(outcome))")
    #expect(texts(outcome)[one]?.hasSuffix("; e1000e has it again") == true, "\(texts(outcome))")
    #expect(texts(outcome)[three]?.contains("\(two) cannot be taken: ") == true, "\(texts(outcome))")
    #expect([one, two, three].map { model.drivers.driverState(of: $0) } == before)
    #expect(model.listed(5).isEmpty && model.owner(of: one) == nil)
    #expect(exitStatus(of: outcome, plan: plan, requiresRunning: false) == .rolledBack)
  }

  @Test func `a function that an earlier run prepared stays prepared, and is not attached`() throws {
    let (model, _, run) = makeHost()
    try run.apply(preparing(["later": [one]], .keep))
    let before = model.drivers.driverState(of: one)
    model.drivers.refuse(two, by: "pciback")
    let outcome = try run.apply(whole(["net": [one, two]]))
    #expect(outcome.drivers.map(\.step.device) == [two] && model.drivers.driver(of: two) == "e1000e")
    #expect(model.drivers.driverState(of: one) == before && model.listed(5).isEmpty && model.owner(of: one) == nil)
    #expect(failures(outcome).contains { $0.hasPrefix("attach \(one) blocked: ") && $0.contains("\(two) cannot be") })
  }

  @Test func `a function that another domain has stays there`() throws {
    let (model, _, run) = makeHost()
    model.addDomain(6, "other")
    try run.apply(preparing(["other": [one]], .keep))
    model.drivers.refuse(two, by: "e1000e")
    let wanted = whole(["net": [one, two], "other": []])
    #expect(try run.plan(wanted).steps.map(\.action) == [.move, .attach])
    let outcome = try run.apply(wanted)
    #expect(model.exports(to: 6) == [one] && model.listed(5).isEmpty && model.owner(of: one) == DomainID(6))
    #expect(failures(outcome).contains { $0.hasPrefix("move \(one) blocked: ") }, "\(failures(outcome))")
  }

  @Test func `a driver that does not answer stops the card, and the next run begins with it`() throws {
    let (model, key, run) = makeHost()
    model.drivers.addHostDevice(two, driver: "nvme")
    model.drivers.silence("nvme")
    let wanted = whole(["net": [one, two]])
    let plan = try run.plan(wanted)
    let outcome = carryOut(plan, on: model.host)
    #expect(outcome.drivers.map(\.result) == [.failed, .unknown] && outcome.drivers.map(\.isUndone) == [true, false])
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil)
    #expect(model.drivers.driverOverride(of: two) == "pciback" && model.drivers.preparation(of: two) != nil)
    // What hangs is not undone.
    #expect(exitStatus(of: outcome, plan: plan, requiresRunning: false) == .failed)
    let again = try run.apply(wanted)
    #expect(again.drivers.map(\.result) == [.blocked, .unknown], "\(texts(again))")
    model.drivers.silence("nvme", false)
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(model.listed(5).sorted() == [one, two] && model.recorded(key).sorted() == [one, two])
  }

  @Test func `a function that somebody got meanwhile is not taken from him`() throws {
    let (model, _, run) = makeHost()
    model.addDomain(6, "other")
    model.drivers.refuse(two, by: "e1000e")
    let plan = try run.plan(whole(["later": [one, two]]))
    let hook = hook(atRecord: 3) { [one] in model.setOwner(one, 6) }
    let outcome = carryOut(plan, on: model.host(whenRecorded: hook))
    #expect(hook.function == nil, "too few records were written")
    #expect(outcome.drivers.map(\.isUndone) == [false, true], "\(texts(outcome))")
    #expect(texts(outcome)[one]?.contains("it was not put back as it was: the device is not free") == true)
    #expect(model.drivers.driver(of: one) == "pciback" && model.drivers.preparation(of: one)?.phase == .prepared)
  }

  @Test func `a busy record of one function stops the card before anything is changed`() throws {
    let (model, _, run) = makeHost()
    let held = try model.host.preparations.hold(two, until: .now)
    let plan = try run.plan(whole(["net": [one, two]]))
    let outcome = carryOut(plan, on: model.host)
    held.release()
    #expect(outcome.drivers.map(\.isLockBusy) == [false, true] && model.drivers.preparation(of: one) == nil)
    #expect(exitStatus(of: outcome, plan: plan, requiresRunning: false) == .lockBusy)
    let next = try model.host.preparations.hold(one, until: .now)
    next.release()
  }

  @Test func `a function that nobody was shown keeps the whole card`() throws {
    let (model, _, run) = makeHost()
    try run.apply(preparing(["later": [two]], .keep))
    let shown = try show(whole(["net": [one, two]]), on: model)
    #expect(shown.plan.driverSteps.map(\.device) == [one])
    try model.releaseByHand(two)
    let applied = try ReconcilingTests.carryOut(shown, on: model.host)
    #expect(applied.outcome.unshownDrivers.map(\.device) == [one, two] && applied.outcome.drivers.isEmpty)
    #expect(model.drivers.driver(of: one) == "e1000e" && model.listed(5).isEmpty)
    #expect(exitStatus(of: applied.outcome, plan: applied.plan, requiresRunning: false) == .stalePlan)
  }

  // MARK: Runs that end on the way

  @Test(arguments: [nil, "e1000e", "pciback"])
  func `a run that is killed anywhere leaves the next one a card that is taken or not`(_ refusing: String?) throws {
    var isWhole = false
    var cuts = 0
    for step in 1..<400 where !isWhole {
      let (model, key, run) = makeHost()
      if let refusing { model.drivers.refuse(two, by: refusing) }
      let wanted = whole(["net": [one, two]], .restore)
      let plan = try run.plan(wanted)
      model.kill(beforeStep: step)
      _ = carryOut(plan, on: model.host)
      isWhole = !model.restart()
      if !isWhole { cuts += 1 }
      let first = failures(try run.apply(wanted))
      if refusing == nil {
        _ = try run.apply(wanted)
        let left = disagreements(model, key, [one, two]).filter { !$0.hasPrefix("interrupt") }
        #expect(try unrest(run.plan(wanted)).isEmpty && left.isEmpty, "killed before step \(step): \(first) \(left)")
      } else {
        #expect(model.listed(5).isEmpty && model.owner(of: one) == nil, "killed before step \(step)")
        #expect([one, two].allSatisfy { model.drivers.driver(of: $0) != nil }, "killed before step \(step): \(first)")
      }
      // Then the card is not declared any more.
      for _ in 0..<2 { try run.apply(whole(["net": []], .restore)) }
      for device in [one, two] {
        let state = model.drivers.driverState(of: device)
        #expect(
          state.driver == "e1000e" && state.phase == nil && state.driverOverride == nil && !state.isQuarantined,
          "killed before step \(step): \(device) \(state)")
      }
    }
    #expect(isWhole && cuts > 10)
  }

  @Test func `one fault at any request takes the card or leaves it, or says what is left`() throws {
    let line = FaultLine()
    let (sound, _, first) = makeHost()
    let wanted = whole(["later": [one, two]], .restore)
    _ = carryOut(try first.plan(wanted), on: line.host(sound.host))
    let requests = line.requests
    #expect(requests.count > 20)
    for (index, request) in requests.enumerated() {
      for fault in request.faults {
        let (model, _, run) = makeHost()
        let plan = try run.plan(wanted)
        line.arm(fault, at: index)
        let outcome = carryOut(plan, on: line.host(model.host))
        guard let place = line.place else { continue }
        line.disarm()
        let drivers = [one, two].map { model.drivers.driver(of: $0) ?? "none" }
        let undone = outcome.drivers.filter(\.isUndone).map(\.step.device)
        #expect(undone.allSatisfy { model.drivers.driver(of: $0) == "e1000e" }, "\(place): \(failures(outcome))")
        let isSaid = outcome.drivers.contains { $0.result == .unknown || $0.result == .failed && !$0.isUndone }
        #expect(Set(drivers).count == 1 || isSaid, "\(place): \(drivers) \(failures(outcome))")
        #expect(try failures(run.apply(wanted)).isEmpty, "\(place)")
        #expect(try unrest(run.plan(wanted)).isEmpty, "\(place)")
      }
    }
  }
}

extension DesiredState {
  /// The state in which the devices of each domain are the functions of one card, all of which are declared.
  var withCards: DesiredState {
    var state = self
    for domain in state.domains.indices {
      let card = state.domains[domain].devices.first?.address
      for device in state.domains[domain].devices.indices { state.domains[domain].devices[device].card = card }
    }
    return state
  }
}
