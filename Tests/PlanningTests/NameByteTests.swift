import Model
import Planning
import TestSupport
import Testing

/// Names are compared as Xen compares them, and a name that is missing is none.
@Suite struct NameByteTests {
  private let one = Sample.address(1)

  private func observe(_ domains: [ObservedDomain], owner: UInt32? = nil, called name: Name = "") -> Observation {
    Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000, domains: domains,
      devices: [Sample.device(one, heldBy: owner)],
      records: owner.map { [OwnershipRecord(uuid: Sample.uuid(Int($0)), name: name, devices: [one])] } ?? [])
  }

  @Test func `a domain whose name only looks alike is not the declared one`() {
    let plan = makePlan(
      desired: Sample.desired(["caf\u{E9}": [one]]), observation: observe([Sample.domain(1, "cafe\u{301}")]))
    #expect(plan.steps.map(\.kind) == [.pending(.domainAbsent)])
    #expect(plan.domains.map(\.id) == [nil])
  }

  @Test func `two domains whose names look alike are no ambiguity`() {
    let plan = makePlan(
      desired: Sample.desired(["caf\u{E9}": [one], "cafe\u{301}": []]),
      observation: observe([Sample.domain(1, "cafe\u{301}"), Sample.domain(2, "caf\u{E9}")]))
    #expect(plan.steps.map(\.action) == [.attach])
    #expect(plan.domains.first { !$0.steps.isEmpty }?.id == DomainID(2))
  }

  @Test func `nothing is taken from a domain whose name only looks alike`() {
    let plan = makePlan(
      desired: Sample.desired(["caf\u{E9}": [one]]),
      observation: observe([Sample.domain(1, "cafe\u{301}", [one])], owner: 1, called: "cafe\u{301}"))
    #expect(plan.steps.map(\.kind) == [.blocked(.domainUnknown)])
    #expect(plan.steps.allSatisfy { !$0.isChange })
  }

  @Test func `a status has both of two domains whose names look alike`() {
    let desired = Sample.desired(["caf\u{E9}": [one]])
    let observation = observe([Sample.domain(1, "cafe\u{301}")])
    let status = HostStatus(
      index: ObservationIndex(observation), desired: desired,
      plan: makePlan(desired: desired, observation: observation))
    #expect(status.domains.map(\.name) == ["cafe\u{301}", "caf\u{E9}"])
    #expect(status.domains.map { $0.devices.contains(where: \.isDeclared) } == [false, true])
  }

  @Test func `a domain without a name that no manifest declares is called by its number`() {
    var desired = Sample.desired(["web": []])
    desired.completeness = .assumed
    let plan = makePlan(desired: desired, observation: observe([Sample.domain(7, .missing, [one])], owner: 7))
    #expect(plan.refusal == .domainLeftOut(names: ["domain 7"], planned: 1))
  }

  @Test func `a domain without a name is no declaration's, and is called by its number`() {
    let desired = Sample.desired(["web": []], prune: .all)
    let plan = makePlan(desired: desired, observation: observe([Sample.domain(7, .missing, [one])], owner: 7))
    #expect(plan.domains.filter { $0.id == DomainID(7) }.allSatisfy { $0.name.isEmpty })
    // Even a declaration that could not be written does not mean it.
    let nameless = DesiredState(domains: [
      DesiredDomain(name: .missing, devices: [DesiredDevice(address: Sample.address(2))])
    ])
    let other = makePlan(desired: nameless, observation: observe([Sample.domain(7, .missing)]))
    #expect(other.steps.allSatisfy { !$0.isChange } && other.domains.allSatisfy { $0.id == nil })
  }

  @Test func `evidence calls a domain without a name by its number`() {
    let plan = makePlan(
      desired: Sample.desired(["web": [one]]),
      observation: observe([Sample.domain(7, .missing, [one]), Sample.domain(8, "web")]))
    let evidence = plan.steps.compactMap(\.evidence).joined(separator: "; ")
    #expect(
      evidence.contains("domain 7") && !evidence.contains("''") && !evidence.contains(" (domain 7)"), "\(evidence)")
  }

  @Test func `a name that is not shown as it is gives way to the number in a command`() {
    #expect(Holder(id: DomainID(5), name: "a\u{202E}b").argument == "5")
    #expect(Holder(id: DomainID(5), name: "cafe\u{301}").argument == "5")
    #expect(Holder(id: DomainID(5), name: "caf\u{E9}").argument != "5")
    #expect(Holder(id: DomainID(5), name: .missing).argument == "5")
  }
}
