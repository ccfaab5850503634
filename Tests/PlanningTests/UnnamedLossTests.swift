import Model
import Planning
import TestSupport
import Testing

/// What is refused because the manifests may lack a part.
@Suite struct UnnamedLossTests {
  private let devices = (0..<3).map(Sample.address)

  /// Returns a host on which Berth owns the first device in `net` and the second in `usb`; a third is foreign in `usb`.
  private func host(lifecycle: DomainLifecycle = .running, owned: Bool = true) -> Observation {
    var observation = Observation(
      host: HostFacts(name: "host17"),
      domains: [
        Sample.domain(1, "net", [devices[0]], lifecycle: lifecycle),
        Sample.domain(2, "usb", [devices[1], devices[2]], lifecycle: lifecycle),
      ])
    observation.devices = [
      Sample.device(devices[0], heldBy: 1), Sample.device(devices[1], heldBy: 2), Sample.device(devices[2], heldBy: 2),
    ]
    if owned {
      observation.records = [
        OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [devices[0]]),
        OwnershipRecord(uuid: Sample.uuid(2), name: "usb", devices: [devices[1]]),
      ]
    }
    return observation
  }

  private func refusal(
    _ domains: [Name: [PCIAddress]], prune: Policy.Prune = .owned, maxRemovals: Int? = nil,
    completeness: Completeness = .assumed,
    on host: Observation
  ) -> PlanRefusal? {
    var desired = Sample.desired(domains, prune: prune, maxRemovals: maxRemovals)
    desired.completeness = completeness
    return makePlan(desired: desired, observation: host).refusal
  }

  @Test(arguments: [nil, 0, 4, 100])
  func `an empty wish is refused, whatever the bound`(_ bound: Int?) {
    #expect(refusal([:], maxRemovals: bound, on: host()) == .emptyManifest(planned: 2))
    #expect(refusal([:], prune: .all, maxRemovals: bound, on: host()) == .emptyManifest(planned: 2))
    #expect(refusal([:], prune: .never, maxRemovals: bound, on: host()) == nil)
    #expect(refusal([:], maxRemovals: bound, on: host(owned: false)) == nil)
  }

  @Test func `an empty wish that is meant is not refused`() {
    #expect(refusal([:], completeness: .stated, on: host()) == nil)
    #expect(refusal([:], maxRemovals: 1, completeness: .stated, on: host()) == .tooManyRemovals(planned: 2, allowed: 1))
  }

  @Test func `a domain that is left out is refused without a bound`() {
    let left = PlanRefusal.domainLeftOut(names: ["net"], planned: 1)
    #expect(refusal(["usb": [devices[1]]], on: host()) == left)
    #expect(refusal(["other": []], on: host()) == .domainLeftOut(names: ["net", "usb"], planned: 2))
    #expect(refusal(["usb": [devices[1]]], maxRemovals: 1, on: host()) == nil)
    #expect(refusal(["usb": []], maxRemovals: 1, on: host()) == .tooManyRemovals(planned: 2, allowed: 1))
    #expect(refusal(["usb": [devices[1]]], completeness: .stated, on: host()) == nil)
    #expect(refusal(["usb": [devices[1]]], prune: .never, on: host()) == nil)
    #expect(refusal(["usb": [devices[1]]], on: host(owned: false)) == nil)
  }

  @Test func `a bound does not help a host that was perhaps renamed`() {
    let left = PlanRefusal.domainLeftOut(names: ["net"], planned: 1)
    #expect(refusal(["usb": [devices[1]]], maxRemovals: 4, completeness: .doubtful, on: host()) == left)
    #expect(refusal(["usb": [], "net": []], maxRemovals: 4, completeness: .doubtful, on: host()) == nil)
    #expect(refusal(["usb": []], prune: .never, completeness: .doubtful, on: host()) == nil)
  }

  @Test func `a domain that is named may lose everything, and devices may move`() {
    #expect(refusal(["net": [], "usb": []], on: host()) == nil)
    #expect(refusal(["usb": [devices[0], devices[1]]], on: host()) == nil)
  }

  @Test func `a domain that waits is not lost later`() {
    #expect(refusal([:], on: host(lifecycle: .paused)) == .emptyManifest(planned: 2))
    #expect(refusal(["usb": []], on: host(lifecycle: .paused)) == .domainLeftOut(names: ["net"], planned: 1))
  }

  @Test func `a refused plan keeps its steps and is blocked`() {
    var desired = Sample.desired(["usb": [devices[1]]])
    let free = makePlan(desired: desired, observation: host())
    desired.completeness = .assumed
    let plan = makePlan(desired: desired, observation: host())
    #expect(plan.steps == free.steps && plan.hasChanges)
    #expect(exitStatus(of: plan, isDetailed: true, requiresRunning: false) == .blocked)
  }
}
