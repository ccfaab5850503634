import Model
import Planning
import TestSupport
import Testing
import XenProtocol

@Suite struct PlanTypeTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func observe(_ domains: [ObservedDomain], _ devices: [ObservedDevice]) -> Observation {
    Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000, domains: domains,
      devices: devices,
      records: domains.map { OwnershipRecord(uuid: $0.uuid, name: $0.name, devices: [one, two]) })
  }

  private func steps(_ desired: DesiredState, _ observation: Observation) -> [DeviceStep] {
    makePlan(desired: desired, observation: observation).steps
  }

  @Test func `a refused plan keeps its steps`() throws {
    var observation = observe(
      [Sample.domain(1, "net", [one]), Sample.domain(2, "old", [two])],
      [Sample.device(one, heldBy: 1), Sample.device(two, heldBy: 2)])
    observation.records = [
      OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one]),
      OwnershipRecord(uuid: Sample.uuid(2), name: "old", devices: [two]),
    ]
    func plan(_ limit: Int?) -> Plan {
      makePlan(desired: Sample.desired(["net": [two], "old": []], maxRemovals: limit), observation: observation)
    }
    let (free, refused) = (plan(nil), plan(1))
    #expect(free.verdict == .applicable(leavesBlocked: false))
    #expect(plan(2).verdict == .applicable(leavesBlocked: false))
    #expect(refused.verdict == .refused(.tooManyRemovals(planned: 2, allowed: 1)))
    #expect(refused.steps == free.steps)
    #expect(Set(refused.steps.map(\.action)) == [.detach, .move])
    #expect(refused.hasChanges && !refused.isBlocked)
  }

  @Test func `a verdict shows whether there is something to apply`() {
    let kept = observe([Sample.domain(1, "net", [one])], [Sample.device(one, heldBy: 1)])
    #expect(makePlan(desired: Sample.desired(["net": [one]]), observation: kept).verdict == .nothingToDo)
    let free = observe([Sample.domain(1, "net")], [Sample.device(one)])
    #expect(
      makePlan(desired: Sample.desired(["net": [one, two]]), observation: free).verdict
        == .applicable(leavesBlocked: true))
  }

  @Test func `a refused plan repairs nothing`() {
    var stale = Sample.device(two)
    stale.claim = DomainID(9)
    var device = Sample.device(one, heldBy: 1)
    device.claim = nil
    let observation = observe([Sample.domain(1, "net", [one])], [device, stale])
    func outcomes(_ limit: Int?) -> Set<DriftOutcome> {
      let desired = Sample.desired(["net": []], maxRemovals: limit)
      let plan = makePlan(desired: desired, observation: observation)
      return Set(makeDriftMatrix(desired: desired, observation: observation, plan: plan).findings.map(\.outcome))
    }
    #expect(outcomes(nil) == [.planned(.detach), .removed])
    #expect(outcomes(0) == [.left(.refusal(.removalLimit))])
  }

  @Test func `a step keeps its id when other things change`() throws {
    let before = observe([Sample.domain(1, "net")], [Sample.device(one)])
    var after = observe([Sample.domain(7, "net", [two])], [Sample.device(one), Sample.device(two, heldBy: 7)])
    after.domains[0].uuid = Sample.uuid(1)
    after.domains[0].name = "renamed"
    let id = try #require(steps(Sample.desired(["net": [one]]), before).first).id
    #expect(id == StepID(domain: .uuid(Sample.uuid(1)), device: one, kind: .attach))
    #expect(steps(Sample.desired(["renamed": [one]]), after).contains { $0.id == id })
    let absent = try #require(steps(Sample.desired(["none": [one]]), before).first { $0.device == one })
    #expect(absent.id == StepID(domain: .name("none"), device: one, kind: .pending))
  }

  @Test func `a repair shows what it writes`() {
    var domain = Sample.domain(1, "net", [one])
    domain.saved = .devices([SavedDevice(address: two, options: DeviceOptions())])
    func repairs(_ claim: UInt32?) -> Set<Repair> {
      var device = Sample.device(one, heldBy: 1)
      device.claim = claim.map { DomainID($0) }
      let found = steps(Sample.desired(["net": [one]]), observe([domain], [device, Sample.device(two)]))
      return Set(found.compactMap { if case .repair(let repair)? = $0.change { repair } else { nil } })
    }
    #expect(repairs(nil) == [.saveEntry, .dropSavedEntry, .writeClaim(replacing: nil)])
    #expect(repairs(9) == [.saveEntry, .dropSavedEntry, .writeClaim(replacing: DomainID(9))])
  }

  @Test func `a device is not adopted if Berth knows no route to its domain`() throws {
    var observation = observe([Sample.domain(1, "net", [one], kind: .unknown)], [Sample.device(one, heldBy: 1)])
    observation.records = []
    let step = try #require(steps(Sample.desired(["net": [one]]), observation).first)
    #expect(step.kind == .blocked(.kindNotSupported))
  }

  @Test func `all names are in one namespace`() {
    let names = Reason.allCases.map(\.name)
    #expect(Set(names).count == names.count)
    for obstacle in Obstacle.allCases {
      #expect(obstacle.drift?.rawValue == DriftName(rawValue: obstacle.rawValue)?.rawValue, "\(obstacle)")
    }
    #expect(Obstacle.allCases.filter { $0.drift != nil }.count == 8)
    for refusal in BusRefusal.allCases { #expect(names.contains(refusal.rawValue), "\(refusal) is not explained") }
    #expect(Set(ChangeKind.allCases.map(\.rawValue)).isSubset(of: StepAction.allCases.map(\.rawValue)))
    for kind in ChangeKind.allCases { #expect(StepAction(kind).rawValue == kind.rawValue) }
  }

  @Test func `routes have the traits of their domains`() {
    let stub = DomainKey(id: DomainID(9), uuid: Sample.uuid(9))
    let routes: [DeviceRoute] = [.frontEnd, .deviceModel(.upstream), .stubDomain(stub, .traditional)]
    #expect(routes.map(\.hasFrontEndDriver) == [true, false, true])
    #expect(routes.map(\.deviceModel) == [nil, .upstream, .traditional])
    #expect(routes.map(\.hasDeviceModel) == [false, true, true])
    #expect(routes.map(\.stubDomain) == [nil, nil, stub])
    #expect(routes.map(\.canBeCold) == [true, false, false])
    #expect(routes.map { $0.busDomain(of: DomainID(1)) } == [DomainID(1), DomainID(1), DomainID(9)])
  }

  @Test(arguments: [
    (DomainLifecycle.cold, ChangeMode.cold), (.running, .hot), (.paused, .hot), (.building, .hot), (.shutdown, .hot),
    (.destroying, .hot),
  ])
  func `only a domain that never ran is cold`(_ lifecycle: DomainLifecycle, _ mode: ChangeMode) {
    #expect(ChangeMode(lifecycle) == mode)
  }
}
