import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// States and interleavings that lose a device, return it too early, or never end.
@Suite struct DeviceLossTests: ThreeDevices {
  @Test func `an ended run's intent takes no device from another guest`() throws {
    let (model, key) = makeHost()
    let other = model.addDomain(6, "other")
    model.put(Intent(identifier: "5-attach-1", domain: key, operation: .attach, devices: [one]))
    let plan = try Run(model: model).plan(Sample.desired(["net": [one]]))
    // Another toolstack was faster.
    model.setOwner(one, 6)
    model.store[StorePath.claim(one).text] = "6"
    let outcome = execute(plan, on: model)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.blocked])
    #expect(model.claim(on: one) == "6")
    #expect(model.owner(of: one) == other.id)
    #expect(model.listed(5).isEmpty)
    #expect(model.granted.isEmpty)
  }

  @Test func `a device that the kernel could not reset is attached, and the failure is its evidence`() throws {
    let line = FaultLine()
    func attach(_ prepare: () throws -> Void) throws -> [StepOutcome] {
      let (model, _) = makeHost()
      let plan = try Run(model: model).plan(Sample.desired(["net": [one]]))
      try prepare()
      return ScheduleRunner(host: line.host(model.host), options: .hasty) { _ in }.apply(plan).domains.flatMap(\.steps)
    }
    #expect(try attach { line.disarm() }.map(\.evidence).allSatisfy { !$0.contains { $0.contains("reset") } })
    let reset = try #require(line.requests.firstIndex(of: .reset))
    let steps = try attach { line.arm(.isLost, at: reset) }
    #expect(steps.map(\.result) == [.done])
    #expect(steps.first?.evidence.contains("the kernel could not reset \(one)") == true)
  }

  /// The bus of a domain that never ran is removed as a whole, and recreated with the devices that stay.
  @Test func `a removal from a cold domain that the user stops loses no other device`() throws {
    let change = Change(testDescription: "", before: [:], killed: [:], after: [:], isCold: true)
    let line = FaultLine()
    func detach(_ prepare: () throws -> Void) throws -> ModelHost {
      let model = change.makeHost().model
      try Run(model: model).apply(Sample.desired(["net": [one, two]]))
      let plan = try Run(model: model).plan(Sample.desired(["net": [two]]))
      try prepare()
      _ = ScheduleRunner(host: line.host(model.host), options: .hasty) { _ in }.apply(plan)
      return model
    }
    #expect(try detach { line.disarm() }.listed(5) == [two])
    let wait = try #require(line.requests.firstIndex(of: .wait))
    let model = try detach { line.arm(.stops, at: wait) }
    #expect(line.place != nil)
    #expect(model.listed(5) == [two])
    #expect(model.node(5, "num_devs") == "1")
  }

  @Test func `a device that the guest still has is not returned because its entry was overwritten`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [three, one]]))
    model.setOwner(two, 5)
    // xl read the device count before the second entry existed, and overwrites that entry.
    model.overwrite(domain: 5, index: 1, with: two)
    model.store.settle()
    #expect(model.exports(to: 5).contains(one), "exported, and listed no more")
    let lost: PCIAddress = model.listed(5).contains(one) ? three : one
    let kept: PCIAddress = lost == one ? three : one
    try run.apply(Sample.desired(["net": [kept]]))
    #expect(!model.exports(to: 5).contains(lost), "the guest was asked first")
    #expect(model.owner(of: lost) == nil)
    #expect(Set(model.listed(5)) == [kept, two])
    #expect(model.exports(to: 5) == [kept, two])
    #expect(model.node(5, "state") == "4")
    #expect(!model.saved(key).contains(lost))
  }

  @Test func `a bus that pciback ends during a removal is reported as ended`() throws {
    let (model, _) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one, two]]))
    let plan = try run.plan(Sample.desired(["net": [two]]))
    // The state that pciback leaves after an entry that it cannot export: the guest's 7 stays.
    model.store.react.function = nil
    model.interfere(atRequest: 0, onceTrue: { $0.node(5, "state") == "7" }) { [model] in
      model.store["/local/domain/5/device/pci/0/state"] = "7"
      model.store["/local/domain/0/backend/pci/5/0/state"] = "5"
    }
    let steps = execute(plan, on: model).domains.flatMap(\.steps)
    #expect(model.hasInterfered)
    #expect(steps.map(\.result) == [.failed])
    #expect(steps.first?.detail?.contains("PCI bus ended (back end 5, front end 7)") == true, "\(steps)")
  }

  @Test func `a bus that closed before xl listed its device there is recreated`() throws {
    var (model, key) = makeHost()
    var run = Run(model: model)
    // The run is killed after the emptied bus has closed, and before it is removed.
    for step in 1...100 where model.node(5, "state") != "6" {
      (model, key) = makeHost()
      run = Run(model: model)
      try run.apply(Sample.desired(["net": [one]]))
      model.kill(beforeStep: step)
      try run.apply(Sample.desired(["net": []]))
      #expect(model.restart())
    }
    // A first entry starts no round: the state stays.
    model.setOwner(two, 5)
    model.overwrite(domain: 5, index: 0, with: two)
    model.store["/local/domain/0/backend/pci/5/0/state"] = "6"
    model.store.settle()
    #expect(model.listed(5) == [two])
    try run.apply(Sample.desired(["net": [two]]))
    #expect(model.node(5, "state") == "4")
    #expect(model.exports(to: 5) == [two])
    #expect(model.owner(of: two) == key.id)
  }

  @Test func `a claim that fails leaves the shared interrupt of a device claimed before it`() throws {
    let (model, key) = makeHost()
    model.failFrames(of: two)
    let outcome = try Run(model: model).apply(Sample.desired(["net": [one, two]]))
    #expect(Set(outcome.domains.flatMap(\.steps).map(\.result)) == [.done, .failed])
    #expect(disagreements(model, key, [one]) == [])
    #expect(model.granted.contains("5 pirq 17"))
  }

  @Test func `a failed return keeps the only record of the device's owner`() throws {
    let (model, key) = makeHost()
    model.setOwner(one, 5)
    model.put(Intent(identifier: "5-attach-1", domain: key, operation: .attach, devices: [one]))
    model.fail("deassign", .other)
    try Run(model: model).apply(Sample.desired(["net": []]))
    #expect(model.openIntents.count >= 1)
    model.heal("deassign")
    try Run(model: model).apply(Sample.desired(["net": []]))
    #expect(model.owner(of: one) == nil)
    #expect(model.openIntents.isEmpty)
  }

  @Test func `the next run recovers a device that could not be returned to Xen`() throws {
    let (model, key) = makeHost()
    model.fail("interrupt", .notPermitted)
    model.fail("deassign", .notPermitted)
    let outcome = try Run(model: model).apply(Sample.desired(["net": [one]]))
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.failed])
    #expect(model.owner(of: one) == key.id)
    #expect(model.openIntents.map(\.devices) == [[one]], "only the intent tells whose it is")
    model.heal("interrupt")
    model.heal("deassign")
    try Run(model: model).apply(Sample.desired(["net": [one]]))
    #expect(disagreements(model, key, [one]) == [])
  }

  @Test func `an intent about another device is not settled by a run that did not touch it`() throws {
    let (model, key) = makeHost()
    model.setOwner(one, 5)
    model.put(Intent(identifier: "5-attach-1", domain: key, operation: .attach, devices: [one]))
    var desired = Sample.desired(["net": [one, two]])
    desired.domains[0].devices[0].id = DeviceID(vendor: 0x10EC, device: 0x8125)
    let outcome = try Run(model: model).apply(desired)
    #expect(outcome.domains.flatMap(\.steps).map(\.device) == [two])
    #expect(model.openIntents.map(\.devices) == [[one]])
  }

  @Test(arguments: [true, false])
  func `an intent is kept while its domain cannot take a change`(_ isRenamed: Bool) throws {
    let (model, key) = makeHost()
    model.setOwner(one, 5)
    model.put(Intent(identifier: "5-attach-1", domain: key, operation: .attach, devices: [one]))
    var desired = Sample.desired(["net": []])
    if isRenamed { desired.domains[0].uuid = Sample.uuid(77) } else { model.change(5) { $0.isPaused = true } }
    try Run(model: model).apply(desired)
    #expect(model.openIntents.count == 1)
    #expect(model.owner(of: one) == key.id)
  }

  @Test func `a plan for a domain that never ran is carried out hot if it runs by then`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    model.change(5) { domain in
      domain.isPaused = true
      domain.cpuTime = 0
    }
    try run.apply(Sample.desired(["net": [one]]))
    let more = try run.plan(Sample.desired(["net": [one, two]]))
    model.change(5) { domain in
      domain.isPaused = false
      domain.cpuTime = 1
    }
    #expect(model.node(5, "state") == "4")
    let outcome = execute(more, on: model)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.done])
    #expect(model.exports(to: 5) == [one, two])
    #expect(disagreements(model, key, [one, two]) == [])
  }

  @Test func `the bus of a running guest is not removed although the plan says that it never ran`() throws {
    let (model, _) = makeHost()
    let run = Run(model: model)
    model.change(5) { domain in
      domain.isPaused = true
      domain.cpuTime = 0
    }
    try run.apply(Sample.desired(["net": [one, two]]))
    let less = try run.plan(Sample.desired(["net": [two]]))
    // The guest's driver has begun, and does not continue for now.
    model.change(5) { domain in
      domain.isPaused = false
      domain.cpuTime = 1
      domain.answers = false
    }
    model.store[StorePath.frontEnd(DomainID(5)).child("state").text] = "2"
    let outcome = execute(less, on: model)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.unknown])
    #expect(model.listed(5) == [one, two])
    #expect(model.exports(to: 5) == [one, two])
  }

  @Test func `a removal waits for a guest that is connecting`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    model.change(5) { $0.answers = false }
    try run.apply(Sample.desired(["net": [one, two]]))
    #expect(model.node(5, "state") == "3")
    model.killWriters()
    let plan = try run.plan(Sample.desired(["net": [two]]))
    model.store.whenIdle.function = { [model] _ in
      guard model.node(5, "state") == "3" else { return false }
      model.change(5) { $0.answers = true }
      return true
    }
    let outcome = execute(plan, on: model)
    // The guest took the other device by itself while this run waited: nothing was done for that one.
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.done, .unchanged])
    #expect(disagreements(model, key, [two]) == [])
  }

  @Test func `the waiting next run finishes a killed run's removal that the guest completes`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one, two]]))
    model.change(5) { $0.answers = false }
    try run.apply(Sample.desired(["net": [one]]))
    #expect(model.node(5, "state") == "7")
    model.killWriters()
    let plan = try run.plan(Sample.desired(["net": [one]]))
    // The round leaves an entry marked for removal, which nobody else will delete.
    model.store.whenIdle.function = { [model] _ in
      guard model.node(5, "state") == "7" else { return false }
      model.change(5) { $0.answers = true }
      return true
    }
    let outcome = execute(plan, on: model)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.done, .unchanged])
    #expect(disagreements(model, key, [one]) == [])
  }

  @Test func `the next attach finishes an emptied bus that is half closed`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one]]))
    try run.apply(Sample.desired(["net": []]))
    // The state after a run that dies right after the guest's acknowledgement.
    let back = StorePath.backEnd(key.id).text
    let nodes = [
      "frontend": StorePath.frontEnd(key.id).text, "frontend-id": "5", "online": "0", "state": "6", "num_devs": "0",
    ]
    for (name, value) in nodes { model.store["\(back)/\(name)"] = value }
    model.store[StorePath.frontEnd(key.id).child("state").text] = "6"
    let outcome = try run.apply(Sample.desired(["net": [one]]))
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.done])
    #expect(disagreements(model, key, [one]) == [])
  }

  @Test(arguments: ["0", "5", "6"])
  func `the next attach recreates an emptied bus that the guest closed by itself`(_ state: String) throws {
    let (model, key) = makeHost()
    let run = Run(model: model, options: ApplyOptions(waitTimeout: .milliseconds(5), workers: 1))
    try run.apply(Sample.desired(["net": [one]]))
    model.interfere(atRequest: 0, onceTrue: { $0.node(5, "num_devs") == "0" }) {
      model.doMischief(.state(state), 5)
    }
    try run.apply(Sample.desired(["net": []]))
    #expect(model.hasInterfered)
    model.stopInterfering()
    model.behave(5)
    try run.apply(Sample.desired(["net": [one]]))
    #expect(disagreements(model, key, [one]) == [])
  }

  @Test func `a bus emptied for an attach that fails is closed`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one]]))
    let plan = try run.plan(Sample.desired(["net": [two]]))
    model.setOwner(two, 99)
    _ = execute(plan, on: model)
    #expect(disagreements(model, key, [], among: [one, three]) == [])
  }

  @Test func `the next attach removes a front end without its back end`() throws {
    let (model, key) = makeHost()
    let front = StorePath.frontEnd(key.id)
    model.store[front.child("state").text] = "4"
    let outcome = try Run(model: model).apply(Sample.desired(["net": [one]]))
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.done])
    #expect(disagreements(model, key, [one]) == [])
  }
}
