import Model
import Planning
import TestSupport
import Testing
import XenProtocol

@Suite struct PlannerTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func observe(
    _ domains: [ObservedDomain], _ devices: [ObservedDevice], owned: [UInt32: [PCIAddress]] = [:]
  ) -> Observation {
    Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000, domains: domains,
      devices: devices,
      records: owned.map { OwnershipRecord(uuid: Sample.uuid(Int($0.key)), name: "", devices: $0.value) })
  }

  private func steps(_ desired: DesiredState, _ observation: Observation) -> [DeviceStep] {
    makePlan(desired: desired, observation: observation).steps
  }

  @Test func `a free device is attached to a running domain`() throws {
    let step = try #require(
      steps(Sample.desired(["net": [one]]), observe([Sample.domain(1, "net")], [Sample.device(one)])).first)
    #expect(step.action == .attach)
    #expect(step.mode == .hot)
    #expect(step.change == .attach(DeviceOptions(), because: .declared))
  }

  @Test func `a domain that never ran gets its devices cold`() throws {
    let step = try #require(
      steps(
        Sample.desired(["net": [one]]), observe([Sample.domain(1, "net", lifecycle: .cold)], [Sample.device(one)])
      ).first)
    #expect(step.mode == .cold)
  }

  @Test(arguments: [XenbusState.closing, .closed])
  func `a domain that never ran does not have what a closing bus lists`(_ state: XenbusState) throws {
    var domain = Sample.domain(1, "net", [one], lifecycle: .cold)
    domain.backEnd = Sample.bus(DomainID(1), [one], state: state, front: .initialising)
    let devices = [Sample.device(one, heldBy: 1)]
    let blocked = steps(Sample.desired(["net": [one]]), observe([domain], devices, owned: [1: [one]]))
    #expect(blocked.map(\.kind) == [.blocked(.busClosing)])
    // A toolstack closed it, and pciback has dropped it: an apply can replace it.
    domain.backEnd?.online = "0"
    domain.backEnd?.hasKernelObject = false
    let open = steps(Sample.desired(["net": [one]]), observe([domain], devices, owned: [1: [one]]))
    #expect(open.map(\.action) == [.attach])
  }

  @Test func `attached devices are kept if recorded, and otherwise adopted`() {
    let domain = Sample.domain(1, "net", [one, two])
    let observation = observe(
      [domain], [Sample.device(one, heldBy: 1), Sample.device(two, heldBy: 1)], owned: [1: [one]])
    let plan = makePlan(desired: Sample.desired(["net": [one, two]]), observation: observation)
    #expect(plan.steps.map(\.action) == [.keep, .adopt])
    #expect(plan.hasChanges)
  }

  @Test(arguments: [
    (Policy.Prune.never, StepAction.keep, StepAction.foreign),
    (.owned, .detach, .foreign), (.all, .detach, .detach),
  ])
  func `prune decides what happens to undeclared devices`(
    _ prune: Policy.Prune, _ owned: StepAction, _ foreign: StepAction
  ) {
    let domain = Sample.domain(1, "net", [one, two])
    let observation = observe(
      [domain], [Sample.device(one, heldBy: 1), Sample.device(two, heldBy: 1)], owned: [1: [one]])
    #expect(steps(Sample.desired(["net": []], prune: prune), observation).map(\.action) == [owned, foreign])
    #expect(steps(Sample.desired([:], prune: prune), observation).map(\.action) == [owned, foreign])
  }

  @Test func `more removals than the policy allows refuse the whole plan`() {
    let domain = Sample.domain(1, "net", [one, two])
    let observation = observe(
      [domain], [Sample.device(one, heldBy: 1), Sample.device(two, heldBy: 1)], owned: [1: [one, two]])
    #expect(makePlan(desired: Sample.desired(["net": []], maxRemovals: 1), observation: observation).refusal != nil)
    #expect(makePlan(desired: Sample.desired(["net": []], maxRemovals: 2), observation: observation).refusal == nil)
  }

  @Test(arguments: [
    (DomainLifecycle.building, Wait.domainBuilding), (.paused, .domainPaused),
    (.shutdown, .domainShuttingDown), (.destroying, .domainDestroying),
  ])
  func `a domain that cannot take a change is pending`(_ lifecycle: DomainLifecycle, _ wait: Wait) throws {
    let observation = observe([Sample.domain(1, "net", lifecycle: lifecycle)], [Sample.device(one)])
    let step = try #require(steps(Sample.desired(["net": [one]]), observation).first)
    #expect(step.kind == .pending(wait))
  }

  @Test func `a domain that runs without a configuration of libxl's is blocked, and is drift`() throws {
    var domain = Sample.domain(1, "net", [two])
    domain.saved = .absent
    let observation = observe([domain], [Sample.device(one), Sample.device(two, heldBy: 1)], owned: [1: [two]])
    let plan = makePlan(desired: Sample.desired(["net": [one]]), observation: observation)
    #expect(plan.steps.map(\.kind) == Array(repeating: .blocked(.runningWithoutConfiguration), count: 2))
    #expect(exitStatus(of: plan, isDetailed: true, requiresRunning: false) == .blocked)
    let drifts = makeDriftMatrix(desired: nil, index: ObservationIndex(observation), plan: plan).findings
    #expect(drifts.map(\.name).contains(.runningWithoutConfiguration))
    domain.lifecycle = .building
    let built = makePlan(desired: Sample.desired(["net": [one]]), observation: observe([domain], [Sample.device(one)]))
    #expect(built.steps.first?.kind == .pending(.domainBuilding))
  }

  @Test func `a domain that is kept after a crash gives no device away`() throws {
    var kept = Sample.domain(1, "dead", [one], lifecycle: .shutdown)
    kept.kept = KeptDomain(event: "on_crash")
    let observation = observe([kept, Sample.domain(2, "net")], [Sample.device(one, heldBy: 1)], owned: [1: [one]])
    let plan = makePlan(desired: Sample.desired(["dead": [], "net": [one]]), observation: observation)
    #expect(plan.steps.filter { $0.device == one }.map(\.kind) == [.blocked(.crashedAndKept)])
    kept.kept = nil
    let going = observe([kept, Sample.domain(2, "net")], [Sample.device(one, heldBy: 1)], owned: [1: [one]])
    let later = makePlan(desired: Sample.desired(["dead": [], "net": [one]]), observation: going)
    #expect(later.steps.filter { $0.device == one }.map(\.kind) == [.pending(.domainShuttingDown)])
  }

  @Test(arguments: ["ahci", "nvme", "xhci_hcd"])
  func `a device of the host's is not offered to be taken`(_ driver: String) throws {
    var device = Sample.device(one)
    device.facts?.isOnPCIBack = false
    device.facts?.driver = driver
    let observation = observe([Sample.domain(1, "net")], [device])
    let step = try #require(steps(Sample.desired(["net": [one]]), observation).first)
    #expect(step.kind == .blocked(.notAssignable))
    let remedy = try #require(step.remedy)
    #expect(remedy.contains("\(driver) drives it now") && remedy.contains("can do without"))
    #expect(!remedy.contains("xl "))
  }

  @Test(arguments: [
    ("web; reboot", "'web; reboot'"), ("12", "3"), ("-h", "3"), ("it's", "'it'\\''s'"), ("db", "db"),
  ])
  func `the remedy for a device that another domain has can be pasted`(_ name: Name, _ argument: String) throws {
    let observation = observe(
      [Sample.domain(3, name, [one]), Sample.domain(5, "net")], [Sample.device(one, heldBy: 3)])
    let step = try #require(steps(Sample.desired(["net": [one]]), observation).first { $0.device == one })
    #expect(step.kind == .blocked(.attachedElsewhere))
    #expect(step.remedy == "detach it there: `xl pci-detach \(argument) \(one)`")
  }

  @Test func `a slot cannot be chosen for a PV guest, hot or cold or attached already`() throws {
    var wanted = Sample.desired(["net": [one, two]])
    wanted.domains[0].devices[0].options.virtualSlot = 5
    wanted.domains[0].devices[1].options.virtualSlot = 6
    for lifecycle in [DomainLifecycle.running, .cold] {
      let observation = observe(
        [Sample.domain(1, "net", [two], lifecycle: lifecycle)], [Sample.device(one), Sample.device(two, heldBy: 1)])
      let plan = makePlan(desired: wanted, observation: observation)
      #expect(plan.steps.map(\.kind) == Array(repeating: .blocked(.virtualSlotNotSupported), count: 2))
      #expect(plan.steps.first?.evidence?.contains("slot 5") == true)
    }
  }

  @Test func `a domain that its configuration keeps after a crash is blocked, and is drift`() throws {
    var domain = Sample.domain(1, "net", [two], lifecycle: .shutdown)
    domain.kept = KeptDomain(event: "on_crash")
    let observation = observe([domain], [Sample.device(one), Sample.device(two, heldBy: 1)], owned: [1: [two]])
    let plan = makePlan(desired: Sample.desired(["net": [one]]), observation: observation)
    #expect(plan.steps.map(\.kind) == Array(repeating: .blocked(.crashedAndKept), count: 2))
    #expect(plan.steps.first?.evidence?.contains("on_crash") == true)
    #expect(exitStatus(of: plan, isDetailed: true, requiresRunning: false) == .blocked)
    let drifts = makeDriftMatrix(desired: nil, index: ObservationIndex(observation), plan: plan).findings
    #expect(drifts.map(\.name).contains(.crashedAndKept))
  }

  @Test(
    arguments: [
      (121, XenbusState.initialising, false, true), (120, .initialising, false, false),
      (900, .initialised, false, false),
      (900, .initialising, true, false),
    ] as [(Int64, XenbusState, Bool, Bool)])
  func `a guest that does not connect for long is named, and waited for before that`(
    _ row: (age: Int64, front: XenbusState, isLive: Bool, isNamed: Bool)
  ) throws {
    var domain = Sample.domain(1, "net", [one])
    domain.backEnd = Sample.bus(DomainID(1), [one], state: .initialised, front: row.front)
    var observation = observe([domain], [Sample.device(one, heldBy: 1)], owned: [1: [one]])
    observation.intents = [
      Intent(
        identifier: "1-attach-1", domain: domain.key, operation: .attach, devices: [one], since: 1000 - row.age,
        isLive: row.isLive)
    ]
    let plan = makePlan(desired: Sample.desired(["net": [one]]), observation: observation)
    let step = try #require(plan.steps.first)
    #expect((step.kind == .blocked(.neverConnected)) == row.isNamed, "\(step)")
    let names = makeDriftMatrix(desired: nil, index: ObservationIndex(observation), plan: plan).findings.map(\.name)
    #expect(names.contains(.neverConnected) == row.isNamed, "\(names)")
    if row.isNamed { #expect(!names.contains(.leftoverIntent)) }
    // Given up, it is taken back.
    let moved = makePlan(desired: Sample.desired(["net": []]), observation: observation)
    #expect(moved.steps.map(\.action) == [.detach])
  }

  @Test func `a domain that does not exist is pending`() throws {
    let step = try #require(steps(Sample.desired(["net": [one]]), observe([], [Sample.device(one)])).first)
    #expect(step.kind == .pending(.domainAbsent))
  }

  @Test func `each obstacle blocks with its own reason`() throws {
    func reason(
      _ change: (inout ObservedDomain, inout ObservedDevice, inout Observation) -> Void,
      id: DeviceID? = nil
    ) -> Obstacle? {
      var domain = Sample.domain(1, "net")
      var device = Sample.device(one)
      var observation = observe([], [])
      change(&domain, &device, &observation)
      observation.domains.insert(domain, at: 0)
      observation.devices.append(device)
      var desired = Sample.desired(["net": [one]])
      desired.domains[0].devices[0].id = id
      let step = steps(desired, observation).first { $0.device == one }
      guard case .blocked(let obstacle)? = step?.kind else { return nil }
      return obstacle
    }
    #expect(reason { _, device, _ in device.facts = nil } == .deviceMissing)
    #expect(reason { _, device, _ in device.facts?.isOnPCIBack = false } == .notAssignable)
    #expect(
      reason { domain, device, _ in
        domain = Sample.domain(1, "net", [one])
        device = Sample.device(one, heldBy: 1)
        device.facts?.isOnPCIBack = false
      } == .notOnPCIBack)
    #expect(reason { _, device, _ in device.facts?.deviceClass = 0x060400 } == .isBridge)
    #expect(reason { _, device, _ in device.assignment = .assigned } == .assignedElsewhere)
    #expect(reason({ _, _, _ in }, id: DeviceID(vendor: 1, device: 2)) == .identityMismatch)
    #expect(
      reason({ _, device, _ in device.facts?.id = nil }, id: DeviceID(vendor: 1, device: 2)) == .identityUnknown)
    #expect(reason { domain, _, _ in domain.hasIOMMU = false } == .domainWithoutIOMMU)
    #expect(reason { _, _, observation in observation.host.hasIOMMU = false } == .hostWithoutIOMMU)
    #expect(reason { domain, _, _ in domain.kind = .pvh } == .kindNotSupported)
    #expect(reason { domain, _, _ in domain.saved = .corrupt("broken") } == .corruptSavedConfiguration)
    #expect(
      reason { _, device, observation in
        observation.domains.append(Sample.domain(2, "other"))
        device.claim = DomainID(2)
      } == .claimedElsewhere)
    #expect(
      reason { _, _, observation in observation.domains.append(Sample.domain(2, "other", [one])) }
        == .attachedElsewhere)
    #expect(
      reason { domain, _, _ in
        domain.backEnd = Sample.bus(domain.id, [two], state: .closing, front: .reconfiguring)
      } == .busClosing)
    #expect(
      reason { domain, _, _ in
        domain.backEnd = Sample.bus(domain.id, [two])
        domain.backEnd?.entries[0].device = nil
      } == .corruptBackEnd)
  }

  @Test func `a device Berth owns in another domain moves`() throws {
    let observation = observe(
      [Sample.domain(1, "net"), Sample.domain(2, "old", [one])], [Sample.device(one, heldBy: 2)], owned: [2: [one]])
    let plan = makePlan(desired: Sample.desired(["net": [one], "old": []]), observation: observation)
    #expect(plan.steps.map(\.action) == [.move])
    #expect(plan.steps.first?.holder?.name == "old")
    #expect(plan.steps.first?.holder?.key == observation.domains[1].key)
  }

  @Test func `a device on two buses leaves one before it is attached to the other`() throws {
    // The state after an xl attach to another guest that followed an xl detach during which the first guest slept.
    let observation = { (states: [XenbusState], owned: [UInt32: [PCIAddress]]) -> Observation in
      var receiver = Sample.domain(1, "net", [one])
      receiver.backEnd = Sample.bus(receiver.id, [one], state: .reconfiguring, states: states)
      return observe([receiver, Sample.domain(2, "old", [one])], [Sample.device(one, heldBy: 1)], owned: owned)
    }
    let desired = Sample.desired(["net": [one], "old": []])
    let plan = makePlan(desired: desired, observation: observation([.initialising], [2: [one]]))
    let moves = plan.steps.filter { $0.device == one && $0.isChange }
    #expect(moves.map(\.action) == [.move])
    #expect(moves.first?.holder?.name == "old")
    let others = steps(desired, observation([.initialising], [:])).filter { $0.action != .foreign }
    #expect(others.map(\.action) == [.blocked])
    #expect(others.first?.kind == .blocked(.attachedElsewhere))
  }

  @Test func `different options lead to a reattach`() throws {
    let observation = observe([Sample.domain(1, "net", [one])], [Sample.device(one, heldBy: 1)], owned: [1: [one]])
    var desired = Sample.desired(["net": [one]])
    desired.domains[0].devices[0].options.permissive = true
    let step = try #require(steps(desired, observation).first)
    #expect(step.action == .reattach)
    #expect(step.before?.permissive == false)
    #expect(step.after?.permissive == true)
  }

  @Test func `stores that disagree are repaired`() {
    var domain = Sample.domain(1, "net", [one])
    domain.saved = .devices([SavedDevice(address: two, options: DeviceOptions())])
    var device = Sample.device(one, heldBy: 1)
    device.claim = nil
    let observation = observe([domain], [device, Sample.device(two)], owned: [1: [one]])
    let found = steps(Sample.desired(["net": [one]]), observation)
    #expect(
      Set(found.map { "\($0.action) \($0.kind.name)" }) == [
        "keep in-sync", "repair store-only", "repair claim-missing", "repair config-only",
      ])
  }

  @Test func `a claimed and saved device without an entry is not dropped silently`() throws {
    var domain = Sample.domain(1, "net", [one])
    domain.saved = .devices([one, two].map { SavedDevice(address: $0, options: DeviceOptions()) })
    let observation = observe([domain], [Sample.device(one, heldBy: 1), Sample.device(two, heldBy: 1)])
    let step = try #require(
      steps(Sample.desired(["net": [one]]), observation).first { $0.device == two })
    #expect(step.kind == .drift(.overwritten))
  }

  @Test func `records of domains long gone are collected`() {
    var observation = observe([], [])
    observation.records = [
      OwnershipRecord(uuid: Sample.uuid(1), name: "new", devices: [one]),
      OwnershipRecord(uuid: Sample.uuid(2), name: "recent", devices: [one], goneSince: 900),
      OwnershipRecord(uuid: Sample.uuid(3), name: "old", devices: [one], goneSince: 1000 - recordLifetime - 1),
    ]
    let plan = makePlan(desired: Sample.desired([:]), observation: observation)
    #expect(plan.bookkeeping == [.gone(Sample.uuid(1), since: 1000), .collect(Sample.uuid(3))])
    #expect(!plan.hasChanges)
  }

  @Test func `a claim of a dead domain is removed, and a living domain's is kept`() {
    var stale = Sample.device(one)
    stale.claim = DomainID(9)
    let observation = observe([Sample.domain(1, "net", [two])], [stale, Sample.device(two, heldBy: 1)])
    let plan = makePlan(desired: Sample.desired([:]), observation: observation)
    #expect(plan.hostSteps.map(\.drift.device) == [one])
  }

  @Test(arguments: 0..<300)
  func `after a plan is carried out there is nothing to plan`(_ seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    let (desired, observation) = RandomHost.make(&random)
    let plan = makePlan(desired: desired, observation: observation)
    let after = RandomHost.carryOut(plan, on: observation)
    let again = makePlan(desired: desired, observation: after)
    #expect(!again.hasChanges, "seed \(seed): \(again.steps.filter(\.isChange))")
    #expect(plan == makePlan(desired: desired, observation: observation), "not deterministic")
  }
}
