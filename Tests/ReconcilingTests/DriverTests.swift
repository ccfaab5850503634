import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// Devices that are taken from drivers of dom0, and returned to them.
@Suite struct DriverTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func makeHost() -> (model: ModelHost, key: DomainKey, run: Run) { makeDriverHost([one, two]) }

  private func desired(
    _ domains: [Name: [PCIAddress]], _ after: Policy.AfterDetach = .restore, drivers: Policy.HostDrivers = .prepare
  ) -> DesiredState {
    var desired = preparing(domains, after)
    desired.policy.hostDrivers = drivers
    return desired
  }

  private func obstacles(_ plan: Plan) -> [String] {
    plan.steps.compactMap { if case .blocked(let obstacle) = $0.kind { obstacle.rawValue } else { nil } }
  }

  // MARK: Both ways

  @Test func `a device comes from its driver to the guest, and back as it was`() throws {
    let (model, key, run) = makeHost()
    let before = model.drivers.driverState(of: one)
    let plan = try run.plan(desired(["net": [one]]))
    #expect(plan.driverSteps.map(\.kind) == [.prepare] && plan.driverSteps.first?.driver == "e1000e")
    #expect(plan.driverSteps.first?.domain == "net")
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
    #expect(disagreements(model, key, [one], among: [one, two]).filter { !$0.hasPrefix("interrupt") }.isEmpty)
    #expect(model.drivers.preparation(of: one)?.phase == .prepared)
    #expect(model.drivers.driverOverride(of: one) == nil && model.drivers.driver(of: two) == "e1000e")
    #expect(unrest(try run.plan(desired(["net": [one]]))).isEmpty)

    let nothing = desired(["net": []])
    #expect(try run.plan(nothing).driverSteps.map(\.kind) == [.release])
    #expect(failures(try run.apply(nothing)).isEmpty)
    #expect(model.drivers.driverState(of: one) == before)
    #expect(unrest(try run.plan(nothing)).isEmpty)
  }

  @Test func `a device that is not declared any more stays on pciback unless the policy says otherwise`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["net": [one]], .keep))
    #expect(try run.plan(desired(["net": []], .keep)).driverSteps.isEmpty)
    try run.apply(desired(["net": []], .keep))
    #expect(model.drivers.driver(of: one) == "pciback" && model.drivers.isQuarantined(one))
    // Another set does not return what this one prepared.
    var other = desired(["net": []])
    other.set = "other"
    #expect(try run.plan(other).driverSteps.isEmpty)
    #expect(try run.plan(desired(["net": []])).driverSteps.map(\.kind) == [.release])
  }

  @Test func `a device is prepared for a domain that does not exist yet, and quarantined`() throws {
    let (model, _, run) = makeHost()
    let later = desired(["later": [one]])
    let plan = try run.plan(later)
    #expect(plan.steps.map(\.kind) == [.pending(.domainAbsent)] && plan.driverSteps.map(\.device) == [one])
    #expect(failures(try run.apply(later)).isEmpty)
    #expect(model.drivers.driver(of: one) == "pciback" && model.drivers.isQuarantined(one))
    #expect(unrest(try run.plan(later)).isEmpty)
  }

  @Test func `what the driver showed is kept, and finds the device while pciback has it`() throws {
    let (model, _, run) = makeHost()
    let mac = try #require(MACAddress("a0:36:9f:12:34:56"))
    model.drivers.addHostDevice(one, interfaces: [NetworkInterface(name: "eth0", address: mac)])
    try run.apply(desired(["net": [one]]))
    let records = try model.host.preparations.readPreparations().contents
    let inventory = try model.host.inventory(of: [.interfaces], recalling: records)
    let function = try #require(inventory.functions.first { $0.address == one })
    #expect(function.driver == "pciback" && function.interfaces.map(\.address) == [mac])

    // A record says nothing of another card.
    model.pull(one)
    model.plug(ModelCard(id: DeviceID(vendor: 0x144D, device: 0xA80A), memory: 0xB100_0000), at: one, onPCIBack: true)
    let later = try model.host.inventory(of: [.interfaces], recalling: records)
    #expect(later.functions.first { $0.address == one }?.interfaces.isEmpty == true)
  }

  // MARK: What stands against it

  @Test func `a device that the host has mounted is blocked, with the way`() throws {
    let (model, _, run) = makeHost()
    let usage = HostUsage.mounted(one, at: "/srv")
    model.drivers.setUsage(usage)
    let plan = try run.plan(desired(["net": [one, two]]))
    #expect(obstacles(plan) == ["interlocked"] && plan.driverSteps.map(\.device) == [two])
    #expect(plan.steps.first?.evidence?.contains("sda → /srv") == true)

    // Something is mounted after the plan: the device is looked at again before its driver loses it.
    model.drivers.setUsage(HostUsage())
    let early = try run.plan(desired(["net": [one]]))
    model.drivers.setUsage(usage)
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(early)
    #expect(outcome.drivers.map(\.result) == [.blocked] && outcome.drivers.first?.obstacle == .interlocked)
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil)
  }

  @Test func `a person can answer for what stands on a device, and the record has the reason`() throws {
    let (model, _, run) = makeHost()
    model.drivers.setUsage(HostUsage.mounted(one, at: "/srv"))
    var wanted = desired(["net": [one]])
    let answer = InterlockOverride(reason: "the disk is the guest's own", user: "kim")
    wanted.policy.overrides = [one: answer, two: answer]
    let plan = try run.plan(wanted)
    #expect(plan.driverSteps.map(\.override) == [answer])
    #expect(plan.driverSteps.first?.evidence?.contains("sda → /srv") == true)
    #expect(plan.unusedOverrides(of: wanted.policy) == [two])
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(model.drivers.driver(of: one) == "pciback" && model.drivers.preparation(of: one)?.override == answer)
  }

  @Test func `nobody can answer for dom0's root file system`() throws {
    let (model, _, run) = makeHost()
    model.drivers.setUsage(HostUsage.mounted(one, at: "/"))
    var wanted = desired(["net": [one]])
    wanted.policy.overrides[one] = InterlockOverride(reason: "I know better", user: "kim")
    let plan = try run.plan(wanted)
    #expect(obstacles(plan) == ["interlocked"] && plan.driverSteps.isEmpty)
    #expect(plan.steps.first?.evidence?.hasSuffix("(this cannot be overridden)") == true)
    // The warning would repeat what the step says.
    #expect(plan.unusedOverrides(of: wanted.policy).isEmpty)
    try run.apply(wanted)
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil)
  }

  @Test func `what was not looked at is not taken`() throws {
    let (model, _, _) = makeHost()
    let wanted = desired(["net": [one]])
    var observation = try Observer(host: model.host).observe(desired: wanted)
    #expect(observation.hostUse != nil)
    observation.hostUse = nil
    let plan = makePlan(desired: wanted, observation: observation)
    #expect(obstacles(plan) == ["interlock-unknown"] && plan.driverSteps.isEmpty)
  }

  @Test func `a device that another program reserved is blocked, and one that libvirt left for pciback is not`() throws
  {
    let (model, _, run) = makeHost()
    model.drivers.setOverride(of: one, to: "vfio-pci")
    #expect(obstacles(try run.plan(desired(["net": [one]]))) == ["driver-reserved"])
    model.drivers.setOverride(of: one, to: nil)
    let early = try run.plan(desired(["net": [one]]))
    model.drivers.setOverride(of: one, to: "vfio-pci")
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(early)
    #expect(outcome.drivers.first?.obstacle == .driverReserved && model.drivers.driver(of: one) == "e1000e")

    model.drivers.setOverride(of: one, to: "pciback")
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
    #expect(model.drivers.driverOverride(of: one) == nil)
  }

  @Test func `a function whose driver would remove its virtual functions is blocked`() throws {
    let (model, _, run) = makeHost()
    model.drivers.setVirtualFunctions([FunctionName(two)], of: one)
    let plan = try run.plan(desired(["net": [one]]))
    #expect(obstacles(plan) == ["has-virtual-functions"] && plan.driverSteps.isEmpty)
    #expect(plan.steps.first?.evidence?.contains("\(two)") == true)
  }

  @Test func `a policy of never, and a damaged record, block the device`() throws {
    let (model, _, run) = makeHost()
    let never = try run.plan(desired(["net": [one]], drivers: .never))
    #expect(obstacles(never) == ["not-assignable"] && never.driverSteps.isEmpty)
    let error = RecordError(.damaged, operation: "read", place: "/var/lib/berth/devices/x.json")
    model.damage(DamagedFile(.preparation, .device(one), error))
    #expect(obstacles(try run.plan(desired(["net": [one, two]]))) == ["own-file-damaged"])
  }

  @Test func `pciback is loaded first, or its lack is named`() throws {
    let (model, _, run) = makeHost()
    model.drivers.removePCIBack()
    var forbidden = desired(["net": [one]])
    forbidden.policy.loadsModules = false
    #expect(obstacles(try run.plan(forbidden)) == ["pciback-not-loaded"])
    let plan = try run.plan(desired(["net": [one]]))
    #expect(plan.driverSteps.map(\.loadsPCIBack) == [true])
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
    #expect(model.drivers.driver(of: one) == "pciback")
  }

  // MARK: Drivers that do not cooperate

  @Test(arguments: ["e1000e", "pciback"])
  func `a device that a driver refuses to release, or pciback to take, is put back`(_ driver: String) throws {
    let (model, _, run) = makeHost()
    let before = model.drivers.driverState(of: one)
    model.drivers.refuse(one, by: driver)
    let plan = try run.plan(desired(["net": [one]]))
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    let driven = try #require(outcome.drivers.first)
    #expect(driven.result == .failed && driven.isUndone)
    #expect(driven.detail?.plain.contains("the model's kernel says so") == true)
    #expect(model.drivers.driverState(of: one) == before)
    #expect(exitStatus(of: outcome, plan: plan, requiresRunning: false) == .rolledBack)
  }

  @Test func `a driver that does not answer is named, and the next run goes on`() throws {
    let (model, key, run) = makeHost()
    model.drivers.silence("e1000e")
    let outcome = try run.apply(desired(["net": [one]]))
    #expect(outcome.drivers.map(\.result) == [.unknown])
    let text = outcome.drivers.first?.detail?.plain ?? ""
    #expect(text.contains("e1000e has not answered") && text.contains("4321 waits in pci_device_remove"), "\(text)")
    #expect(model.drivers.driverOverride(of: one) == "pciback", "no other driver may take it when e1000e lets it go")
    model.drivers.silence("e1000e", false)
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
    #expect(model.listed(5) == [one] && model.recorded(key) == [one])
    #expect(model.drivers.preparation(of: one)?.driver == "e1000e")
  }

  @Test func `a driver that is gone is loaded again, or named`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["net": [one]]))
    model.drivers.unload("e1000e")
    var forbidden = desired(["net": []])
    forbidden.policy.loadsModules = false
    let plan = try run.plan(forbidden)
    var options = run.options
    options.loadsModules = false
    let outcome = ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
    #expect(outcome.drivers.first?.detail?.plain.contains("its driver e1000e is not loaded") == true)
    #expect(failures(try run.apply(desired(["net": []]))).isEmpty)
    #expect(model.drivers.driver(of: one) == "e1000e")
  }

  @Test func `a record that no run finished is finished though the guest has the device, and left if the card is gone`()
    throws
  {
    let (model, _, run) = makeHost()
    let wanted = desired(["net": [one]])
    try run.apply(wanted)
    var record = try #require(model.drivers.preparation(of: one))
    record.phase = .preparing
    model.drivers.setPreparation(record, of: one)
    model.drivers.setOverride(of: one, to: "pciback")
    let outcome = try run.apply(wanted)
    #expect(failures(outcome).isEmpty && outcome.drivers.first?.evidence.contains("a guest has it") == true)
    #expect(model.drivers.driverState(of: one).phase == .prepared && model.drivers.driverOverride(of: one) == nil)
    #expect(unrest(try run.plan(wanted)).isEmpty)

    model.drivers.setPreparation(record, of: one)
    model.pull(one)
    #expect(try run.plan(wanted).driverSteps.isEmpty)
  }

  // MARK: Others at work

  @Test func `a device that a guest got in the meantime is not taken from pciback`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["net": [one]]))
    try run.apply(desired(["net": []], .keep))
    let plan = try run.plan(desired(["net": []]))
    #expect(plan.driverSteps.map(\.kind) == [.release])
    model.setOwner(one, 5)
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(outcome.drivers.map(\.result) == [.blocked] && model.drivers.driver(of: one) == "pciback")
    #expect(model.drivers.preparation(of: one)?.phase == .prepared)
  }

  @Test func `a guest does not get a device that a run is returning`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["net": [one]]))
    try run.apply(desired(["net": []], .keep))
    // The plan sees the device at rest; then a run begins to return it.
    let plan = try run.plan(desired(["net": [one]], .keep))
    var record = try #require(model.drivers.preparation(of: one))
    record.phase = .releasing
    model.drivers.setPreparation(record, of: one)
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.blocked])
    #expect(model.owner(of: one) == nil && model.listed(5).isEmpty)
    // The run has ended: a declared device is prepared again.
    #expect(failures(try run.apply(desired(["net": [one]], .keep))).isEmpty)
    #expect(model.listed(5) == [one] && model.drivers.preparation(of: one)?.phase == .prepared)
  }

  @Test func `two runs are not at work on one device`() throws {
    let (model, _, run) = makeHost()
    let held = try model.host.preparations.hold(one, until: .now)
    let outcome = try run.apply(desired(["net": [one]]))
    #expect(outcome.drivers.first?.detail?.plain.contains("another run of Berth is at work on the device") == true)
    #expect(model.drivers.driver(of: one) == "e1000e")
    held.release()
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
  }

  @Test func `nothing is done with a driver that nobody was shown`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["later": [one]], .keep))
    let shown = try show(desired(["net": [one]], .keep), on: model)
    #expect(shown.plan.driverSteps.isEmpty)
    model.drivers.giveToHost(one)
    let applied = try carryOut(shown, on: model.host)
    #expect(applied.outcome.unshownDrivers.map(\.device) == [one] && applied.outcome.drivers.isEmpty)
    #expect(model.drivers.driver(of: one) == "e1000e")
    #expect(exitStatus(of: applied.outcome, plan: applied.plan, requiresRunning: false) == .stalePlan)
  }

  // MARK: By hand

  @Test func `a device that another tool gave to pciback is returned to the driver that xl noted`() throws {
    let model = ModelHost()
    model.addDevice(one)
    model.store[StorePath.driverPath(one).text] = DriverNote.text(for: "e1000e")
    let steps = try model.releaseSteps(of: one)
    #expect(steps.map(\.isRecorded) == [false])
    let outcomes = DriverRun(host: model.host, options: .hasty).apply(steps)
    #expect(outcomes.map(\.result) == [.done] && model.drivers.driver(of: one) == "e1000e")
    #expect(model.store[StorePath.driverPath(one).text] == nil && model.drivers.preparation(of: one) == nil)
    let again = DriverRun(host: model.host, options: .hasty).apply(steps)
    #expect(again.map(\.result) == [.unchanged])
  }

  @Test func `a device that was hidden at boot goes to the driver that wants it`() throws {
    let model = ModelHost()
    model.addDevice(one)
    let outcomes = try model.releaseByHand(one)
    #expect(outcomes.map(\.result) == [.done] && model.drivers.driver(of: one) == "e1000e")
    #expect(outcomes.first?.evidence.contains("driver e1000e") == true)
  }

  @Test func `the doctor names a driver change that no run finished`() throws {
    let (model, _, _) = makeHost()
    let identity = DeviceIdentity(id: DeviceID(vendor: 0x8086, device: 0x1533))
    model.drivers.setPreparation(
      PreparationRecord(device: one, identity: identity, driver: "e1000e"), of: one)
    let names = diagnose(Examiner(host: model.host).examine()).compactMap { finding -> Ailment? in
      if case .ailment(let name) = finding.kind { name } else { nil }
    }
    #expect(names.contains(.driverChangeUnfinished))
    model.damage(
      DamagedFile(.preparation, .device(two), RecordError(.damaged, operation: "read", place: "x")))
    let more = diagnose(Examiner(host: model.host).examine())
    #expect(more.contains { if case .ailment(.preparationUnreadable) = $0.kind { true } else { false } })
  }
}
