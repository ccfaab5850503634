import Model
import Planning
import Rendering
import Testing

@Suite struct UnresolvedViewTests {
  private func plan() throws -> Plan {
    func selector(_ change: (inout DeviceSelector) -> Void) -> DeviceSelector {
      var selector = DeviceSelector()
      change(&selector)
      return selector
    }
    let two = [try Samples.address("0000:03:00.0"), try Samples.address("0000:04:00.0")]
    return Plan(
      host: Samples.host, domainCount: 1, deviceCount: 2, policy: Policy(),
      domains: [
        DomainPlan(
          name: "sys-net", uuid: try Samples.uuid("2"), id: DomainID(2), kind: .pv, lifecycle: .running,
          steps: [
            try Samples.step(
              "0000:05:00.0", .attach(DeviceOptions(), because: .declared), id: "10ec:8125", label: "lan9")
          ],
          unresolved: [
            UnresolvedStep(
              label: "disk", selector: selector { $0.nvmeSerial = "S4EVNX0R" }, obstacle: .deviceMissing,
              isRequired: false, evidence: "no device has nvmeSerial S4EVNX0R"),
            UnresolvedStep(
              label: "lan0",
              selector: selector { ($0.id, $0.deviceClass) = (DeviceID("8086:1533"), ClassPrefix("02")) },
              obstacle: .selectorAmbiguous, candidates: two,
              evidence: "0000:03:00.0 and 0000:04:00.0 have id 8086:1533, class 02", remedy: "add a key"),
          ])
      ])
  }

  @Test func `a plan shows what was not found under its name in the manifest`() throws {
    let view = PlanView(plan: try plan(), naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "unresolved/plan.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "unresolved/plan.json")
  }
}
