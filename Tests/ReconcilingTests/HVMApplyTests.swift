import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// HVM guests: QEMU in dom0, and QEMU in a stub domain.
@Suite struct HVMApplyTests {
  private let model = ModelHost()
  private let first = PCIAddress(sbdf: 0x300)
  private let second = PCIAddress(sbdf: 0x401)
  private let third = PCIAddress(sbdf: 0x500)
  private let key: DomainKey

  init() {
    for device in [first, second, third] { model.addDevice(device, interrupt: 17) }
    key = model.addHVMDomain(6, "gpu-vm")
  }

  private func plan(_ devices: [PCIAddress], prune: Policy.Prune = .owned) throws -> Plan {
    var desired = DesiredState(domains: [
      DesiredDomain(name: "gpu-vm", devices: devices.map { DesiredDevice(address: $0) })
    ])
    desired.policy.prune = prune
    return makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired))
  }

  @discardableResult
  private func apply(_ devices: [PCIAddress], wait: Duration = .milliseconds(200)) throws -> ApplyOutcome {
    var options = ApplyOptions(workers: 1)
    options.waitTimeout = wait
    return ScheduleRunner(host: model.host, options: options) { _ in }.apply(try plan(devices))
  }

  private func results(_ outcome: ApplyOutcome) -> [StepResult] { outcome.domains.flatMap(\.steps).map(\.result) }

  // MARK: QEMU in dom0

  @Test func `devices are on the bus first and then shown by QEMU, each at its slot`() throws {
    let outcome = try apply([first, second])
    #expect(results(outcome) == [.done, .done])
    #expect(outcome.domains.first?.rounds == 0)
    #expect(model.node(6, "state") == "3")
    #expect(model.listed(6) == [first, second])
    #expect(model.emulated(6) == ["pci-pt-03_00.0", "pci-pt-04_00.1"])
    #expect(model.node(6, "vdevfn-0") == "20")
    #expect(model.node(6, "vdevfn-1") == "28")
    #expect(outcome.domains.first?.steps.first?.virtualAddress == PCIAddress(sbdf: 0x20))
    #expect(model.saved(key) == [first, second])
    #expect(model.owner(of: first) == key.id)
    #expect(model.claim(on: second) == "6")
    #expect(try !plan([first, second]).hasChanges)
  }

  @Test func `one of two is detached: from the guest first, then from the bus, then from access`() throws {
    try apply([first, second])
    #expect(results(try apply([second], wait: .seconds(2))) == [.done])
    #expect(model.emulated(6) == ["pci-pt-04_00.1"])
    #expect(model.listed(6) == [second])
    #expect(model.node(6, "vdevfn-0") == "28")
    #expect(model.exports(to: 6) == [second])
    #expect(model.owner(of: first) == nil)
    #expect(model.claim(on: first) == nil)
    #expect(model.saved(key) == [second])
    #expect(try !plan([second]).hasChanges)
  }

  @Test func `the last device is detached together with the bus`() throws {
    try apply([first])
    #expect(results(try apply([])) == [.done])
    #expect(model.node(6, "state") == nil)
    #expect(model.emulated(6).isEmpty)
    #expect(model.granted.isEmpty)
    #expect(model.openIntents.isEmpty)
  }

  @Test func `a guest that releases nothing keeps everything, and the next apply completes the work`() throws {
    try apply([first, second])
    model.setLetsGo(6, false)
    let outcome = try apply([second])
    #expect(results(outcome) == [.unknown])
    #expect(model.listed(6) == [first, second])
    #expect(model.owner(of: first) == key.id)
    #expect(model.claim(on: first) == "6")
    model.setLetsGo(6, true)
    #expect(results(try apply([second], wait: .seconds(2))) == [.done])
    #expect(model.listed(6) == [second])
    #expect(model.openIntents.isEmpty)
  }

  @Test func `a device that QEMU refuses leaves the bus and is returned, and the others stay`() throws {
    model.setRefusals(6, ["PCI: slot 4 function 0 not available"])
    let outcome = try apply([first, second], wait: .seconds(2))
    #expect(results(outcome).sorted { $0.rawValue < $1.rawValue } == [.done, .failed])
    #expect(outcome.domains.flatMap(\.steps).first { $0.result == .failed }?.detail?.contains("slot 4") == true)
    #expect(model.listed(6) == [second])
    #expect(model.owner(of: first) == nil)
    #expect(model.claim(on: first) == nil)
    #expect(model.saved(key) == [second])
    #expect(model.openIntents.isEmpty)
  }

  @Test func `without QEMU the outcome is unknown and the next apply shows the device`() throws {
    model.setDeviceModelRunning(6, false)
    #expect(results(try apply([first])) == [.unknown])
    #expect(model.listed(6) == [first])
    model.setDeviceModelRunning(6, true)
    #expect(results(try apply([first])) == [.done])
    #expect(model.emulated(6) == ["pci-pt-03_00.0"])
    #expect(try !plan([first]).hasChanges)
  }

  @Test func `a device that QEMU lost is shown again`() throws {
    try apply([first])
    model.removeEmulated(6, first)
    #expect(try plan([first]).steps.map(\.reason) == [.drift(.deviceModelLacks)])
    #expect(results(try apply([first])) == [.done])
    #expect(model.emulated(6) == ["pci-pt-03_00.0"])
  }

  @Test func `a device that only QEMU still has is removed from it if allowed`() throws {
    try apply([first])
    model.putEmulated(6, second, slot: 9)
    #expect(try plan([first]).steps.map(\.action) == [.keep, .drift])
    #expect(try plan([first], prune: .all).steps.map(\.action) == [.keep, .detach])
    #expect(results(try apply([first, second])) == [.done])
    #expect(model.listed(6) == [first, second])
  }

  @Test func `a device that another guest's QEMU still shows is attached to nobody`() throws {
    model.addDomain(3, "pv")
    // The state after a forced xl pci-detach: a saved line, and a QEMU that was never asked.
    try apply([second])
    model.putEmulated(6, first, slot: 9)
    var desired = DesiredState(domains: [DesiredDomain(name: "pv", devices: [DesiredDevice(address: first)])])
    desired.policy.prune = .never
    func steps() throws -> [DeviceStep] {
      makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired)).steps
        .filter { $0.device == first && $0.action != .drift }
    }
    #expect(try steps().map(\.reason) == [.obstacle(.attachedElsewhere)])
    #expect(try steps().first?.evidence?.contains("gpu-vm") == true)
    model.removeEmulated(6, first)
    #expect(try steps().map(\.action) == [.attach])
  }

  @Test func `a bus that xl left at 7 is repaired even if everything else is as declared`() throws {
    try apply([first, second])
    model.store[StorePath.backEnd(key.id).child("state").text] = "7"
    let plan = try plan([first, second])
    #expect(plan.steps.compactMap(\.change) == [.repair(.settleBus)])
    #expect(results(try apply([first, second])) == [.done])
    #expect(model.node(6, "state") == "3")
    #expect(try !self.plan([first, second]).hasChanges)
  }

  @Test func `a bus that xl left at 7 returns to 3, and its waiting device is exported`() throws {
    try apply([first])
    let back = StorePath.backEnd(key.id)
    model.store[back.child("state").text] = "7"
    let outcome = try apply([first, second])
    #expect(results(outcome) == [.done, .done])
    #expect(model.node(6, "state") == "3")
    #expect(model.exports(to: 6) == [first, second])
  }

  @Test func `a paused guest waits, a cold one is attached`() throws {
    model.change(6) { $0.isPaused = true }
    #expect(try plan([first]).steps.map(\.kind) == [.pending(.domainPaused)])
    model.change(6) { $0.cpuTime = 0 }
    #expect(results(try apply([first])) == [.done])
    #expect(model.emulated(6) == ["pci-pt-03_00.0"])
  }

  @Test func `devices that differ only in the segment cannot both be attached to one guest`() throws {
    let rival = PCIAddress(sbdf: 0x1_0300)
    model.addDevice(rival)
    let steps = try plan([first, rival]).steps
    #expect(steps.map(\.action) == [.attach, .blocked])
    #expect(steps.last?.kind == .blocked(.nameCollision))
  }

  // MARK: QEMU in a stub domain

  private func addStub() -> DomainKey {
    let stub = model.addDomain(7, "gpu-vm-dm") { $0.hasIOMMU = false }
    model.setSaved(stub, nil)
    model.setStubDomain(stub, of: key)
    return stub
  }

  @Test func `through a stub domain: its bus, its grants, the guest's claim, file and assignment`() throws {
    _ = addStub()
    #expect(results(try apply([first, second], wait: .seconds(2))) == [.done, .done])
    #expect(model.listed(7) == [first, second])
    #expect(model.node(7, "state") == "4")
    #expect(model.node(6, "state") == nil)
    #expect(model.owner(of: first) == key.id)
    #expect(model.claim(on: first) == "6")
    #expect(model.saved(key) == [first, second])
    #expect(model.emulated(6) == ["pci-pt-03_00.0", "pci-pt-04_00.1"])
    #expect(model.granted.contains("7 pirq 17") && model.granted.contains("6 pirq 17"))
    #expect(try !plan([first, second]).hasChanges)
  }

  @Test func `in reverse order through a stub domain, until nothing is left`() throws {
    _ = addStub()
    try apply([first, second], wait: .seconds(2))
    #expect(results(try apply([first], wait: .seconds(2))) == [.done])
    #expect(model.listed(7) == [first])
    #expect(model.saved(key) == [first])
    #expect(results(try apply([], wait: .seconds(2))) == [.done])
    #expect(model.node(7, "state") == nil)
    #expect(model.granted.isEmpty)
    #expect(model.owner(of: first) == nil)
    #expect(model.emulated(6).isEmpty)
  }

  @Test func `a restarted stub domain stops the work`() throws {
    let stub = addStub()
    let desired = DesiredState(domains: [DesiredDomain(name: "gpu-vm", devices: [DesiredDevice(address: first)])])
    let plan = makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired))
    model.store[StorePath.stubDomain(of: key.id).text] = "8"
    let outcome = ScheduleRunner(host: model.host, options: ApplyOptions(workers: 1)) { _ in }.apply(plan)
    #expect(results(outcome) == [.blocked])
    #expect(outcome.domains.first?.steps.first?.isUndone == true)
    #expect(model.listed(stub.id.rawValue).isEmpty)
    #expect(model.owner(of: first) == nil)
  }

  @Test func `a missing stub domain is waited for`() throws {
    model.store[StorePath.stubDomain(of: key.id).text] = "9"
    #expect(try plan([first]).steps.map(\.kind) == [.pending(.stubDomainAbsent)])
  }

  // MARK: Others

  @Test func `PVH and unknown device models are refused with their reason`() throws {
    model.store[StorePath.toolstack(key.id).child("dm-version").text] = "qemu_next"
    #expect(try plan([first]).steps.map(\.kind) == [.blocked(.kindNotSupported)])
    model.store[StorePath.toolstack(key.id).child("type").text] = "pvh"
    #expect(try plan([first]).steps.first?.evidence?.contains("PVH") == true)
  }

  // MARK: qemu-traditional

  /// Acts as a qemu-traditional that answers each command at once with a word, or not at all.
  private func answerCommands(in dm: UInt32, _ insertion: String?, _ removal: String?) {
    let nodes = "/local/domain/\(dm)/device-model/6"
    model.store[StorePath.toolstack(key.id).child("dm-version").text] = "qemu_xen_traditional"
    model.store[nodes + "/state"] = "running"
    model.store.whenIdle.function = { store in
      guard store[nodes + "/state"] == "running", let command = store[nodes + "/command"] else { return false }
      store[nodes + "/command"] = nil
      guard let word = command == "pci-ins" ? insertion : removal else { return false }
      store[nodes + "/seen"] =
        (store[nodes + "/seen"] ?? "") + command + " " + (store[nodes + "/parameter"] ?? "") + ";"
      if word == "pci-inserted" { store[nodes + "/parameter"] = "0x28" }
      store[nodes + "/state"] = word
      return true
    }
  }

  @Test(arguments: [false, true])
  func `qemu-traditional is asked through nodes, one device after the other`(hasStub: Bool) throws {
    if hasStub { _ = addStub() }
    let dm: UInt32 = hasStub ? 7 : 0
    answerCommands(in: dm, "pci-inserted", "pci-removed")
    let outcome = try apply([first, second], wait: .seconds(2))
    #expect(results(outcome) == [.done, .done])
    #expect(outcome.domains.first?.steps.first?.virtualAddress == PCIAddress(sbdf: 0x28))
    #expect(try !plan([first, second]).hasChanges)
    #expect(results(try apply([second], wait: .seconds(2))) == [.done])
    #expect(
      model.store["/local/domain/\(dm)/device-model/6/seen"]
        == "pci-ins 0000:03:00.0,msitranslate=0,power_mgmt=0;pci-ins 0000:04:00.1,msitranslate=0,power_mgmt=0;"
        + "pci-rem 0000:03:00.0;")
    #expect(model.listed(hasStub ? 7 : 6) == [second])
    #expect(model.store["/local/domain/\(dm)/device-model/6/state"] == "running")
  }

  @Test func `a device that qemu-traditional refuses is undone, and one without an answer is unknown`() throws {
    answerCommands(in: 0, "pci-insert-failed", nil)
    #expect(results(try apply([first], wait: .seconds(2))) == [.failed])
    #expect(model.listed(6).isEmpty)
    #expect(model.owner(of: first) == nil)
    answerCommands(in: 0, nil, nil)
    #expect(results(try apply([first])) == [.unknown])
    #expect(model.listed(6) == [first])
    // The next run asks again, because nothing shows whether the request was received.
    answerCommands(in: 0, "pci-inserted", nil)
    #expect(results(try apply([first])) == [.done])
    #expect(results(try apply([])) == [.unknown])
    #expect(model.listed(6) == [first])
  }

  @Test func `an unread answer is read, and does not block for ever`() throws {
    answerCommands(in: 0, "pci-inserted", "pci-removed")
    try apply([first])
    model.store["/local/domain/0/device-model/6/state"] = "pci-removed"
    model.store["/local/domain/0/device-model/6/parameter"] = "0000:03:00.0"
    #expect(results(try apply([])) == [.done])
    #expect(model.listed(6).isEmpty)
    #expect(model.store["/local/domain/0/device-model/6/seen"]?.contains("pci-rem") == false)
  }

  @Test func `the late answer to an earlier run's removal is read at once`() throws {
    answerCommands(in: 0, "pci-inserted", nil)
    try apply([first])
    #expect(results(try apply([])) == [.unknown])
    model.store["/local/domain/0/device-model/6/state"] = "pci-removed"
    model.store.whenIdle.function = { store in
      if store["/local/domain/0/device-model/6/state"] == "pci-removed" { store["/waited"] = "1" }
      return false
    }
    #expect(results(try apply([])) == [.done])
    #expect(model.store["/waited"] == nil, "nobody else waits for it")
    #expect(model.listed(6).isEmpty)
  }

  @Test func `a stub domain that never stops answering does not keep the run`() throws {
    _ = addStub()
    answerCommands(in: 7, "pci-inserted", "pci-removed")
    let state = "/local/domain/7/device-model/6/state"
    let commits = Mutex(0)
    model.store[state] = "pci-insert-failed"
    model.store.takesStep.function = { [store = model.store] _ in
      if store[state] == "running" { store[state] = "pci-insert-failed" }
      // Without an end of its own, the run is ended here.
      return commits.withLock { commits in
        commits += 1
        return commits > 200
      }
    }
    #expect(results(try apply([first], wait: .milliseconds(20))) == [.unknown])
    #expect(commits.withLock { $0 } < 50)
    #expect(model.listed(7) == [first])
  }

  @Test func `a guest that disappears while qemu-traditional is asked ends the work`() throws {
    answerCommands(in: 0, "pci-inserted", nil)
    try apply([first])
    model.store.whenIdle.function = { store in
      guard store["/local/domain/6/vm"] != nil else { return false }
      store["/local/domain/6/vm"] = nil
      return true
    }
    #expect(try apply([]).domains.first?.failure?.contains("gone") == true)
  }

  @Test func `qemu-traditional is not asked for devices that it cannot have`() throws {
    answerCommands(in: 0, "pci-inserted", nil)
    model.put(Intent(identifier: "6-attach-1", domain: key, operation: .attach, devices: [first]))
    model.setOwner(first, 6)
    #expect(results(try apply([])) == [.done], "a run that was killed before it listed the device is taken back")
    #expect(model.owner(of: first) == nil)
  }

  @Test func `grants of a domain that is gone count as revoked`() throws {
    try apply([first])
    model.fail("unmapInterrupt", .noDomain)
    #expect(results(try apply([])) == [.done])
  }

  @Test func `a device moves from a PV guest to an HVM one`() throws {
    model.addDomain(3, "pv")
    var desired = DesiredState(domains: [DesiredDomain(name: "pv", devices: [DesiredDevice(address: first)])])
    let executor = ScheduleRunner(host: model.host, options: ApplyOptions(workers: 1)) { _ in }
    _ = executor.apply(
      makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired)))
    desired = DesiredState(domains: [
      DesiredDomain(name: "pv", devices: []),
      DesiredDomain(name: "gpu-vm", devices: [DesiredDevice(address: first)]),
    ])
    let outcome = executor.apply(
      makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired)))
    #expect(results(outcome) == [.done, .done])
    #expect(model.listed(6) == [first])
    #expect(model.listed(3).isEmpty)
    #expect(model.owner(of: first) == key.id)
  }
}
