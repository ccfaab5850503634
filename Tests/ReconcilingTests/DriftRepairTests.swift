import Core
import Reconciling
import TestSupport
import Testing

/// Repairs that came to nothing on a real Xen.
@Suite struct DriftRepairTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func makeHost() throws -> (ModelHost, DomainKey, Run) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    for device in [one, two] { model.addDevice(device, interrupt: 17) }
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one, two]]))
    return (model, key, run)
  }

  private func expectRest(
    _ model: ModelHost, _ key: DomainKey, _ run: Run, _ devices: [PCIAddress],
    at location: SourceLocation = #_sourceLocation
  ) throws {
    #expect(disagreements(model, key, devices, among: [one, two]).isEmpty, sourceLocation: location)
    #expect(try !run.plan(Sample.desired(["net": devices])).hasChanges, sourceLocation: location)
  }

  @Test func `a device that Xen has taken back and whose claim is gone is attached anew at once`() throws {
    let (model, key, run) = try makeHost()
    // As an xl pci-detach leaves it whose guest sleeps through a round.
    try model.host.hypervisor.deassign(two, from: key.id)
    model.store[StorePath.claim(two).text] = nil
    let outcome = try run.apply(Sample.desired(["net": [one, two]]))
    #expect(failures(outcome).isEmpty)
    try expectRest(model, key, run, [one, two])
  }

  @Test func `other options of a device whose saved line is gone are a reattach all the same`() throws {
    let (model, key, run) = try makeHost()
    let saved = try SavedConfiguration(try #require(try model.host.userdata.savedConfiguration(of: key)))
    model.setSaved(key, try saved.removing([two]).bytes)
    var desired = Sample.desired(["net": [one, two]])
    desired.domains[0].devices[1].options.msiTranslate = true
    let outcome = try run.apply(desired)
    #expect(failures(outcome).isEmpty)
    #expect(Set(model.listed(5)) == [one, two])
    #expect(try !run.plan(desired).hasChanges)
  }

  @Test func `what a domain left that was destroyed without its toolstack is removed`() throws {
    let (model, _, run) = try makeHost()
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

  @Test func `a record that loses a device loses the place that it had in the guest`() throws {
    let (model, key, run) = try makeHost()
    // As xl pci-detach leaves it, with its saved line gone too.
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

  @Test func `an entry of a device that pciback has lost is taken out, and its round ended`() throws {
    let (model, key, run) = try makeHost()
    model.removeFromPCIBack(two)
    let outcome = try run.apply(Sample.desired(["net": [one]]))
    #expect(failures(outcome).isEmpty)
    #expect(model.node(5, "state") == "4")
    try expectRest(model, key, run, [one])
  }

  @Test func `a front end that nobody serves is seen, and taken away before the next attach`() throws {
    let (model, key, run) = try makeHost()
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

  @Test func `a round that was answered in pciback's place and left so is ended by the next run`() throws {
    let (model, key, run) = try makeHost()
    model.store[StorePath.backEnd(key.id).child("state").text] = "8"
    model.store.settle()
    #expect(model.node(5, "state") == "8")
    let outcome = try run.apply(Sample.desired(["net": [one]]))
    #expect(failures(outcome).isEmpty)
    try expectRest(model, key, run, [one])
  }
}
