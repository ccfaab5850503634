import Model
import Planning
import Ports
import TestSupport
import Testing
import XenProtocol

/// A round acts on every entry of a bus, also on those that a run does not mean: no run starts one that ends the bus.
@Suite struct BusHazardTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  /// Returns a PV guest that has two devices, and a third that waits for a round that nobody asked for.
  private func makeHost() throws -> (ModelHost, DomainKey, Run) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    for number in 1...4 { model.addDevice(Sample.address(number), interrupt: 17) }
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one, two]]))
    try model.host.hypervisor.assign(three, to: key.id, relaxed: false)
    model.store[StorePath.claim(three).text] = key.id.description
    let back = StorePath.backEnd(key.id)
    for (name, value) in ["dev": three.description, "key": three.description, "opts": "", "state": "1"] {
      model.store[back.child("\(name)-2").text] = value
    }
    model.store[back.child("num_devs").text] = "3"
    model.store.settle()
    #expect(model.node(5, "state") == "4")
    return (model, key, run)
  }

  @Test func `an entry that pciback never exported is removed without a mark`() throws {
    let (model, key, run) = try makeHost()
    try model.host.ownership.update(key.uuid) { $0?.devices.append(three) }
    let outcome = try run.apply(Sample.desired(["net": [one, two]]))
    #expect(failures(outcome).isEmpty)
    #expect(model.node(5, "state") == "4")
    #expect(model.exports(to: 5) == [one, two])
    #expect(model.listed(5) == [one, two])
    #expect(model.owner(of: three) == nil)
  }

  @Test func `it goes together with one that the guest has`() throws {
    let (model, key, run) = try makeHost()
    try model.host.ownership.update(key.uuid) { $0?.devices.append(three) }
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(model.node(5, "state") == "4")
    #expect(model.exports(to: 5) == [one])
    #expect(model.listed(5) == [one])
  }

  @Test func `a detach does not make pciback look at a device that left pciback`() throws {
    let (model, _, run) = try makeHost()
    model.removeFromPCIBack(three)
    let outcome = try run.apply(Sample.desired(["net": [one]]))
    #expect(results(outcome) == [.blocked])
    #expect(model.node(5, "state") == "4")
    #expect(model.exports(to: 5) == [one, two])
  }

  @Test func `nor does the end of a stuck round`() throws {
    let (model, key, run) = try makeHost()
    model.removeFromPCIBack(three)
    // As a round leaves the bus that was taken back while the guest worked on it.
    model.store[StorePath.frontEnd(key.id).child("state").text] = "7"
    model.store.settle()
    try run.apply(Sample.desired(["net": [one, two, Sample.address(4)]]))
    try run.apply(Sample.desired(["net": [one]]))
    #expect(model.node(5, "state") == "4")
    #expect(model.exports(to: 5) == [one, two])
  }

  private func results(_ outcome: ApplyOutcome) -> [StepResult] { outcome.domains.flatMap(\.steps).map(\.result) }
}
