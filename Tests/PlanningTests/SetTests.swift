import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// A set of manifests does not remove what another set owns.
@Suite struct SetTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  /// Two domains: `net` has one and two, `spare` has nothing. `sets` are those on record.
  private func host(_ sets: [PCIAddress: String], owned: [PCIAddress]? = nil) -> Observation {
    var record = OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: owned ?? [one, two])
    record.sets = sets.sorted { $0.key < $1.key }.map { DeviceSet(device: $0.key, set: $0.value) }
    return Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one, two]), Sample.domain(2, "spare")],
      devices: [Sample.device(one, heldBy: 1), Sample.device(two, heldBy: 1), Sample.device(three)], records: [record])
  }

  private func plan(
    _ set: String, _ domains: [Name: [PCIAddress]], _ observation: Observation, prune: Policy.Prune = .owned
  ) -> Plan {
    var desired = Sample.desired(domains, prune: prune)
    desired.set = set
    return makePlan(desired: desired, observation: observation)
  }

  @Test(arguments: [Policy.Prune.owned, .all])
  func `a set does not remove what another set owns`(_ prune: Policy.Prune) {
    let plan = plan("network", ["net": []], host([one: "network", two: "storage"]), prune: prune)
    #expect(plan.steps.map(\.action) == [.detach, .keep])
    #expect(plan.steps.last?.kind == .kept(.otherSet))
    #expect(plan.steps.last?.evidence == "set 'storage' owns it")
    #expect(plan.steps.last?.reason == .change(.ownedByOtherSet))
    #expect(plan.otherSets == ["storage"])
    let other = self.plan("storage", ["spare": []], host([one: "network", two: "storage"]), prune: prune)
    #expect(other.steps.map(\.action) == [.keep, .detach])
  }

  @Test func `a device that two sets declare is blocked for the second`() {
    for domain in ["net", "spare"] as [Name] {
      let plan = plan("network", [domain: [one, two]], host([one: "network", two: "storage"]))
      let step = plan.steps.first { $0.device == two && $0.after != nil }
      #expect(step?.kind == .blocked(.otherSet))
      #expect(step?.evidence == "set 'storage' owns it in net (domain 1)")
      #expect(plan.steps.allSatisfy { $0.device != two || !$0.isChange })
    }
  }

  @Test func `a record of an earlier release belongs to the default set until a set declares the device`() {
    let old = host([:])
    #expect(plan("default", ["net": [one, two]], old).steps.map(\.kind) == [.unchanged, .unchanged])
    #expect(plan("default", ["net": []], old).steps.map(\.action) == [.detach, .detach])
    let network = plan("network", ["net": [one]], old)
    #expect(network.steps.map(\.action) == [.adopt, .keep])
    #expect(network.steps.last?.kind == .kept(.otherSet))
    #expect(plan("network", ["net": [one]], host([one: "network"])).steps.map(\.action) == [.keep, .keep])
  }

  @Test func `a record of an earlier release is moved by the first set that declares the device elsewhere`() {
    let plan = plan("network", ["spare": [one]], host([:]))
    #expect(plan.steps.map(\.action) == [.move, .keep])
    #expect(plan.steps.first?.device == one)
  }

  @Test func `the set of a device that nobody owns any more blocks no other set`() {
    let plan = plan("network", ["net": [two]], host([one: "storage", two: "storage"], owned: [one]))
    #expect(plan.steps.map(\.action) == [.keep, .adopt])
    #expect(plan.otherSets == ["storage"])
  }

  @Test func `the default set is a set, too`() {
    let plan = plan("network", ["net": [one]], host([one: "default", two: "default"]))
    #expect(plan.steps.map(\.kind) == [.blocked(.otherSet), .kept(.otherSet)])
    #expect(plan.otherSets == ["default"])
  }

  @Test func `what nobody owns is adopted by the set that declares it, and foreign to the others`() {
    let observation = host([one: "network"], owned: [one])
    #expect(plan("storage", ["net": [two]], observation).steps.map(\.action) == [.keep, .adopt])
    #expect(plan("network", ["net": [one]], observation).steps.map(\.kind) == [.unchanged, .foreign])
  }

  @Test func `a set's record of a domain that is gone blocks no other set`() {
    var observation = host([:], owned: [])
    observation.records = [
      OwnershipRecord(
        uuid: Sample.uuid(9), name: "gone", devices: [three], sets: [DeviceSet(device: three, set: "storage")])
    ]
    #expect(plan("network", ["spare": [three]], observation).steps.first { $0.device == three }?.action == .attach)
  }
}
