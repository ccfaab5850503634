import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// Cards that are pulled, replaced or given to a driver of the host while a guest has them: what was granted is revoked,
/// and what is at the address now is left alone.
@Suite struct IdentityTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)
  private let disk = ModelCard(id: DeviceID(vendor: 0x144D, device: 0xA80A), memory: 0xB100_0000)

  private func grants(of model: ModelHost, _ domain: UInt32 = 5) -> [String] {
    model.granted.filter { $0.hasPrefix("\(domain) ") }.sorted()
  }

  /// Returns a host on which `net` has one device with an interrupt line of its own.
  private func makeHost(_ card: ModelCard = ModelCard()) throws -> (model: ModelHost, key: DomainKey, run: Run) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    model.plug(card, at: one, onPCIBack: true)
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one]]))
    #expect(!grants(of: model).isEmpty && model.resets == [one])
    return (model, key, run)
  }

  private let nothing = Sample.desired(["net": []])

  // MARK: What is at the address now

  @Test func `a device that a driver of the host has is not reset, and its rights are revoked`() throws {
    let (model, key, run) = try makeHost()
    model.removeFromPCIBack(one)
    let plan = try run.plan(nothing)
    #expect(plan.steps.map(\.evidence) == ["its driver is e1000e, so the device itself is left alone"])
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(model.resets == [one] && model.owner(of: one) == nil)
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
  }

  @Test(
    arguments: [
      ModelCard(id: DeviceID(vendor: 0x144D, device: 0xA80A), memory: 0xB100_0000),
      ModelCard(subsystem: DeviceID(vendor: 0x1028, device: 2), serial: "1", memory: 0xB100_0000),
      ModelCard(subsystem: DeviceID(vendor: 0x1028, device: 1), serial: "2", memory: 0xB100_0000),
      ModelCard(subsystem: DeviceID(vendor: 0x1028, device: 1), serial: nil, memory: 0xB100_0000),
    ], ["pciback's", "pciback's, and Xen was not informed", "a driver's"])
  func `another card at the address is not touched`(_ other: ModelCard, _ place: String) throws {
    let (model, key, run) = try makeHost(
      ModelCard(subsystem: DeviceID(vendor: 0x1028, device: 1), serial: "1"))
    model.pull(one)
    model.plug(other, at: one, onPCIBack: place != "a driver's")
    if place.contains("not informed") { model.setOwner(one, 5) }
    let step = try #require(try run.plan(nothing).steps.first)
    #expect(step.deviceID == DeviceID(vendor: 0x8086, device: 0x1533), "the step names the card that was attached")
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(model.resets == [one])
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
    #expect(unrest(try run.plan(nothing)).isEmpty)
  }

  @Test func `a device that Xen has given to another guest since is not reset`() throws {
    let (model, key, run) = try makeHost()
    let other = model.addDomain(6, "other")
    // The state after an xl pci-detach of a guest that did not answer, and an xl pci-attach to another one.
    model.setOwner(one, 6)
    model.store[StorePath.claim(one).text] = "6"
    try run.apply(nothing)
    #expect(model.resets == [one])
    #expect(model.owner(of: one) == other.id && model.claim(on: one) == "6")
    #expect(model.listed(5).isEmpty && grants(of: model).isEmpty && model.grantRecords(key).isEmpty)
  }

  /// What happens between the plan and the claim.
  @Test func `a device that changes after the plan is not taken`() throws {
    func steps(_ change: (ModelHost) -> Void) throws -> [StepOutcome] {
      let model = ModelHost()
      let key = model.addDomain(5, "net")
      model.addDevice(one, interrupt: 17)
      let run = Run(model: model)
      let plan = try run.plan(Sample.desired(["net": [one]]))
      change(model)
      let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
      #expect(model.owner(of: one) == nil && model.granted.isEmpty && model.resets.isEmpty)
      #expect(model.recorded(key).isEmpty && model.grantRecords(key).isEmpty && model.openIntents.isEmpty)
      return outcome.domains.flatMap(\.steps)
    }
    let taken = try steps { $0.removeFromPCIBack(one) }
    #expect(taken.map(\.result) == [.blocked])
    #expect(taken.first?.detail?.plain == "not-assignable: its driver is e1000e, not pciback")
    let replaced = try steps { model in
      model.pull(one)
      model.plug(disk, at: one, onPCIBack: true)
    }
    #expect(replaced.map(\.result) == [.blocked])
    #expect(replaced.first?.detail?.plain.hasPrefix("identity-mismatch: ") == true)
  }

  @Test(arguments: ["2", nil])
  func `a card of the same type that replaced the declared one is not taken`(_ serial: String?) throws {
    let model = ModelHost()
    model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    model.plug(ModelCard(serial: "1"), at: one, onPCIBack: true)
    var selector = DeviceSelector()
    selector.serial = "1"
    let desired = DesiredState(domains: [
      DesiredDomain(name: "net", devices: [], selections: [DeviceSelection(selector: selector, label: "lan0")])
    ])
    let run = Run(model: model)
    let plan = try run.plan(desired)
    #expect(plan.steps.map(\.action) == [.attach])
    model.pull(one)
    model.plug(ModelCard(serial: serial), at: one, onPCIBack: true)
    let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
    #expect(model.owner(of: one) == nil && model.granted.isEmpty && model.resets.isEmpty)
    let detail = outcome.domains.flatMap(\.steps).first?.detail?.plain
    #expect(detail?.hasPrefix("identity-mismatch: serial 1 was planned, but the device is ") == true, "\(detail ?? "")")
  }

  @Test func `a card that is replaced after Xen has assigned it is granted nothing`() throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    let run = Run(model: model)
    let desired = Sample.desired(["net": [one]])
    let plan = try run.plan(desired)
    model.afterAssign { [model, one, disk] in
      model.pull(one)
      model.plug(disk, at: one, onPCIBack: true)
      model.setOwner(one, 5)
    }
    let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.failed])
    #expect(failures(outcome).contains { $0.contains("another device is at the address") }, "\(failures(outcome))")
    #expect(model.resets.isEmpty && model.granted.isEmpty && model.listed(5).isEmpty && model.owner(of: one) == nil)
    #expect(model.recorded(key).isEmpty && model.grantRecords(key).isEmpty && model.openIntents.isEmpty)
  }

  // MARK: What was granted

  @Test func `the rights to a card that was pulled are revoked from the record`() throws {
    let (model, key, run) = try makeHost()
    model.pull(one)
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(grants(of: model).isEmpty && model.resets == [one])
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
    #expect(unrest(try run.plan(nothing)).isEmpty)
  }

  @Test func `an interrupt line that a pulled card shared stays with the device that uses it`() throws {
    let (model, key, run) = try makeAttachedHost()
    model.pull(two)
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(disagreements(model, key, [one], among: [one, two]).isEmpty)
    #expect(grants(of: model) == grants(of: try makeAttachedTo([one])))
  }

  /// Returns a host on which `net` has only these of three devices on one line.
  private func makeAttachedTo(_ devices: [PCIAddress]) throws -> ModelHost {
    let model = ModelHost()
    model.addDomain(5, "net")
    for number in 1...3 { model.addDevice(Sample.address(number), interrupt: 17) }
    try Run(model: model).apply(Sample.desired(["net": devices]))
    return model
  }

  @Test func `memory that the host has given to another device of the guest stays`() throws {
    let (model, key, run) = try makeAttachedHost()
    model.pull(two)
    model.pull(three)
    // Linux gives a card that is plugged in the first memory that is free.
    let base = UInt64(0xF000_0000) + UInt64(two.sbdf) << 12
    model.plug(ModelCard(memory: base), at: three, onPCIBack: true)
    let all = Sample.desired(["net": [one, three]])
    #expect(failures(try run.apply(all)).isEmpty)
    #expect(disagreements(model, key, [one, three], among: [one, three]).isEmpty)
    #expect(grants(of: model).contains { $0.contains("frames \(base >> 12)") })
  }

  @Test func `a card in the place of one that nobody recorded is no proof`() throws {
    let (model, key, run) = try makeHost()
    try model.host.ownership.update(key.uuid) { $0?.grants = [] }
    model.pull(one)
    model.plug(disk, at: one, onPCIBack: false)
    #expect(failures(try run.apply(nothing)).contains { $0.contains("rights-left") })
    #expect(model.resets == [one] && !grants(of: model).isEmpty)
    #expect(model.grantRecords(key).map(\.grants) == [nil])
  }

  @Test func `rights that nobody recorded are named until the domain ends`() throws {
    let (model, key, run) = try makeHost()
    // The record of a Berth that kept none.
    try model.host.ownership.update(key.uuid) { $0?.grants = [] }
    model.pull(one)
    let outcome = try run.apply(nothing)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.failed])
    #expect(failures(outcome).contains { $0.contains("rights-left") })
    #expect(model.listed(5).isEmpty && model.openIntents.isEmpty && model.recorded(key).isEmpty)

    func drifts() throws -> [DriftName] {
      let observation = try Observer(host: model.host).observeEverything(desired: nothing)
      let plan = makePlan(desired: nothing, observation: observation)
      return makeDriftMatrix(desired: nothing, observation: observation, plan: plan).findings.map(\.name)
    }
    #expect(try drifts() == [.rightsLeft])
    let plan = try run.plan(nothing)
    #expect(plan.steps.map(\.kind) == [.drift(.rightsLeft)] && !plan.hasChanges && plan.bookkeeping.isEmpty)
    // It is not settled by another card that is attached and detached there.
    model.plug(ModelCard(memory: 0xC100_0000), at: one, onPCIBack: true)
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(try drifts() == [.rightsLeft])
    // A domain that starts again has another number.
    model.change(5) { $0.key = DomainKey(id: DomainID(5), uuid: Sample.uuid(77)) }
    model.addDomain(8, "net", uuid: key.uuid)
    #expect(try !drifts().contains(.rightsLeft))
  }

  @Test func `a record without these facts still does`() throws {
    let (model, key, run) = try makeHost()
    try model.host.ownership.update(key.uuid) { $0?.grants = [] }
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(model.resets == [one, one])
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
  }

  @Test func `rights that could not be revoked are named, and revoked by the next run`() throws {
    let (model, key, run) = try makeHost()
    model.pull(one)
    model.fail("frames", .other)
    let failed = try run.apply(nothing)
    #expect(failures(failed).contains { $0.contains("rights-left") && $0.contains("memory 0x") })
    #expect(model.listed(5).isEmpty && model.claim(on: one) == nil && model.openIntents.isEmpty)
    #expect(!grants(of: model).isEmpty)
    let plan = try run.plan(nothing)
    #expect(plan.steps.map(\.kind.name) == ["rights-left"] && plan.hasChanges)
    model.heal("frames")
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
  }

  @Test func `a device that is in its place stays assigned while its rights cannot be revoked`() throws {
    let (model, key, run) = try makeHost()
    model.fail("frames", .other)
    #expect(!failures(try run.apply(nothing)).isEmpty)
    #expect(model.owner(of: one) == key.id && !model.openIntents.isEmpty)
    model.heal("frames")
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
  }

  @Test func `the rights of a pulled card that xl detached are revoked`() throws {
    let (model, key, run) = try makeHost()
    model.pull(one)
    // libxl finds no resource file, and revokes nothing.
    for name in ["dev-0", "key-0", "opts-0", "state-0", "vdev-0"] {
      model.store[StorePath.backEnd(key.id).child(name).text] = nil
    }
    model.store[StorePath.backEnd(key.id).child("num_devs").text] = "0"
    model.store[StorePath.claim(one).text] = nil
    let plan = try run.plan(nothing)
    #expect(plan.steps.map(\.kind.name) == ["rights-left"])
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(grants(of: model).isEmpty && model.grantRecords(key).isEmpty && model.saved(key).isEmpty)
    #expect(unrest(try run.plan(nothing)).isEmpty)
  }

  @Test func `old rights are revoked before another card at the address is granted`() throws {
    let (model, key, run) = try makeHost()
    let old = grants(of: model).filter { $0.contains("frames") }
    model.pull(one)
    model.fail("frames", .other)
    try run.apply(nothing)
    model.heal("frames")
    model.plug(disk, at: one, onPCIBack: true)
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(!grants(of: model).contains(where: old.contains))
    #expect(model.grantRecords(key).map(\.identity?.id) == [disk.id])
    #expect(disagreements(model, key, [one], among: [one]).isEmpty)
  }

  @Test func `what is granted is on record first, at each moment`() throws {
    for step in 1..<200 {
      let model = ModelHost()
      let key = model.addDomain(5, "net")
      for device in [one, two] { model.addDevice(device, interrupt: 17) }
      let run = Run(model: model, options: .hasty)
      let desired = Sample.desired(["net": [one, two]])
      let plan = try run.plan(desired)
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      let wasKilled = model.restart()
      if !grants(of: model).isEmpty {
        #expect(model.grantRecords(key).map(\.device) == [one, two], "killed before step \(step)")
      }
      // The cards go with the run that attached them.
      model.pull(one)
      model.pull(two)
      try run.apply(nothing)
      #expect(grants(of: model).isEmpty, "killed before step \(step)")
      #expect(unrest(try run.plan(nothing)).isEmpty, "killed before step \(step)")
      if !wasKilled { return }
    }
    Issue.record("it never ends")
  }

  @Test(arguments: [nil, DomainID(4)])
  func `what is missing on record is added while the card is there`(_ earlier: DomainID?) throws {
    let (model, key, run) = try makeHost()
    let desired = Sample.desired(["net": [one]])
    // The record of a Berth that kept none, or of the domain's earlier life.
    try model.host.ownership.update(key.uuid) { record in
      if let earlier { record?.grants[0].domain = earlier } else { record?.grants = [] }
    }
    let plan = try run.plan(desired)
    #expect(!plan.hasChanges && plan.bookkeeping == [.granted(key.uuid, one)])
    try run.apply(desired)
    #expect(disagreements(model, key, [one], among: [one]).isEmpty)
    #expect(model.grantRecords(key).map(\.domain) == [key.id])
    #expect(unrest(try run.plan(desired)).isEmpty)
    model.pull(one)
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(grants(of: model).isEmpty)
  }

  @Test func `what an earlier life of the domain was granted says nothing of another card`() throws {
    let (model, key, run) = try makeHost()
    // The state after the domain was started again with another card at the address.
    try model.host.ownership.update(key.uuid) { record in
      for index in (record?.grants ?? []).indices { record?.grants[index].domain = DomainID(4) }
    }
    model.plug(ModelCard(id: disk.id), at: one, onPCIBack: true)
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(model.resets == [one, one])
    #expect(disagreements(model, key, [], among: [one]).isEmpty)
  }

  @Test func `an adopted device has its rights on record`() throws {
    let (model, key, run) = try makeHost()
    try model.host.ownership.update(key.uuid) { $0 = nil }
    let desired = Sample.desired(["net": [one]])
    #expect(failures(try run.apply(desired)).isEmpty)
    #expect(model.grantRecords(key).map(\.device) == [one])
    model.pull(one)
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(grants(of: model).isEmpty)
  }

  // MARK: Neighbours

  /// Who has the other function of the slot when a device is attached and detached.
  enum Neighbour: String, CaseIterable { case idle, ofTheHost, ofAnotherGuest, ofThisGuest }

  @Test(arguments: Neighbour.allCases)
  func `a reset of the slot reaches no device that somebody has`(_ neighbour: Neighbour) throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDomain(6, "other")
    for device in [one, two] { model.addDevice(device) }
    let run = Run(model: model)
    var others: [PCIAddress] = []
    var elsewhere: [Name: [PCIAddress]] = [:]
    switch neighbour {
    case .idle: break
    case .ofTheHost: model.removeFromPCIBack(two)
    case .ofAnotherGuest:
      elsewhere = ["other": [two]]
      try run.apply(Sample.desired(elsewhere))
    case .ofThisGuest:
      others = [two]
      try run.apply(Sample.desired(["net": [two]]))
    }
    let before = model.resets.count
    model.setResetsSlots(true)
    #expect(failures(try run.apply(Sample.desired(["net": [one] + others].merging(elsewhere) { $1 }))).isEmpty)
    #expect(failures(try run.apply(Sample.desired(["net": others].merging(elsewhere) { $1 }))).isEmpty)
    let resets = Array(model.resets[before...])
    #expect(resets == (neighbour == .idle ? [one, two, one, two] : [one, one]))
    #expect(model.owner(of: one) == nil && model.recorded(key) == others)
  }
}
