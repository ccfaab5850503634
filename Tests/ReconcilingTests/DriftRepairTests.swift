import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// Repairs that had no effect on a real Xen.
@Suite struct DriftRepairTests {
  @Test func `a device that xl has taken leaves the record together with its set`() throws {
    let (model, key, run) = try makeAttachedHost()
    let device = Sample.address(1)
    try model.host.ownership.update(key.uuid) { $0?.sets = [DeviceSet(device: device, set: "storage")] }
    #expect(ModelXl(model, key, device).detach() == .success)
    var desired = Sample.desired(["net": [Sample.address(2)]])
    desired.set = "storage"
    try run.apply(desired)
    let record = try #require(try model.host.ownership.records().first { $0.uuid == key.uuid })
    #expect(!record.devices.contains(device))
    #expect(record.sets.map(\.device) == [Sample.address(2)])
  }

  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func expectRest(
    _ model: ModelHost, _ key: DomainKey, _ run: Run, _ devices: [PCIAddress],
    at location: SourceLocation = #_sourceLocation
  ) throws {
    #expect(disagreements(model, key, devices, among: [one, two]).isEmpty, sourceLocation: location)
    #expect(try !run.plan(Sample.desired(["net": devices])).hasChanges, sourceLocation: location)
  }

  @Test func `a device that Xen took back is attached again at once if its claim is gone`() throws {
    let (model, key, run) = try makeAttachedHost()
    // The state after an xl pci-detach during whose round the guest sleeps.
    try model.host.hypervisor.deassign(two, from: key.id)
    model.store[StorePath.claim(two).text] = nil
    let outcome = try run.apply(Sample.desired(["net": [one, two]]))
    #expect(failures(outcome).isEmpty)
    try expectRest(model, key, run, [one, two])
  }

  @Test func `other options lead to a reattach even if the saved line is gone`() throws {
    let (model, key, run) = try makeAttachedHost()
    try model.loseSavedLine(of: two, key)
    var desired = Sample.desired(["net": [one, two]])
    desired.domains[0].devices[1].options.msiTranslate = true
    let outcome = try run.apply(desired)
    #expect(failures(outcome).isEmpty)
    #expect(Set(model.listed(5)) == [one, two])
    #expect(try !run.plan(desired).hasChanges)
  }

  @Test func `leftovers of a domain destroyed without its toolstack are removed`() throws {
    let (model, _, run) = try makeAttachedHost()
    let gone = DomainID(99)
    model.store[StorePath.home(gone).child("vm").text] = "/vm/\(Sample.uuid(99))"
    model.store[StorePath.claim(Sample.address(3)).text] = "99"
    for (name, value) in ["state": "6", "num_devs": "0", "online": "0"] {
      model.store[StorePath.backEnd(gone).child(name).text] = value
    }
    model.addDevice(Sample.address(3))
    let desired = Sample.desired(["net": [one, two]])
    #expect(try run.plan(desired).hasChanges)
    try run.apply(desired)
    #expect(model.claim(on: Sample.address(3)) == nil)
    #expect(model.store[StorePath.backEnd(gone).child("state").text] == nil)
    #expect(try !run.plan(desired).hasChanges)
  }

  @Test func `a record that loses a device loses the device's place in the guest`() throws {
    let (model, key, run) = try makeAttachedHost()
    // The state after an xl pci-detach, with the saved line removed, too.
    try run.apply(Sample.desired(["net": [one]]))
    let export = ExportRecord(device: two, domain: key.id, slot: 1)
    try model.host.ownership.update(key.uuid) { record in
      record?.devices.append(two)
      record?.exports.append(export)
    }
    try run.apply(Sample.desired(["net": [one]]))
    let record = try #require(try model.host.ownership.records().first { $0.uuid == key.uuid })
    #expect(record.devices == [one])
    #expect(!record.exports.contains { $0.device == two })
  }

  @Test func `the entry of a device that pciback lost is removed, and its round ended`() throws {
    let (model, key, run) = try makeAttachedHost()
    model.removeFromPCIBack(two)
    let outcome = try run.apply(Sample.desired(["net": [one]]))
    #expect(failures(outcome).isEmpty)
    #expect(model.node(5, "state") == "4")
    try expectRest(model, key, run, [one])
  }

