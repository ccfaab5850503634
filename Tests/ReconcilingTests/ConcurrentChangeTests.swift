import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// An apply's reports about simultaneous changes by others, or about their absence.
@Suite struct ConcurrentChangeTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  private func words(_ outcome: ApplyOutcome) -> [String] {
    outcome.domains.flatMap(\.steps).map { "\($0.action) \($0.device) \($0.result) \($0.detail?.plain ?? "")" }
  }

  @Test func `an attach that fails after a repair of its device is reported`() throws {
    var tried = 0
    var unreported: [String] = []
    let faults: [HostError] = [
      .store(StoreError(.other, operation: "test")), .record(RecordError(.other, operation: "test", place: "record")),
    ]
    for fault in faults {
      for index in 0... {
        let (model, key, run) = try makeAttachedHost()
        try model.loseSavedLine(of: two, key)
        var desired = Sample.desired(["net": [one, two]])
        desired.domains[0].devices[1].options.msiTranslate = true
        let plan = try run.plan(desired)
        let line = FaultLine()
        line.arm(.fails(fault), at: index)
        let outcome = ScheduleRunner(host: line.host(model.host), options: .hasty) { _ in }.apply(plan)
        guard let place = line.place else { break }
        tried += 1
        let isReported = outcome.domains.flatMap(\.steps).contains { $0.device == two && $0.action == .reattach }
        if failures(outcome).isEmpty, !isReported {
          unreported.append("\(place): \(words(outcome)), \(model.openIntents.count) intents")
        }
      }
    }
    #expect(tried > 100, "of some 200 requests")
    #expect(unreported.isEmpty, "\(unreported.count): \(unreported.joined(separator: "\n"))")
  }

  @Test func `a run that wants a device during another run's detach does not report it as attached`() throws {
    let (model, key, run) = try makeAttachedHost()
    let plan = try run.plan(Sample.desired(["net": [one]]))
    var host = model.host
    let reported = Mutex<[String]>([])
    let (one, two) = (one, two)
    host.hypervisor = Racing(model.host.hypervisor) {
      do {
        let outcome = try Run(model: model).apply(Sample.desired(["net": [one, two]]))
        reported.withLock { $0 = words(outcome) }
      } catch { reported.withLock { $0 = ["\(error)"] } }
    }
    let outcome = ScheduleRunner(host: host, options: run.options) { _ in }.apply(plan)
    #expect(reported.withLock { $0 }.contains { $0.contains("pending") }, "second run \(reported.withLock { $0 })")
    #expect(failures(outcome).isEmpty)
    #expect(disagreements(model, key, [one]) == [])
  }

  @Test func `a shared line that another toolstack grants during a detach stays granted`() throws {
    let (model, key, run) = try makeAttachedHost()
    let plan = try run.plan(Sample.desired(["net": []]))
    var host = model.host
    let three = three
    // An xl pci-attach during its work: it lists the device last.
    host.hypervisor = Racing(model.host.hypervisor, beforeUnmap: true) {
      model.store[StorePath.claim(three).text] = key.id.description
    }
    let outcome = ScheduleRunner(host: host, options: run.options) { _ in }.apply(plan)
    #expect(failures(outcome).isEmpty)
    #expect(model.claim(on: three) == key.id.description, "the other toolstack was never at work")
    #expect(model.granted.contains("5 irq 17"))
  }

  @Test func `a line that another toolstack grants while an attach is undone stays granted`() throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    for device in [two, three] { model.addDevice(device, interrupt: 17) }
    let run = Run(model: model)
    let plan = try run.plan(Sample.desired(["net": [two]]))
    var host = model.host
    let three = three
    host.hypervisor = Racing(model.host.hypervisor, beforeUnmap: true) {
      model.store[StorePath.claim(three).text] = key.id.description
      do {
        try model.host.hypervisor.mapInterrupt(17, in: key.id)
        try model.host.hypervisor.setInterrupt(17, of: key.id, allowed: true)
      } catch { Issue.record(error) }
    }
    model.failFrames(of: two)
    let outcome = ScheduleRunner(host: host, options: run.options) { _ in }.apply(plan)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.failed], "\(words(outcome))")
    #expect(model.claim(on: three) == key.id.description, "the other toolstack was never at work")
    #expect(model.owner(of: two) == nil)
    #expect(model.granted.isSuperset(of: ["5 irq 17", "5 pirq 17"]), "\(model.granted)")
  }

  @Test func `a bus is removed if another toolstack began a round over its end`() throws {
    let (model, key, run) = try makeAttachedHost()
    try run.apply(Sample.desired(["net": []]))
    #expect(model.node(5, "state") == nil)
    let nodes = [
      "frontend": StorePath.frontEnd(key.id).text, "frontend-id": "5", "num_devs": "0", "online": "0", "state": "7",
    ]
    for (name, value) in nodes { model.store[StorePath.backEnd(key.id).child(name).text] = value }
    try model.host.ownership.update(key.uuid) { $0 = OwnershipRecord(uuid: key.uuid, name: "net", devices: [two]) }
    try run.apply(Sample.desired(["net": [two]]))
    #expect(model.exports(to: 5) == [two])
  }

  @Test func `a device that pciback has not released is not reported as detached`() throws {
    let (model, _, run) = try makeAttachedHost()
    let kernels = model.store.react.function
    let plan = try run.plan(Sample.desired(["net": [one]]))
    // dom0's xenwatch thread is busy with another domain; the guest answers.
    model.store.react.function = { store in
      let (front, back) = ("/local/domain/5/device/pci/0/state", "/local/domain/0/backend/pci/5/0/state")
      let next: String? =
        switch (store[back], store[front]) {
        case ("7"?, "4"?): "7"
        case ("8"?, "7"?): "4"
        default: nil
        }
      guard let next else { return false }
      store[front] = next
      return true
    }
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    model.store.react.function = kernels
    model.store.settle()
    #expect(model.exports(to: 5).contains(two))
    #expect(!outcome.domains.flatMap(\.steps).contains { $0.result == .done }, "\(words(outcome))")
    #expect(model.owner(of: two) != nil)
    // The thread works again: the next run begins the round again, and another guest may have the device.
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(model.exports(to: 5) == [one])
    model.addDomain(6, "other")
    try run.apply(Sample.desired(["net": [one], "other": [three]]))
    let next = try run.apply(Sample.desired(["net": [one], "other": [three, two]]))
    #expect(failures(next).isEmpty)
    #expect(model.node(6, "state") == "4", "the other guest's bus")
  }

  @Test func `an answer of qemu-traditional from before an xl is not believed`() throws {
    var tried = 0
    var wrong: [String] = []
    for step in 1...120 {
      let model = ModelHost()
      let key = model.addHVMDomain(5, "net")
      model.setTraditional(5, in: 0)
      model.addDevice(one, interrupt: 17)
      let run = Run(model: model)
      try run.apply(Sample.desired(["net": [one]]))
      var other = Sample.desired(["net": [one]])
      other.domains[0].devices[0].options.msiTranslate = true
      model.kill(beforeStep: step)
      try run.apply(other)
      guard model.restart() else { break }
      let old = try model.host.ownership.records().first { $0.uuid == key.uuid }
      guard let old, model.openIntents.isEmpty, model.listed(5).isEmpty, model.emulated(5).isEmpty,
        old.emulations.contains(where: { $0.fate == .gone })
      else { continue }
      tried += 1
      // xl pci-attach: a device that another toolstack attaches is not in Berth's record.
      try model.host.ownership.update(key.uuid) { $0 = nil }
      try run.apply(Sample.desired(["net": [one]]))
      model.put(old)
      let outcome = try run.apply(Sample.desired(["net": []]))
      if failures(outcome).isEmpty, !model.emulated(5).isEmpty {
        wrong.append("killed before step \(step): \(words(outcome)), and QEMU shows \(model.emulated(5))")
      }
    }
    #expect(tried > 0)
    #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
  }

  @Test func `an answer of qemu-traditional belongs to nobody if two questions are open`() throws {
    let model = ModelHost()
    let key = model.addHVMDomain(5, "net")
    model.setTraditional(5, in: 0)
    for device in [one, two] { model.addDevice(device) }
    let desired = Sample.desired(["net": [one, two]])
    let run = Run(model: model)
    try run.apply(desired)
    // Two runs were killed, each with its own open question. The answer names a place but no device; it was for the
    // second.
    for device in [one, two] {
      model.put(Intent(identifier: "5-attach-\(device.device)", domain: key, operation: .attach, devices: [device]))
    }
    model.killWriters()
    try model.host.ownership.update(key.uuid) { record in
      record?.emulations = [one, two].map { EmulationRecord(device: $0, domain: key.id, fate: .asked) }
    }
    model.removeEmulated(5, one)
    let nodes = "/local/domain/0/device-model/5"
    model.store[nodes + "/parameter"] = "0x30"
    model.store[nodes + "/state"] = "pci-inserted"
    let outcome = try run.apply(desired)
    let done = outcome.domains.flatMap(\.steps).filter { $0.result == .done }.map(\.device)
    #expect(done == [one], "QEMU refuses what it has: \(words(outcome))")
    #expect(model.emulatedSlots(5)[DeviceModelName(one)] == 5)
    let known = try model.host.ownership.records().flatMap(\.emulations)
    #expect(known.first { $0.device == one }?.place == 5 << 3)
  }
}

