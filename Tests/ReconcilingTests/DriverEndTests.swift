import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// Releases and preparations after runs that ended on the way, or that met others.
@Suite struct DriverEndTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func desired(_ domains: [Name: [PCIAddress]], _ after: Policy.AfterDetach = .keep) -> DesiredState {
    var desired = Sample.desired(domains)
    desired.policy.afterDetach = after
    desired.policy.hostDrivers = .prepare
    return desired
  }

  @Test func `two runs do not take the last two keyboards`() throws {
    let model = ModelHost()
    model.addDomain(5, "net")
    for device in [one, two] { model.drivers.addHostDevice(device) }
    var usage = HostUsage()
    usage.attendants.keyboards = [
      Attendant(name: "kbd1", functions: [FunctionName(one)]), Attendant(name: "kbd2", functions: [FunctionName(two)]),
    ]
    model.drivers.setUsage(usage)
    let a = desired(["net": [one]])
    let b = desired(["later": [two]])
    let run = Run(model: model, options: .hasty)
    let planA = try run.plan(a)
    var host = model.host
    let hook = Hook<Void, Void>()
    hook.function = { _ in
      do {
        _ = try Run(model: model, options: .hasty).apply(b)
        // Its keyboard is gone from dom0.
        model.drivers.setUsage(
          {
            var left = HostUsage()
            left.attendants.keyboards = [Attendant(name: "kbd1", functions: [FunctionName(Sample.address(1))])]
            return left
          }())
      } catch { Issue.record("\(error)") }
    }
    host.preparations = WatchedPreparations(inner: model.host.preparations, action: hook)
    _ = ScheduleRunner(host: host, options: run.options) { _ in }.apply(planA)
    #expect(
      model.drivers.driver(of: one) == "e1000e" || model.drivers.driver(of: two) == "e1000e", "no keyboard is left")
  }

  @Test func `a serial number that cannot be read does not lose the driver`() throws {
    let model = ModelHost()
    model.addDomain(5, "net")
    model.drivers.addHostDevice(one)
    model.plug(ModelCard(serial: "a0-36-9f-ff-ff-12-34-56"), at: one, onPCIBack: false)
    let run = Run(model: model, options: .hasty)
    let wanted = desired(["net": [one]], .restore)
    let plan = try run.plan(wanted)
    model.kill(beforeStep: 5)
    _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(model.restart())
    model.plug(ModelCard(serial: nil), at: one, onPCIBack: false)
    try run.apply(wanted)
    model.plug(ModelCard(serial: "a0-36-9f-ff-ff-12-34-56"), at: one, onPCIBack: false)
    for _ in 0..<2 { print("T24", failures(try run.apply(desired(["net": []], .restore)))) }
    #expect(model.drivers.driver(of: one) == "e1000e")
  }

  @Test(arguments: [true, false]) func `a device that a killed change left is released by hand only if no guest has it`(
    _ isDetach: Bool
  ) throws {
    var seen: [String] = []
    for step in 1..<200 {
      let model = ModelHost()
      model.addDomain(5, "net")
      model.drivers.addHostDevice(one)
      let run = Run(model: model, options: .hasty)
      try run.apply(desired(isDetach ? ["net": [one]] : ["later": [one]]))
      let plan = try run.plan(desired(["net": isDetach ? [] : [one]]))
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      guard model.restart() else { break }
      let steps = makeReleasePlan(
        of: [one], index: ObservationIndex(try Observer(host: model.host).observeEverything(desired: nil))
      ).driverSteps
      let outcome = DriverRun(host: model.host, options: .hasty).apply(steps)
      let granted = model.granted.filter { $0.hasPrefix("5 ") }
      let driver = model.drivers.driver(of: one) ?? "none"
      if driver != "pciback",
        !granted.isEmpty || model.exports(to: 5).contains(one) || model.listed(5).contains(one)
          || model.owner(of: one) != nil
      {
        seen.append(
          "step \(step): \(outcome.map(\.result)) driver \(driver) granted \(granted.sorted()) exports \(model.exports(to: 5)) intents \(model.openIntents.map(\.identifier))"
        )
      }
      if driver == "none" { seen.append("step \(step): none") }
      if driver == "e1000e", model.drivers.isQuarantined(one) { seen.append("step \(step): quarantined") }
      // Then the manifest again.
      let last = desired(["net": isDetach ? [] : [one]])
      let after = failures(try run.apply(last))
      let rest = unrest(try run.plan(last))
      if !after.isEmpty || !rest.isEmpty { seen.append("step \(step): then \(after) \(rest)") }
    }
    for line in seen { print("T25", isDetach, line) }
    #expect(seen.isEmpty)
  }
}

