import Model
import Planning
import Ports
import TestSupport
import Testing
import XenProtocol

/// A damaged file of Berth's own stops the changes of its domain, and no others.
@Suite struct DamagedFileTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func damage(_ kind: DamagedFile.Kind, _ concern: DamagedFile.Concern) -> DamagedFile {
    DamagedFile(kind, concern, RecordError(.damaged, operation: "read", place: "/run/a.json", detail: "is a folder"))
  }

  /// Returns the plan for `desired` on a host where `net` has the first device.
  private func plan(
    _ desired: [Name: [PCIAddress]], _ damaged: DamagedFile?, owned: [PCIAddress] = [], prune: Policy.Prune = .owned
  ) -> Plan {
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one]), Sample.domain(2, "web")],
      devices: [Sample.device(one, heldBy: 1), Sample.device(two)])
    if !owned.isEmpty {
      observation.records = [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: owned, goneSince: 5)]
    }
    observation.damaged = [damaged].compactMap(\.self)
    return makePlan(desired: Sample.desired(desired, prune: prune), observation: observation)
  }

  private func kinds(_ plan: Plan, _ domain: Name) -> [DeviceStep.Kind] {
    plan.domains.first { $0.name == domain }?.steps.map(\.kind) ?? []
  }

  private func isChange(_ kind: DeviceStep.Kind) -> Bool { if case .change = kind { true } else { false } }

  @Test(
    arguments: [.uuid(Sample.uuid(1)), .domain(DomainKey(id: DomainID(1), uuid: Sample.uuid(1))), .number(DomainID(1))]
      as [DamagedFile.Concern])
  func `the domain that the file concerns is not changed, and the others are`(_ concern: DamagedFile.Concern) {
    for kind in [DamagedFile.Kind.record, .intent] {
      let adopted = plan(["net": [one], "web": [two]], damage(kind, concern))
      #expect(kinds(adopted, "net") == [.blocked(.ownFileDamaged)], "an adoption changes the record")
      #expect(kinds(adopted, "web").map(isChange) == [true])
      let step = adopted.steps.first { $0.device == one }
      #expect(step?.evidence == "/run/a.json is a folder" && step?.remedy?.hasPrefix("look at the file") == true)
      let attached = plan(["net": [one, two]], damage(kind, concern))
      #expect(kinds(attached, "net") == [.blocked(.ownFileDamaged), .blocked(.ownFileDamaged)])
      #expect(!attached.hasChanges && attached.isBlocked)
    }
  }

  @Test func `without its record nobody knows whose an undeclared device is`() {
    let record = plan(["net": []], damage(.record, .uuid(Sample.uuid(1))))
    #expect(kinds(record, "net") == [.blocked(.ownFileDamaged)] && record.isBlocked)
    #expect(record.steps.first?.evidence == "/run/a.json is a folder")
    #expect(kinds(plan(["net": []], damage(.intent, .number(DomainID(1)))), "net") == [.foreign])
    #expect(kinds(plan(["net": []], damage(.record, .uuid(Sample.uuid(1))), prune: .never), "net") == [.foreign])
  }

  @Test func `what is as declared stays so beside a damaged intent`() {
    let plan = plan(["net": [one]], damage(.intent, .number(DomainID(1))), owned: [one])
    #expect(kinds(plan, "net") == [.unchanged] && !plan.isBlocked)
    #expect(plan.bookkeeping == [], "the domain's record stays, too")
  }

  @Test(arguments: [Policy.Prune.all, .owned])
  func `nothing moves away from a domain with a damaged file`(_ prune: Policy.Prune) throws {
    let blocked = plan(["web": [one], "net": []], damage(.record, .uuid(Sample.uuid(1))), prune: prune)
    #expect(!blocked.hasChanges && blocked.isBlocked, "\(blocked.steps)")
    let free = plan(["web": [one], "net": []], nil, prune: .all)
    #expect(free.hasChanges)
  }

  @Test func `a file of which nothing is known stops every domain`() {
    let plan = plan(["net": [one, two], "web": []], damage(.intent, .everything))
    #expect(!plan.hasChanges && plan.isBlocked)
    #expect(kinds(plan, "net") == [.blocked(.ownFileDamaged), .blocked(.ownFileDamaged)])
  }

  @Test(arguments: [(DamagedFile.Kind.record, DamagedFile.Concern.nothing), (.runLock, .uuid(Sample.uuid(1)))])
  func `a file that is nobody's, or only a lock, stops no plan`(
    _ kind: DamagedFile.Kind, _ concern: DamagedFile.Concern
  ) {
    #expect(kinds(plan(["net": [one, two]], damage(kind, concern)), "net").allSatisfy(isChange))
  }

  // MARK: Times

  @Test(arguments: [(Int64.min, 1), (.max, 0), (1000, 0)])
  func `a record's moment may be any number`(_ moment: Int64, _ collected: Int) {
    let observation = Observation(
      host: HostFacts(name: "host"), takenAt: 1000,
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "gone", devices: [], goneSince: moment)])
    #expect(makePlan(desired: Sample.desired([:]), observation: observation).bookkeeping.count == collected)
  }

  @Test(arguments: [Int64.min, .max]) func `an intent's moment may be any number`(_ moment: Int64) {
    var domain = Sample.domain(1, "net", [one])
    domain.backEnd = Sample.bus(DomainID(1), [one], state: .initialised, front: .initialising, states: [.initialising])
    let intent = Intent(
      identifier: "1-attach-1", domain: domain.key, operation: .attach, devices: [one], since: moment)
    let observation = Observation(
      host: HostFacts(name: "host", hasIOMMU: true), takenAt: 1000, domains: [domain],
      devices: [Sample.device(one, heldBy: 1)], intents: [intent])
    let plan = makePlan(desired: Sample.desired(["net": [one]]), observation: observation)
    #expect(plan.steps.map(\.kind).contains(.blocked(.neverConnected)) == (moment == .min))
  }
}
