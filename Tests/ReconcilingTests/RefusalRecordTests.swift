import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// A plan says why its change failed the last time, if the cause does not go away by itself.
@Suite struct RefusalRecordTests {
  private let one = Sample.address(1)

  private func effects(_ plan: Plan) -> [String] { plan.steps.flatMap(\.effects) }

  @Test func `Xen's refusal is in the next plan, until the device is attached`() throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    let (run, wanted) = (Run(model: model), Sample.desired(["net": [one]]))
    #expect(effects(try run.plan(wanted)).isEmpty)
    model.fail("assign", .notPermitted)
    #expect(!failures(try run.apply(wanted)).isEmpty)
    let said = "the last apply failed: assign-refused: Xen does not permit the assignment: "
    let effects = effects(try run.plan(wanted))
    #expect(effects.count == 1 && effects[0].hasPrefix(said), "\(effects)")
    // A second failure changes nothing on record.
    let record = try model.host.ownership.record(of: key.uuid)
    try run.apply(wanted)
    #expect(try model.host.ownership.record(of: key.uuid) == record)
    model.heal("assign")
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(try model.host.ownership.record(of: key.uuid)?.refusals == [])
    #expect(try run.plan(wanted).steps.flatMap(\.effects).isEmpty && disagreements(model, key, [one]).isEmpty)
  }

  @Test func `QEMU's refusal is in the next plan in QEMU's words`() throws {
    let model = ModelHost()
    let key = model.addHVMDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    model.setRefusals(5, ["PCI: slot 5 function 0 not available"])
    let (run, wanted) = (Run(model: model), Sample.desired(["net": [one]]))
    #expect(!failures(try run.apply(wanted)).isEmpty)
    #expect(
      effects(try run.plan(wanted)) == ["the last apply failed: QEMU refused it: PCI: slot 5 function 0 not available"])
    // A domain that has started again has another QEMU.
    let record = try #require(try model.host.ownership.record(of: key.uuid))
    try model.host.ownership.update(key.uuid) { stored in
      stored = record
      stored?.refusals[0].domain = DomainID(99)
    }
    #expect(effects(try run.plan(wanted)).isEmpty)
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(disagreements(model, key, [one], hasDeviceModel: true).isEmpty)
  }

  @Test func `what may be over by the next run is not recorded`() throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    let (run, wanted) = (Run(model: model), Sample.desired(["net": [one]]))
    model.change(5) { $0.answers = false }
    #expect(!failures(try run.apply(wanted)).isEmpty)
    #expect(try model.host.ownership.record(of: key.uuid)?.refusals.isEmpty != false)
    #expect(effects(try run.plan(wanted)).allSatisfy { !$0.contains("failed") })
  }
}
