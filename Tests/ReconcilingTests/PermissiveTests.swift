import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// `permissive` is a permission of pciback that only unbinding ends: it does not stay with a device, nor go with it to
/// another guest, if it is not declared.
@Suite struct PermissiveTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  /// Returns a declaration of devices, of which the first is permissive or not.
  private func desired(_ domains: [Name: [PCIAddress]], permissive: Bool = false) -> DesiredState {
    var desired = Sample.desired(domains)
    if permissive {
      for index in desired.domains.indices where !desired.domains[index].devices.isEmpty {
        desired.domains[index].devices[0].options.permissive = true
      }
    }
    return desired
  }

  /// Returns a host on which `net` has a permissive device and a plain one.
  private func makeHost() throws -> (model: ModelHost, key: DomainKey, run: Run) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDomain(6, "other")
    for number in 1...3 { model.addDevice(Sample.address(number), interrupt: 17) }
    let run = Run(model: model)
    #expect(failures(try run.apply(desired(["net": [one, two]], permissive: true))).isEmpty)
    #expect(model.permissive == [one])
    return (model, key, run)
  }

  private static let rebound = "pciback releases the device and takes it again, so that `permissive` ends"

  @Test func `taking permissive away ends it in pciback, and the plan says how`() throws {
    let (model, key, run) = try makeHost()
    let plain = desired(["net": [one, two]])
    let step = try #require(try run.plan(plain).steps.first { $0.device == one })
    #expect(step.action == .reattach && step.effects.contains(Self.rebound))
    #expect(failures(try run.apply(plain)).isEmpty)
    #expect(model.permissive.isEmpty)
    #expect(disagreements(model, key, [one, two]).isEmpty)
    #expect(unrest(try run.plan(plain)).isEmpty)
  }

  @Test func `a device does not take permissive along to another guest`() throws {
    let (model, _, run) = try makeHost()
    let moved = desired(["net": [two], "other": [one]])
    let step = try #require(try run.plan(moved).steps.first { $0.device == one })
    #expect(step.action == .move && step.effects.contains(Self.rebound))
    #expect(failures(try run.apply(moved)).isEmpty)
    #expect(model.permissive.isEmpty && model.exports(to: 6) == [one])
    #expect(unrest(try run.plan(moved)).isEmpty)
  }

  @Test func `what another toolstack left permissive is not attached so`() throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    try model.host.tree.setPermissive(one)
    let run = Run(model: model)
    #expect(try run.plan(desired(["net": [one]])).steps.flatMap(\.effects).contains(Self.rebound))
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
    #expect(model.permissive.isEmpty && disagreements(model, key, [one]).isEmpty)
    // A device that is to be permissive stays so.
    try model.host.tree.setPermissive(one)
    let kept = try run.plan(desired(["net": [one]], permissive: true))
    #expect(kept.steps.allSatisfy { !$0.effects.contains(Self.rebound) })
  }

  @Test func `an entry that denies permissive does not hide it`() throws {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    let run = Run(model: model)
    let wanted = desired(["net": [one]])
    try run.apply(wanted)
    try model.host.tree.setPermissive(one)
    let observation = try Observer(host: model.host).observe(desired: wanted)
    let plan = makePlan(desired: wanted, observation: observation)
    let step = try #require(plan.steps.first)
    #expect(step.action == .reattach && step.before?.permissive == true)
    let drift = makeDriftMatrix(desired: wanted, observation: observation, plan: plan).findings
    #expect(drift.map(\.name) == [.permissiveLeft] && drift.first?.outcome == .planned(.reattach))
    let undeclared = DesiredState(policy: Policy(prune: .never))
    let left = makeDriftMatrix(
      desired: nil, observation: observation, plan: makePlan(desired: undeclared, observation: observation))
    #expect(left.findings.map(\.name) == [.permissiveLeft] && left.findings.first?.outcome.isRepaired == false)
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(model.permissive.isEmpty && disagreements(model, key, [one]).isEmpty)
  }

  @Test func `virtual functions keep a device from being unbound`() throws {
    let (model, key, run) = try makeHost()
    model.setVirtualFunctions(true, of: one)
    let plain = desired(["net": [one, two]])
    let step = try #require(try run.plan(plain).steps.first { $0.device == one })
    #expect(step.kind == .blocked(.permissiveStays))
    try run.apply(plain)
    #expect(model.permissive == [one] && disagreements(model, key, [one, two]).isEmpty)
    // The device may go, but not to another guest.
    let moved = try run.plan(desired(["net": [two], "other": [one]]))
    #expect(moved.steps.filter { $0.device == one }.map(\.kind) == [.blocked(.permissiveStays)])
    #expect(try run.plan(desired(["net": [one, two]], permissive: true)).steps.allSatisfy { !$0.isChange })
  }

  @Test func `virtual functions that came since the plan are found before the device is unbound`() throws {
    let (model, _, run) = try makeHost()
    let plan = try run.plan(desired(["net": [two], "other": [one]]))
    model.setVirtualFunctions(true, of: one)
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(failures(outcome).contains { $0.contains("the device has virtual functions") })
    #expect(model.permissive == [one] && model.exports(to: 6).isEmpty && model.owner(of: one) == nil)
  }

  @Test func `a device that another back end lists is not unbound`() throws {
    let model = ModelHost()
    model.addDomain(5, "net")
    model.addDomain(6, "other")
    model.addDevice(one, interrupt: 17)
    try model.host.tree.setPermissive(one)
    let bus = StorePath.backEnd(DomainID(6))
    model.afterAssign {
      for (name, value) in ["num_devs": "1", "dev-0": "\(one)", "key-0": "\(one)", "state-0": "3", "state": "4"] {
        model.store[bus.child(name).text] = value
      }
    }
    let outcome = try Run(model: model).apply(desired(["net": [one]]))
    #expect(failures(outcome).contains { $0.contains("the back end of domain 6 lists the device") })
    #expect(model.permissive == [one], "it was unbound")
    #expect(model.owner(of: one) == nil)
  }

  @Test func `QEMU's guests need no rebinding`() throws {
    let model = ModelHost()
    let key = model.addHVMDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    try model.host.tree.setPermissive(one)
    let run = Run(model: model)
    #expect(failures(try run.apply(desired(["net": [one]]))).isEmpty)
    #expect(model.permissive == [one] && disagreements(model, key, [one], hasDeviceModel: true).isEmpty)
    #expect(unrest(try run.plan(desired(["net": [one]]))).isEmpty)
  }

  /// What happens to one write, by its name.
  static let troubles: [(request: PortRequest, fault: Fault)] = [
    (.unbindDriver, .isLost),
    (.unbindDriver, .fails(.tree(DeviceTreeError(.other, operation: "unbind", place: "pciback")))),
    (.bindDriver, .isLost), (.bindDriver, .fails(.tree(DeviceTreeError(.other, operation: "bind", place: "pciback")))),
    (.bindDriver, .failsDone(.tree(DeviceTreeError(.other, operation: "bind", place: "pciback")))),
  ]

  @Test(arguments: troubles.indices)
  func `a device that pciback does not give or take is reported, and bound by the next run`(_ number: Int) throws {
    let (request, fault) = Self.troubles[number]
    let plain = desired(["net": [one, two]])
    let (sound, _, first) = try makeHost()
    let line = FaultLine()
    let clean = ScheduleRunner(host: line.host(sound.host), options: first.options) { _ in }
      .apply(try first.plan(plain))
    #expect(failures(clean).isEmpty)
    let index = try #require(line.requests.firstIndex(of: request))

    let (model, key, run) = try makeHost()
    let plan = try run.plan(plain)
    let faulty = FaultLine()
    faulty.arm(fault, at: index)
    let outcome = ScheduleRunner(host: faulty.host(model.host), options: run.options) { _ in }.apply(plan)
    // What is read back decides, and not what the write returned.
    let isDone = if case .failsDone = fault { true } else { false }
    #expect(failures(outcome).isEmpty == isDone)
    #expect(model.exports(to: 5) == (isDone ? [one, two] : [two]))
    model.killWriters()
    #expect(failures(try run.apply(plain)).isEmpty)
    #expect(model.permissive.isEmpty && disagreements(model, key, [one, two]).isEmpty)
  }

  @Test(arguments: ["declared", "not declared", "declared for another domain", "of a domain that is gone"])
  func `a device that a killed run left without a driver is bound, whoever is to have it`(_ state: String) throws {
    let plain = desired(["net": [one, two]])
    var hasSeenUnbound = false
    for step in 1..<400 {
      let (model, key, run) = try makeHost()
      let plan = try run.plan(plain)
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      guard model.restart() else { break }
      guard try model.host.tree.facts(of: one)?.driver == nil else { continue }
      hasSeenUnbound = true
      var wanted = plain
      switch state {
      case "not declared": wanted = desired(["net": [two]])
      case "declared for another domain": wanted = desired(["net": [two], "other": [one]])
      case "of a domain that is gone":
        model.destroy(5)
        wanted = desired(["other": [one]])
      default: break
      }
      let failed = failures(try run.apply(wanted)) + failures(try run.apply(wanted))
      #expect(failed.isEmpty, "\(state), killed before step \(step)")
      #expect(try model.host.tree.facts(of: one)?.isOnPCIBack == true && model.permissive.isEmpty)
      #expect(unrest(try run.plan(wanted)).isEmpty, "\(state), killed before step \(step)")
      if state == "declared" { #expect(disagreements(model, key, [one, two]).isEmpty) }
      if state.contains("another") { #expect(model.exports(to: 6) == [one]) }
    }
    #expect(hasSeenUnbound)
  }

  @Test func `a device of which only the entry is lost stays bound`() throws {
    let (model, key, run) = try makeHost()
    // Another toolstack has written its count over the second of two entries; the guest has both devices.
    let wanted = desired(["net": [two, one]], permissive: false)
    let bus = StorePath.backEnd(key.id)
    let index = try #require(model.listed(5).firstIndex(of: one))
    for name in ["dev", "key", "state", "vdev", "opts"] { model.store[bus.child("\(name)-\(index)").text] = nil }
    if index == 0 {
      for name in ["dev", "key", "state", "vdev", "opts"] {
        model.store[bus.child("\(name)-0").text] = model.store[bus.child("\(name)-1").text]
        model.store[bus.child("\(name)-1").text] = nil
      }
    }
    model.store[bus.child("num_devs").text] = "1"
    #expect(model.listed(5) == [two] && model.exports(to: 5) == [one, two])
    let outcome = try run.apply(wanted)
    #expect(model.exports(to: 5) == [one, two], "it was unbound: \(failures(outcome))")
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(model.permissive.isEmpty && disagreements(model, key, [one, two]).isEmpty)
  }
}