  @Test func `a front end that nobody serves is seen, and removed before the next attach`() throws {
    let (model, key, run) = try makeAttachedHost()
    model.store[StorePath.backEnd(key.id).text] = nil
    for (path, _) in model.dump() where path.hasPrefix(StorePath.backEnd(key.id).text) { model.store[path] = nil }
    model.store.settle()
    let observation = try Observer(host: model.host).observe(desired: Sample.desired(["net": [one, two]]))
    let bus = try #require(observation.domains.first?.backEnd)
    #expect(bus.condition == .vanishing)
    let outcome = try run.apply(Sample.desired(["net": [one, two]]))
    #expect(failures(outcome).isEmpty)
    try expectRest(model, key, run, [one, two])
  }

  @Test func `the next run ends a round that was answered in pciback's place`() throws {
    let (model, key, run) = try makeAttachedHost()
    model.store[StorePath.backEnd(key.id).child("state").text] = "8"
    model.store.settle()
    #expect(model.node(5, "state") == "8")
    let outcome = try run.apply(Sample.desired(["net": [one]]))
    #expect(failures(outcome).isEmpty)
    try expectRest(model, key, run, [one])
  }

  /// Replaces a bus as an xl does that takes its device for the first one; the guest has written 4 meanwhile. dom0's
  /// kernel holds the earlier bus, and neither end does anything.
  private func replaceBus(_ model: ModelHost, _ key: DomainKey) {
    let back = StorePath.backEnd(key.id)
    for name in ["dev-1", "key-1", "opts-1", "state-1", "vdev-1", "vdev-0"] { model.store[back.child(name).text] = nil }
    let second = ["dev-0": two.description, "state-0": "1", "num_devs": "1", "state": "1"]
    for (name, value) in second { model.store[back.child(name).text] = value }
    model.store.settle()
  }

  @Test func `a bus created over a connected one is recreated after a wait without effect`() throws {
    let (model, key, run) = try makeAttachedHost()
    replaceBus(model, key)
    #expect(model.node(5, "state") == "1")
    #expect(model.store[StorePath.frontEnd(key.id).child("state").text] == "4")
    let outcome = try run.apply(Sample.desired(["net": [one, two]]))
    #expect(failures(outcome).isEmpty)
    #expect(model.node(5, "state") == "4")
    try expectRest(model, key, run, [one, two])
  }

  @Test func `a guest that closes the recreated bus together with the earlier one gets another`() throws {
    let (model, key, run) = try makeAttachedHost()
    replaceBus(model, key)
    // The guest is releasing devices that no longer answer.
    model.change(5) { $0.answers = false }
    model.store.whenIdle.function = { [model] _ in
      guard model.node(5, "state") == "3" else { return false }
      model.store[StorePath.frontEnd(key.id).child("state").text] = "6"
      model.change(5) { $0.answers = true }
      return true
    }
    let outcome = try run.apply(Sample.desired(["net": [one, two]]))
    #expect(failures(outcome).isEmpty)
    #expect(model.node(5, "state") == "4")
    try expectRest(model, key, run, [one, two])
  }

  @Test func `a device that xl listed for an HVM guest first leaves the guest that still has it`() throws {
    let (model, key, run) = try makeAttachedHost()
    let other = model.addHVMDomain(6, "gpu-vm")
    try run.apply(Sample.desired(["net": [one], "gpu-vm": [two]]))
    // An xl pci-detach during which the first guest slept, and an xl pci-attach, which leaves the other guest's bus at
    // 7.
    try model.host.hypervisor.deassign(one, from: key.id)
    try model.host.hypervisor.assign(one, to: other.id, relaxed: false)
    model.store[StorePath.claim(one).text] = other.id.description
    let back = StorePath.backEnd(other.id)
    for (name, value) in ["dev-1": one.description, "key-1": one.description, "opts-1": "", "state-1": "1"] {
      model.store[back.child(name).text] = value
    }
    model.store[back.child("num_devs").text] = "2"
    model.store[back.child("state").text] = "7"
    model.store.settle()
    let outcome = try run.apply(Sample.desired(["net": [], "gpu-vm": [one, two]]))
    #expect(failures(outcome).isEmpty)
    #expect(model.exports(to: 5).isEmpty)
    #expect(model.exports(to: 6) == [one, two])
    #expect(model.node(6, "state") == "3")
    #expect(try !run.plan(Sample.desired(["net": [], "gpu-vm": [one, two]])).hasChanges)
  }
}
