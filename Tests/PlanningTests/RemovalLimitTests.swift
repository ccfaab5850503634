import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// What `policy.maxRemovals` counts.
@Suite struct RemovalLimitTests {
  private let one = Sample.address(1)

  @Test func `a device whose options change counts as a removal, and one that a repair attaches again does not`() {
    var domain = Sample.domain(1, "net", [one])
    domain.backEnd?.entries[0].optionsText = DeviceOptions(msiTranslate: true).storeText
    func plan(_ assignment: UInt32?) -> Plan {
      let observation = Observation(
        host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), domains: [domain],
        devices: [Sample.device(one, heldBy: assignment)],
        records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
      return makePlan(desired: Sample.desired(["net": [one]], maxRemovals: 0), observation: observation)
    }
    #expect(plan(1).steps.map(\.action) == [.reattach])
    #expect(plan(1).refusal == .tooManyRemovals(planned: 1, allowed: 0))
    #expect(plan(nil).steps.first?.action == .reattach, "Xen has taken it already")
    #expect(plan(nil).refusal == nil)
  }
}
