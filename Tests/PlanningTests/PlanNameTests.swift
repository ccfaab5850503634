import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// Names of steps that no other test of the planner asks for.
@Suite struct PlanNameTests {
  private let device = Sample.address(1)

  private func names(
    _ desired: DesiredState, _ domains: [ObservedDomain], heldBy holder: UInt32? = nil, owned: Bool = false
  ) -> [String] {
    let records = owned ? [OwnershipRecord(uuid: Sample.uuid(Int(holder ?? 0)), name: "", devices: [device])] : []
    let observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), domains: domains,
      devices: [Sample.device(device, heldBy: holder)], records: records)
    return makePlan(desired: desired, observation: observation).steps.map { "\($0.action) \($0.kind.name)" }
  }

  @Test func `a device that another domain of Berth's has is moved`() {
    let domains = [Sample.domain(1, "net", [device]), Sample.domain(2, "usb")]
    #expect(
      names(Sample.desired(["net": [], "usb": [device]]), domains, heldBy: 1, owned: true)
        == ["move declared-elsewhere"])
  }

  @Test func `a device that somebody else attached as declared is adopted`() {
    let domains = [Sample.domain(1, "net", [device])]
    #expect(names(Sample.desired(["net": [device]]), domains, heldBy: 1) == ["adopt already-attached"])
  }

  @Test func `a domain of the declared name with another UUID is left alone`() {
    var desired = Sample.desired(["net": [device]])
    desired.domains[0].uuid = Sample.uuid(7)
    #expect(names(desired, [Sample.domain(1, "net")]) == ["blocked domain-mismatch"])
  }

  @Test func `two domains of the declared name are both left alone`() {
    let domains = [Sample.domain(1, "net"), Sample.domain(2, "net")]
    #expect(names(Sample.desired(["net": [device]]), domains) == ["blocked domain-ambiguous"])
  }
}
