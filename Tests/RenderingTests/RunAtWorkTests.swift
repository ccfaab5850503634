import Model
import Planning
import Rendering
import Testing

/// What the views show about another run of Berth that works on a domain.
@Suite struct RunAtWorkTests {
  private let holder = RunHolder(
    process: 4711, command: "berth apply --yes web.yaml", since: 1_700_000_000, isStopped: true)

  private func plan() throws -> Plan {
    var plan = try Samples.inSync()
    plan.domains[0].run = holder
    return plan
  }

  @Test func `a plan names the run that works on a domain, even if the domain is as declared`() throws {
    let view = PlanView(plan: try plan(), naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "run-at-work/plan.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "run-at-work/plan.json")
  }

  @Test func `a status names the run that works on a domain`() throws {
    var observation = try Samples.observation()
    observation.runs[try Samples.uuid("2")] = RunMark(holder: holder, isHeld: true, lastTaking: "1")
    let status = HostStatus(index: ObservationIndex(observation), desired: nil, plan: try plan())
    let view = StatusView(status: status, naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "run-at-work/status.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "run-at-work/status.json")
  }

  @Test func `an apply lists what it did not do because nobody saw it in the plan`() throws {
    let device = try Samples.address("0000:03:00.0")
    let step = StepOutcome(device: device, action: .detach, result: .unchanged, detail: OutcomeDetail(.alreadySo))
    var outcome = ApplyOutcome(domains: [
      DomainOutcome(name: "sys-net", id: DomainID(2), uuid: try Samples.uuid("2"), steps: [step]),
      DomainOutcome(
        name: "web", uuid: try Samples.uuid("4"), failure: OutcomeDetail(.otherRunAtWork, "\(holder)"),
        isLockBusy: true),
    ])
    let attach = try Samples.step(
      "0000:05:00.0", .attach(DeviceOptions(), because: .declared), id: "10ec:8125", after: DeviceOptions())
    outcome.notShown = [
      UnshownChange(domain: "sys-net", uuid: try Samples.uuid("2"), id: DomainID(2), step: attach)
    ]
    let view = ApplyView(
      plan: try Samples.inSync(), outcome: outcome, status: .stalePlan, place: HostPlace(sandbox: nil, userID: 0),
      naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "run-at-work/apply.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "run-at-work/apply.json")
  }
}
