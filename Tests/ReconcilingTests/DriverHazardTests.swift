import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// States in which a careless preparation or release would take a device from somebody who needs it.
@Suite struct DriverHazardTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func makeHost() -> (model: ModelHost, key: DomainKey, run: Run) { makeDriverHost([one, two]) }

  private func desired(_ domains: [Name: [PCIAddress]], _ after: Policy.AfterDetach = .restore) -> DesiredState {
    preparing(domains, after)
  }

  @Test func `another set does not release what a live run prepares`() throws {
    let (model, _, _) = makeHost()
    var options = ApplyOptions.hasty
    options.set = "a"
    let plan = try Run(model: model, options: options).plan(preparing(["later": [one]], .keep, set: "a"))
    // The other run looks at the host when this one has written its record.
    let others = Mutex<Plan?>(nil)
    let hook = Hook<Void, Void>()
    hook.function = { _ in
      do {
        let plan = try Run(model: model, options: .hasty).plan(preparing(["net": []], .keep, set: "b"))
        others.withLock { $0 = plan }
      } catch { Issue.record("\(error)") }
    }
    _ = ScheduleRunner(host: model.host(whenRecorded: hook), options: options) { _ in }.apply(plan)
    let late = try #require(others.withLock { $0 })
    _ = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(late)
    #expect(model.drivers.driver(of: one) == "pciback")
  }

  @Test func `a device that was hidden at boot gets a driver though its release was cut`() throws {
    var cuts = 0
    var isWhole = false
    for step in 1..<40 where !isWhole {
      let model = ModelHost()
      model.addDevice(one)
      let steps = try model.releaseSteps(of: one)
      model.kill(beforeStep: step)
      _ = DriverRun(host: model.host, options: .hasty).apply(steps)
      guard model.restart() else {
        isWhole = true
        continue
      }
      cuts += 1
      let outcomes = try model.releaseByHand(one)
      #expect(
        model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil,
        "cut before step \(step): \(outcomes)")
    }
    #expect(isWhole && cuts > 3)
  }

  @Test func `a device without a driver leaves the quarantine before a driver gets it`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["later": [one]]))
    #expect(model.drivers.isQuarantined(one))
    // `echo … > pciback/unbind` by a person, or `xl pci-assignable-remove` that failed between.
    _ = try model.host.drivers.unbind(one, from: "pciback", until: .now)
    try model.releaseByHand(one)
    #expect(model.drivers.driver(of: one) == "e1000e" && !model.drivers.isQuarantined(one))
  }

  @Test func `a release takes a device that hands gave to its driver out of the quarantine`() throws {
    let model = ModelHost()
    model.addDevice(one)
    model.store[StorePath.driverPath(one).text] = DriverNote.text(for: "e1000e")
    // `xl pci-assignable-add`, then `unbind`, `remove_slot` and `bind` by a person.
    try model.host.hypervisor.assign(one, to: .quarantine, relaxed: true)
    model.drivers.giveToHost(one)
    let outcomes = try model.releaseByHand(one)
    #expect(outcomes.map(\.result) == [.done])
    #expect(outcomes.first?.evidence.contains("it was in quarantine") == true)
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil)
    #expect(!model.drivers.isQuarantined(one) && model.store[StorePath.driverPath(one).text] == nil)
    #expect(try model.releaseByHand(one).map(\.result) == [.unchanged])
  }

  @Test func `a release finishes what xl left half-way`() throws {
    let model = ModelHost()
    model.addDevice(one)
    // `xl pci-assignable-remove -r` of a device whose driver_override says pciback.
    model.store[StorePath.driverPath(one).text] = DriverNote.text(for: "e1000e")
    model.drivers.setOverride(of: one, to: "pciback")
    _ = try model.host.drivers.unbind(one, from: "pciback", until: .now)
    try model.host.drivers.removeSlot(one)
    let outcomes = try model.releaseByHand(one)
    #expect(outcomes.map(\.result) == [.done])
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.driverOverride(of: one) == nil)
    #expect(model.store[StorePath.driverPath(one).text] == nil && model.drivers.preparation(of: one) == nil)
  }

  @Test func `a device behind a bridge that pciback claims stays with pciback unless its driver is known`() throws {
    let model = ModelHost()
    model.addDevice(one)
    model.drivers.claimBridge(above: one)
    for isQuarantined in [false, true] {
      if isQuarantined { try model.host.hypervisor.assign(one, to: .quarantine, relaxed: true) }
      let outcomes = try model.releaseByHand(one)
      #expect(outcomes.map(\.result) == [.failed] && outcomes.map(\.isUndone) == [true])
      #expect(outcomes.first?.detail.map(\.sentence) == .pcibackTookAgain)
      #expect(model.drivers.driver(of: one) == "pciback" && model.drivers.preparation(of: one) == nil)
      #expect(model.drivers.isQuarantined(one) == isQuarantined)
    }
    model.store[StorePath.driverPath(one).text] = DriverNote.text(for: "e1000e")
    #expect(try model.releaseByHand(one).map(\.result) == [.done])
    #expect(model.drivers.driver(of: one) == "e1000e")
  }

  @Test func `a device without driver, record and note is left alone, and one that a domain has`() throws {
    let model = ModelHost()
    model.addDevice(one)
    _ = try model.host.drivers.unbind(one, from: "pciback", until: .now)
    try model.host.drivers.removeSlot(one)
    #expect(try model.releaseByHand(one).map(\.result) == [.unchanged])
    #expect(model.drivers.driver(of: one) == nil)
    model.store[StorePath.driverPath(one).text] = DriverNote.text(for: "e1000e")
    model.addDomain(5, "net")
    model.setOwner(one, 5)
    #expect(try model.releaseByHand(one).map(\.result) == [.blocked])
    #expect(model.drivers.driver(of: one) == nil)
  }

  @Test func `an apply that ends a release takes the device out of the quarantine`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["later": [one]]))
    // The run ends right after it recorded "releasing"; then the device loses pciback.
    var record = try #require(model.drivers.preparation(of: one))
    record.phase = .releasing
    model.drivers.setPreparation(record, of: one)
    _ = try model.host.drivers.unbind(one, from: "pciback", until: .now)
    _ = try run.apply(desired(["net": []]))
    #expect(model.drivers.driver(of: one) == "e1000e" && !model.drivers.isQuarantined(one))
  }

  @Test func `the check before the unbind knows which devices guests have`() throws {
    let (model, _, run) = makeHost()
    // dom0's default route leads through a bridge to the guest `net`, which has the card `three`.
    let three = Sample.address(3)
    model.addDevice(three)
    try run.apply(desired(["net": [three]]))
    var usage = HostUsage()
    let bridge = HostInterface(name: "xenbr0", kind: .virtual, functions: [], lower: ["vif5.0"])
    usage.network.interfaces = [
      bridge, HostInterface(name: "vif5.0", kind: .guest(DomainID(5)), functions: [], lower: []),
    ]
    usage.network.defaultRoutes = [DefaultRoute(family: .ipv4, table: "main", interfaces: ["xenbr0"])]
    model.drivers.setUsage(usage)
    let wanted = desired(["net": [three, one]])
    _ = try run.plan(wanted)
    let outcome = try run.apply(wanted)
    #expect(outcome.drivers.map(\.result) == [.done])
    #expect(unrest(try run.plan(wanted)).isEmpty)
  }

  @Test(arguments: [PreparationRecord.Phase.preparing, .releasing])
  func `an unfinished record of another card makes no step`(_ phase: PreparationRecord.Phase) throws {
    let (model, _, run) = makeHost()
    let wanted = desired(["net": [one]])
    try run.apply(wanted)
    let other = DeviceIdentity(id: DeviceID(vendor: 0x144D, device: 0xA80A))
    model.drivers.setPreparation(PreparationRecord(device: one, phase: phase, identity: other, driver: "nvme"), of: one)
    for _ in 0..<3 { try run.apply(wanted) }
    #expect(unrest(try run.plan(wanted)).isEmpty)
    // `berth release` asks the driver that wants this card, and not that of the other one.
    try run.apply(desired(["net": []], .keep))
    try model.releaseByHand(one)
    #expect(model.drivers.driver(of: one) == "e1000e")
  }

  @Test func `a record of another card blocks no attach`() throws {
    let (model, _, run) = makeHost()
    let wanted = desired(["net": [one]])
    try run.apply(wanted)
    try run.apply(desired(["net": []], .keep))
    let other = DeviceIdentity(id: DeviceID(vendor: 0x144D, device: 0xA80A))
    model.drivers.setPreparation(
      PreparationRecord(device: one, phase: .releasing, identity: other, driver: "nvme"), of: one)
    for _ in 0..<3 { try run.apply(wanted) }
    #expect(model.listed(5) == [one])
  }

  @Test func `a record of another card of the same type is not believed`() throws {
    let (model, _, run) = makeHost()
    let mac = try #require(MACAddress("a0:36:9f:12:34:56"))
    model.drivers.addHostDevice(one, interfaces: [NetworkInterface(name: "eth0", address: mac)])
    model.plug(ModelCard(serial: "a0-36-9f-ff-ff-12-34-56"), at: one, onPCIBack: false)
    try run.apply(desired(["net": [one]]))
    #expect(model.drivers.preparation(of: one)?.identity.serial == "a0-36-9f-ff-ff-12-34-56")
    model.pull(one)
    model.plug(ModelCard(serial: "a0-36-9f-ff-ff-99-99-99"), at: one, onPCIBack: true)
    let records = try model.host.preparations.readPreparations().contents
    let inventory = try model.host.inventory(of: [.interfaces], recalling: records)
    #expect(
      inventory.functions.first { $0.address == one }?.interfaces.isEmpty == true, "the other card is given this MAC")
  }

  @Test func `what is mounted after the first check is seen before the unbind`() throws {
    let (model, _, run) = makeHost()
    let plan = try run.plan(desired(["net": [one]]))
    let hook = Hook<Void, Void>()
    hook.function = { [one] _ in model.drivers.setUsage(.mounted(one, at: "/srv")) }
    _ = ScheduleRunner(host: model.host(whenRecorded: hook), options: run.options) { _ in }.apply(plan)
    #expect(hook.function == nil, "no record was written")
    #expect(model.drivers.driver(of: one) == "e1000e", "/srv was mounted while the record was written")
  }

  @Test func `another card with the same driver is not taken`() throws {
    let (model, _, _) = makeHost()
    let shown = try show(desired(["later": [one]], .keep), on: model)
    model.plug(ModelCard(id: DeviceID(vendor: 0x10EC, device: 0x8168)), at: one, onPCIBack: false)
    _ = try carryOut(shown, on: model.host)
    #expect(model.drivers.driver(of: one) == "e1000e", "a card that nobody was shown was taken")
  }

  @Test func `a device stays on pciback if its driver cannot be loaded`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["net": [one]], .keep))
    model.drivers.unload("e1000e")
    var forbidden = desired(["net": []])
    forbidden.policy.loadsModules = false
    var options = run.options
    options.loadsModules = false
    for _ in 0..<2 { try Run(model: model, options: options).apply(forbidden) }
    #expect(model.drivers.driver(of: one) == "pciback")
  }

  @Test func `a device stays on pciback if xl's note names a driver that is not loaded`() throws {
    let model = ModelHost()
    model.addDevice(one)
    model.drivers.unload("nvme")
    model.store[StorePath.driverPath(one).text] = DriverNote.text(for: "nvme")
    for _ in 0..<2 { try model.releaseByHand(one) }
    #expect(model.drivers.driver(of: one) == "pciback")
  }

  @Test func `what an ended run began is finished whatever the policy says`() throws {
    let (model, _, run) = makeHost()
    let wanted = desired(["net": [one]])
    let identity = DeviceIdentity(id: DeviceID(vendor: 0x8086, device: 0x1533))
    model.drivers.setPreparation(PreparationRecord(device: one, identity: identity, driver: "e1000e"), of: one)
    model.drivers.setOverride(of: one, to: "pciback")
    _ = try model.host.drivers.unbind(one, from: "e1000e", until: .now)
    var never = wanted
    never.policy.hostDrivers = .never
    _ = try run.apply(never)
    #expect(model.drivers.driver(of: one) == "pciback")
  }

  @Test func `what is put back is not in quarantine`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["later": [one]]))
    _ = try model.host.drivers.unbind(one, from: "pciback", until: .now)
    model.drivers.refuse(one, by: "pciback")
    _ = try run.apply(desired(["later": [one]]))
    #expect(model.drivers.driver(of: one) == "e1000e" && !model.drivers.isQuarantined(one))
  }

  @Test func `another set does not return what an ended run left`() throws {
    let (model, _, run) = makeHost()
    let plan = try run.plan(preparing(["later": [one]], .keep, set: "a"))
    model.kill(beforeStep: 7)
    _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(model.restart() && model.drivers.preparation(of: one) != nil)
    #expect(try run.plan(preparing(["net": []], .keep, set: "b")).driverSteps.isEmpty)
  }

  @Test func `a damaged record blocks the device in the plan`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["later": [one]], .keep))
    model.damage(DamagedFile(.preparation, .device(one), RecordError(.damaged, operation: "read", place: "x.json")))
    let wanted = desired(["net": [one]], .keep)
    #expect(!(try run.plan(wanted).steps.contains(where: \.isChange)), "the plan promises what apply cannot do")
  }

  // MARK: A driver that hangs with the device's lock

  @Test func `a device whose override the kernel does not tell is not taken, whatever a person answers for`() throws {
    let (model, _, run) = makeHost()
    model.drivers.lock(one)
    var wanted = desired(["net": [one, two]])
    for _ in 0..<2 {
      let plan = try run.plan(wanted)
      let kinds = plan.domains.flatMap(\.steps).filter { $0.device == one }.map(\.kind)
      #expect(kinds == [.blocked(.interlockUnknown)])
      #expect(plan.driverSteps.map(\.device) == [two])
      wanted.policy.overrides[one] = InterlockOverride(reason: "I know better", user: "kim")
    }
    try run.apply(wanted)
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.driver(of: two) == "pciback")
  }

  @Test func `an apply says that the kernel does not answer, and leaves the device to its driver`() throws {
    let (model, _, run) = makeHost()
    let plan = try run.plan(desired(["net": [one]]))
    model.drivers.lock(one)
    let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
    let step = try #require(outcome.drivers.first { $0.step.device == one })
    #expect(step.result == .blocked && step.obstacle == .interlockUnknown, "\(step)")
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.preparation(of: one) == nil)
  }

  @Test func `a release from a kernel that does not answer is open, and changes nothing`() throws {
    let (model, _, run) = makeHost()
    try run.apply(desired(["later": [one]], .keep))
    model.drivers.lock(one)
    let record = model.drivers.preparation(of: one)
    let outcomes = try model.releaseByHand(one)
    #expect(outcomes.map(\.result) == [.unknown], "\(outcomes)")
    #expect(model.drivers.driver(of: one) == "pciback" && model.drivers.preparation(of: one) == record)
  }
}

extension HVMInterleavingTests {
  @Test(arguments: [true, false]) func `a device that a guest may still have is not released`(_ byHand: Bool) throws {
    let (model, key) = makeHost()
    let run = Run(model: model, options: options)
    model.drivers.giveToHost(one)
    var wanted = desired([1, 2])
    wanted.policy.hostDrivers = .prepare
    #expect(failures(try run.apply(wanted)).isEmpty && model.drivers.driver(of: one) == "pciback")
    xlDetach(one, model, key, isForced: true)
    model.setLetsGo(5, false)
    if byHand {
      try model.releaseByHand(one)
    } else {
      var last = desired([2])
      last.policy.hostDrivers = .prepare
      last.policy.afterDetach = .restore
      let plan = try run.plan(last)
      _ = execute(plan, on: model)
    }
    #expect(
      model.drivers.driver(of: one) == "pciback" || model.emulated(5).count == 1,
      "the host's driver and the guest have it")
  }
}
