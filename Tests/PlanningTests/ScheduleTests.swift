import Model
import Planning
import TestSupport
import Testing

@Suite struct ScheduleTests {
  private let device = Sample.address

  private func target(_ number: UInt32, _ mode: ChangeMode = .hot, _ route: DeviceRoute = .frontEnd) -> DomainTarget {
    DomainTarget(
      key: DomainKey(id: DomainID(number), uuid: Sample.uuid(Int(number))), name: "d\(number)", route: route,
      mode: mode)
  }

  private func step(
    _ number: Int, _ change: Change, in target: DomainTarget, before: DeviceOptions? = nil, isRequired: Bool = true
  ) -> DeviceStep {
    DeviceStep(
      domain: .uuid(target.key.uuid), device: device(number), kind: .change(change, in: target), before: before,
      isRequired: isRequired)
  }

  private func schedule(
    _ domains: [[DeviceStep]], hostSteps: [HostStep] = [], bookkeeping: [RecordChange] = [],
    refusal: PlanRefusal? = nil
  ) -> Schedule {
    makeSchedule(
      Plan(
        host: HostFacts(name: "host"), domainCount: domains.count, deviceCount: 0, policy: Policy(),
        domains: domains.enumerated().map { DomainPlan(name: "d\($0)", steps: $1) }, hostSteps: hostSteps,
        bookkeeping: bookkeeping, refusal: refusal))
  }

  @Test func `each change becomes the work that it describes`() throws {
    let one = target(1, .cold)
    let permissive = DeviceOptions(permissive: true)
    let schedule = schedule([
      [
        step(0, .attach(permissive, because: .declared), in: one, isRequired: false),
        step(1, .detach(permissive, because: .notDeclared), in: one, before: permissive),
        step(2, .reattach(from: DeviceOptions(), to: permissive, because: .optionsDiffer), in: one),
        step(3, .repair(.saveEntry), in: one), step(4, .adopt, in: one),
        DeviceStep(
          domain: .uuid(one.key.uuid), device: device(5), kind: .foreign, before: DeviceOptions()),
      ]
    ])
    let work = try #require(schedule.domains.first)
    #expect(schedule.domains.count == 1 && schedule.waiting.isEmpty)
    #expect(work.target == one)
    #expect(work.additions == [Addition(device: device(0), options: permissive, isRequired: false)])
    #expect(work.removals == [Removal(device: device(1), options: permissive)])
    #expect(
      work.reattachments.map(\.removal) == [Removal(device: device(2), kind: .reattach, options: DeviceOptions())])
    #expect(work.reattachments.map(\.addition) == [Addition(device: device(2), kind: .reattach, options: permissive)])
    #expect(work.repairs == [RepairWork(device: device(3), repair: .saveEntry)])
    #expect(work.adoptions.map(\.device) == [device(4)])
    #expect(work.known == [device(1), device(5)], "what the domain has, whatever becomes of it")
    #expect(work.deviceCount == 3)
  }

  @Test func `only the domain that gets a moved device waits`() throws {
    let stub = DomainKey(id: DomainID(9), uuid: Sample.uuid(9))
    let (old, new, other) = (target(1, .cold, .stubDomain(stub, .upstream)), target(2), target(3))
    let schedule = schedule([
      [
        step(0, .move(from: old, DeviceOptions()), in: new, isRequired: false),
        step(1, .attach(DeviceOptions(), because: .declared), in: new),
      ],
      [step(2, .attach(DeviceOptions(), because: .declared), in: other)],
    ])
    #expect(schedule.domains.map(\.target) == [new, old, other])
    #expect(schedule.waiting.map(\.target) == [new])
    let arrival = try #require(schedule.waiting.first?.arrivals.first)
    #expect(arrival == Addition(device: device(0), kind: .move, options: DeviceOptions(), isRequired: false))
    #expect(schedule.domains[1].removals == [Removal(device: device(0), options: nil, isRequired: false)])
    #expect(schedule.domains[1].known == [device(0)])
  }

  @Test func `domains that exchange devices both wait`() {
    let (one, two) = (target(1), target(2))
    let schedule = schedule([
      [step(0, .move(from: two, DeviceOptions()), in: one)], [step(1, .move(from: one, DeviceOptions()), in: two)],
    ])
    #expect(schedule.waiting.map(\.target) == [one, two])
    #expect(schedule.domains.map { $0.removals.map(\.device) } == [[device(1)], [device(0)]])
  }

  @Test func `a domain without changes has no work`() {
    let pending = DeviceStep(domain: .name("d0"), device: device(0), kind: .pending(.domainAbsent))
    #expect(schedule([[pending], []]) == Schedule())
  }

  @Test func `leftovers on the host are not scheduled`() {
    let gone = HostStep(.removeClaim(device(0), of: DomainID(9)), evidence: "")
    let left = HostStep(.drift(.leakedBackEnd(of: DomainID(9))), evidence: "")
    let schedule = schedule([], hostSteps: [left, gone], bookkeeping: [.discard(intent: "a")])
    #expect(schedule.hostSteps == [gone])
    #expect(schedule.bookkeeping == [.discard(intent: "a")])
  }

  @Test func `no step of a refused plan is scheduled`() {
    let steps = [step(0, .detach(nil, because: .notDeclared), in: target(1))]
    let gone = HostStep(.removeBackEnd(of: DomainID(9)), evidence: "")
    #expect(
      schedule(
        [steps], hostSteps: [gone], bookkeeping: [.discard(intent: "a")],
        refusal: .tooManyRemovals(planned: 1, allowed: 0)) == Schedule())
  }

  @Test(arguments: 0..<300)
  func `every change of a plan is scheduled once`(_ seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    let (desired, observation) = RandomHost.make(&random)
    let plan = makePlan(desired: desired, observation: observation)
    let schedule = makeSchedule(plan)
    let moves = plan.count(.move)
    #expect(schedule.domains.reduce(0) { $0 + $1.arrivals.count } == moves)
    #expect(schedule.domains.reduce(0) { $0 + $1.additions.count } == plan.count(.attach))
    #expect(schedule.domains.reduce(0) { $0 + $1.removals.count } == plan.count(.detach) + moves)
    #expect(schedule.domains.reduce(0) { $0 + $1.reattachments.count } == plan.count(.reattach))
    #expect(schedule.domains.reduce(0) { $0 + $1.repairs.count } == plan.count(.repair))
    #expect(schedule.domains.reduce(0) { $0 + $1.adoptions.count } == plan.count(.adopt))
    #expect(Set(schedule.domains.map(\.target.key)).count == schedule.domains.count)
    #expect(Set(plan.steps.map(\.id)).count == plan.steps.count, "two steps have one id")
  }
}
