import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// A device that is declared is never detached as one that is not.
@Suite struct DeclaredMeansKeptTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func observe(
    _ domains: [ObservedDomain], held: [PCIAddress: UInt32], records: [OwnershipRecord]
  ) -> Observation {
    Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000, domains: domains,
      devices: [one, two].map { Sample.device($0, heldBy: held[$0]) }, records: records)
  }

  /// One domain that has both devices as Berth's, attached under the name `recorded`.
  private func host(_ id: UInt32, called name: Name, recorded: Name? = nil) -> Observation {
    observe(
      [Sample.domain(id, name, [one, two])], held: [one: id, two: id],
      records: [OwnershipRecord(uuid: Sample.uuid(Int(id)), name: recorded ?? name, devices: [one, two])])
  }

  private func desired(_ domains: (Name, DomainUUID?, [PCIAddress])..., prune: Policy.Prune = .owned) -> DesiredState {
    DesiredState(
      policy: Policy(prune: prune),
      domains: domains.map { name, uuid, devices in
        DesiredDomain(name: name, uuid: uuid, devices: devices.map { DesiredDevice(address: $0) })
      })
  }

  private func expectNoRemoval(_ plan: Plan) {
    #expect(plan.steps.allSatisfy { $0.change?.isRemoval != true }, "\(plan.steps)")
  }

  @Test func `a renamed domain keeps its devices, and the plan is blocked`() throws {
    let plan = makePlan(
      desired: desired(("web", Sample.uuid(1), [one])), observation: host(1, called: "web-old", recorded: "web"))
    #expect(plan.steps.map(\.kind) == [.blocked(.domainRenamed), .blocked(.domainRenamed)])
    #expect(plan.steps.map(\.device) == [one, two])
    #expect(plan.steps[0].evidence == "domain 1 has the uuid of 'web', and is called 'web-old'")
    #expect(plan.steps[1].evidence?.hasPrefix("the device is Berth's in web-old (domain 1)") == true)
    #expect(exitStatus(of: plan, isDetailed: true, requiresRunning: false) == .blocked)
    #expect(plan.bookkeeping.allSatisfy { if case .granted = $0 { true } else { false } }, "\(plan.bookkeeping)")
  }

  @Test func `without a uuid, the record shows that a domain was renamed`() {
    let plan = makePlan(
      desired: desired(("web", nil, [one, two])), observation: host(1, called: "elsewhere", recorded: "web"))
    #expect(plan.steps.map(\.kind) == [.blocked(.domainRenamed), .blocked(.domainRenamed)])
    #expect(plan.steps.first?.evidence == "domain 1 was called 'web', and is called 'elsewhere' now")
  }

  @Test(arguments: [("sys-nett", "sys-net"), ("sysnet", "sys-net"), ("SYS-NET", "sys-net"), ("web", "web-old")])
  func `a misspelt name takes nothing from the domain that is meant`(_ typed: Name, _ meant: Name) {
    let plan = makePlan(desired: desired((typed, nil, [one])), observation: host(1, called: meant))
    #expect(plan.steps.first { $0.device == one }?.kind == .blocked(.domainUnknown))
    #expect(
      plan.steps.first { $0.device == one }?.evidence == "no domain has the name '\(typed)'; did you mean '\(meant)'?")
    expectNoRemoval(plan)
    #expect(exitStatus(of: plan, isDetailed: true, requiresRunning: false) == .blocked)
    #expect(plan.unreadyCount > 0)
  }

  @Test func `two living domains of one uuid are ambiguous`() {
    let id = Sample.uuid(3)
    var twin = Sample.domain(4, "web")
    twin.uuid = id
    let observation = observe(
      [Sample.domain(3, "web", [one, two]), twin], held: [one: 3, two: 3],
      records: [OwnershipRecord(uuid: id, name: "web", devices: [one, two])])
    let plan = makePlan(desired: desired(("web", id, [one])), observation: observation)
    #expect(plan.steps.allSatisfy { $0.kind == .blocked(.domainAmbiguous) } && !plan.steps.isEmpty)
    expectNoRemoval(plan)
  }

  @Test func `the number of a domain is no name`() {
    let plan = makePlan(desired: desired(("7", nil, [one, two])), observation: host(7, called: "net"))
    #expect(plan.steps.map(\.kind) == [.blocked(.domainUnknown), .blocked(.domainUnknown)])
    #expect(plan.steps.first?.evidence?.contains("domain 7 is called 'net'") == true)
    // A domain may be called so, as Proxmox does.
    let called = makePlan(desired: desired(("7", nil, [one, two])), observation: host(3, called: "7"))
    #expect(called.steps.map(\.kind) == [.unchanged, .unchanged])
    let absent = makePlan(desired: desired(("8", nil, [one, two])), observation: host(7, called: "net"))
    #expect(absent.steps.map(\.kind) == [.pending(.domainAbsent), .pending(.domainAbsent)])
  }

  @Test func `a device stays in its domain until the receiver exists`() {
    let plan = makePlan(desired: desired(("spare", nil, [one])), observation: host(1, called: "net"))
    #expect(plan.steps.first { $0.device == one }?.kind == .pending(.domainAbsent))
    #expect(plan.steps.filter { $0.device == one }.count == 1)
    #expect(
      plan.steps.first { $0.device == one }?.evidence
        == "the domain does not exist now; net (domain 1) has the device until then")
  }

  @Test(arguments: [DomainLifecycle.paused, .shutdown, .building, .destroying])
  func `a device stays in its domain until the receiver can take it`(_ lifecycle: DomainLifecycle) {
    let domains = [Sample.domain(1, "net", [one, two]), Sample.domain(2, "spare", lifecycle: lifecycle)]
    let observation = observe(
      domains, held: [one: 1, two: 1],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one, two])])
    let plan = makePlan(desired: desired(("net", nil, [two]), ("spare", nil, [one])), observation: observation)
    expectNoRemoval(plan)
    #expect(plan.steps.filter { $0.device == one }.map(\.action) == [.pending])
  }

  @Test func `a device stays in its domain if the receiver is blocked`() {
    let observation = host(1, called: "net")
    let wanted = DesiredState(domains: [
      DesiredDomain(name: "net", devices: []),
      DesiredDomain(name: "spare", uuid: Sample.uuid(9), devices: [DesiredDevice(address: one)]),
    ])
    var other = observation
    other.domains.append(Sample.domain(2, "spare"))
    let plan = makePlan(desired: wanted, observation: other)
    #expect(plan.steps.filter { $0.device == one }.map(\.kind) == [.blocked(.domainMismatch)])
    #expect(plan.steps.filter { $0.change?.isRemoval == true }.map(\.device) == [two])
  }

  @Test func `the uuid decides between two domains of one name`() {
    let domains = [Sample.domain(3, "web", [one, two]), Sample.domain(4, "web")]
    let observation = observe(
      domains, held: [one: 3, two: 3],
      records: [OwnershipRecord(uuid: Sample.uuid(3), name: "web", devices: [one, two])])
    let same = makePlan(desired: desired(("web", Sample.uuid(3), [one, two])), observation: observation)
    #expect(same.steps.map(\.kind) == [.unchanged, .unchanged])
    let nothing = makePlan(desired: desired(("web", Sample.uuid(3), [])), observation: observation)
    #expect(nothing.steps.map(\.action) == [.detach, .detach])
    let other = makePlan(desired: desired(("web", Sample.uuid(4), [one])), observation: observation)
    #expect(other.steps.map(\.action) == [.move, .detach])
    let unclear = makePlan(desired: desired(("web", nil, [])), observation: observation)
    #expect(unclear.steps.map(\.kind) == [.blocked(.domainAmbiguous), .blocked(.domainAmbiguous)])
  }

  @Test func `Berth's devices in a domain of another uuid block the declaration`() {
    let plan = makePlan(desired: desired(("web", Sample.uuid(9), [])), observation: host(1, called: "web"))
    #expect(plan.steps.map(\.kind) == [.blocked(.domainMismatch), .blocked(.domainMismatch)])
    let all = makePlan(
      desired: desired(("web", Sample.uuid(9), []), prune: .all), observation: host(1, called: "web"))
    expectNoRemoval(all)
  }

  @Test func `a domain that ends does not hide its successor`() {
    let domains = [Sample.domain(3, "", lifecycle: .destroying), Sample.domain(4, "web")].map { domain in
      var domain = domain
      domain.uuid = Sample.uuid(3)
      return domain
    }
    let plan = makePlan(
      desired: desired(("web", Sample.uuid(3), [one])), observation: observe(domains, held: [:], records: []))
    #expect(plan.steps.map(\.action) == [.attach])
    #expect(plan.domains.map(\.id) == [DomainID(4)])
  }

  @Test func `nothing moves out of a domain that may be another one than meant`() {
    let domains = [Sample.domain(1, "web", [one]), Sample.domain(2, "web", [two]), Sample.domain(3, "net")]
    let observation = observe(
      domains, held: [one: 1, two: 2],
      records: [
        OwnershipRecord(uuid: Sample.uuid(1), name: "web", devices: [one]),
        OwnershipRecord(uuid: Sample.uuid(2), name: "web", devices: [two]),
      ])
    let plan = makePlan(desired: desired(("net", nil, [one]), ("web", nil, [two])), observation: observation)
    expectNoRemoval(plan)
    #expect(plan.domains.first { $0.name == "net" }?.steps.map(\.kind) == [.blocked(.attachedElsewhere)])
    let web = plan.domains.filter { $0.name == "web" }
    #expect(!web.flatMap(\.steps).isEmpty)
    #expect(web.flatMap(\.steps).allSatisfy { $0.kind == .blocked(.domainAmbiguous) })
  }

  @Test func `a device that only prune never keeps is not foreign`() {
    let plan = makePlan(desired: desired(("net", nil, [one]), prune: .never), observation: host(1, called: "net"))
    #expect(plan.steps.map(\.kind) == [.unchanged, .kept(.pruneNever)])
    #expect(plan.steps.map(\.action) == [.keep, .keep])
    #expect(plan.steps.last?.reason == .change(.pruneNever))
  }

  @Test(arguments: 0..<200)
  func `no plan for random hosts detaches a declared device as undeclared`(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let (desired, observation) = RandomHost.make(&random)
    let plan = makePlan(desired: desired, observation: observation)
    let declared = Set(desired.domains.flatMap { $0.devices.map(\.address) })
    for step in plan.steps {
      guard case .change(.detach(_, because: .notDeclared), _) = step.kind else { continue }
      #expect(!declared.contains(step.device), "\(step)")
    }
  }
}