extension HVMInterleavingTests {
  @Test(arguments: [true, false], [Kind.deviceModel, .stubDomain])
  func `a device that a killed change of an HVM guest left is released by hand only if no guest has it`(
    _ isDetach: Bool, _ kind: Kind
  ) throws {
    var seen: [String] = []
    for step in 1..<300 {
      let (model, _) = makeHost(kind)
      let run = Run(model: model, options: .hasty)
      model.drivers.giveToHost(one)
      func wanted(_ numbers: [Int]) -> DesiredState {
        var wanted = desired(numbers)
        wanted.policy.hostDrivers = .prepare
        return wanted
      }
      var later = Sample.desired(["later": [one], "net": [two]])
      later.policy.hostDrivers = .prepare
      try run.apply(isDetach ? wanted([1, 2]) : later)
      let plan = try run.plan(wanted(isDetach ? [2] : [1, 2]))
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      guard model.restart() else { break }
      let steps = makeReleasePlan(
        of: [one], index: ObservationIndex(try Observer(host: model.host).observeEverything(desired: nil))
      ).driverSteps
      let outcome = DriverRun(host: model.host, options: .hasty).apply(steps)
      let bus: UInt32 = kind == .stubDomain ? 15 : 5
      let granted = model.granted.filter {
        $0.hasPrefix("5 frames \(model.memoryFrames(of: one))")
          || $0.hasPrefix("15 frames \(model.memoryFrames(of: one))")
      }
      let driver = model.drivers.driver(of: one) ?? "none"
      if driver != "pciback",
        !granted.isEmpty || model.exports(to: bus).contains(one)
          || model.emulated(5).contains(where: { $0.contains("03_01") })
      {
        seen.append(
          "step \(step): \(outcome.map(\.result)) driver \(driver) granted \(granted.sorted()) exports \(model.exports(to: bus)) emulated \(model.emulated(5)) intents \(model.openIntents.map(\.identifier))"
        )
      }
      if driver == "none" { seen.append("step \(step): none") }
    }
    for line in seen { print("T26", isDetach, kind, line) }
    #expect(seen.isEmpty)
  }
}

extension ModelHost {
  func memoryFrames(of device: PCIAddress) -> String {
    do { return try "\(host.tree.grants(for: device).resources[0].frames)" } catch { return "?" }
  }
}

extension DriverEndTests {
  @Test func `another run on the device is a busy lock`() throws {
    let model = ModelHost()
    model.addDomain(5, "net")
    model.drivers.addHostDevice(one)
    let run = Run(model: model, options: .hasty)
    let held = try model.host.preparations.hold(one, until: .now)
    let plan = try run.plan(desired(["later": [one]]))
    let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
    held.release()
    let status = exitStatus(of: outcome, plan: plan, requiresRunning: false)
    #expect(status == .lockBusy)
  }

  @Test func `what was put back is reported as it is`() throws {
    for step in 1..<20 {
      let model = ModelHost()
      model.addDomain(5, "net")
      model.drivers.addHostDevice(one)
      model.drivers.refuse(one, by: "pciback")
      let run = Run(model: model, options: .hasty)
      let plan = try run.plan(desired(["later": [one]]))
      model.kill(beforeStep: step)
      let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
      guard model.restart() else { return }
      let text = outcome.drivers.first?.detail?.plain ?? ""
      let driver = model.drivers.driver(of: one) ?? "none"
      if text.contains("it has no driver"), driver != "none" {
        Issue.record("step \(step): driver \(driver), and the report: \(text)")
      }
    }
  }
}