/// Runs an action once, as soon as a device was returned, or before a line is unmapped.
private final class Racing: HypervisorPort {
  let inner: any HypervisorPort
  let action = Hook<Void, Void>()
  let isBeforeUnmap: Bool
  init(_ inner: any HypervisorPort, beforeUnmap: Bool = false, _ action: @escaping @Sendable () -> Void) {
    self.inner = inner
    isBeforeUnmap = beforeUnmap
    self.action.function = { _ in action() }
  }
  private func act() { action.take()?(()) }
  func domains() throws(HostError) -> [HypervisorDomain] { try inner.domains() }
  func domain(_ id: DomainID) throws(HostError) -> HypervisorDomain? { try inner.domain(id) }
  func hostFacts() throws(HostError) -> HypervisorFacts { try inner.hostFacts() }
  func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe {
    try inner.probe(device, for: domain)
  }
  func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress] { try inner.companions(of: device) }
  func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>] {
    try inner.reservedMemory(of: device)
  }
  func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    try inner.assign(device, to: domain, relaxed: relaxed)
  }
  func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) {
    try inner.deassign(device, from: domain)
    if !isBeforeUnmap { act() }
  }
  func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    try inner.setPorts(range, of: domain, allowed: allowed)
  }
  func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    try inner.setFrames(range, of: domain, allowed: allowed)
  }
  func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    try inner.mapInterrupt(gsi, in: domain)
  }
  func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    if isBeforeUnmap { act() }
    try inner.unmapInterrupt(gsi, in: domain)
  }
  func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    try inner.setInterrupt(gsi, of: domain, allowed: allowed)
  }
}
