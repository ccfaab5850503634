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
    preparing(domains, after)
  }

  @Test func `two runs do not take the last two keyboards`() throws {
    let (model, _, run) = makeDriverHost([one, two])
    let keyboards = [one, two].map { Attendant(name: "keyboard of \($0)", functions: [FunctionName($0)]) }
    model.drivers.setUsage(usage(keyboards))
    let plan = try run.plan(desired(["net": [one]]))
    let hook = Hook<Void, Void>()
    hook.function = { [self] _ in
      do {
        try Run(model: model, options: .hasty).apply(desired(["later": [two]]))
        // dom0 has lost that keyboard.
        model.drivers.setUsage(usage([keyboards[0]]))
      } catch { Issue.record("\(error)") }
    }
    _ = ScheduleRunner(host: model.host(whenRecorded: hook), options: run.options) { _ in }.apply(plan)
    #expect(hook.function == nil, "no record was written")
    #expect(model.drivers.driver(of: one) == "e1000e" && model.drivers.driver(of: two) == "pciback")
  }

  private func usage(_ keyboards: [Attendant]) -> HostUsage {
    var usage = HostUsage()
    usage.attendants.keyboards = keyboards
    return usage
  }

  @Test func `a serial number that cannot be read does not lose the driver`() throws {
    let (model, _, run) = makeDriverHost([one])
    model.plug(ModelCard(serial: "a0-36-9f-ff-ff-12-34-56"), at: one, onPCIBack: false)
    let wanted = desired(["net": [one]], .restore)
    let plan = try run.plan(wanted)
    model.kill(beforeStep: 5)
    _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(model.restart() && model.drivers.preparation(of: one) != nil)
    model.plug(ModelCard(serial: nil), at: one, onPCIBack: false)
    try run.apply(wanted)
    model.plug(ModelCard(serial: "a0-36-9f-ff-ff-12-34-56"), at: one, onPCIBack: false)
    for _ in 0..<2 { try run.apply(desired(["net": []], .restore)) }
    #expect(model.drivers.driver(of: one) == "e1000e")
  }

  @Test(arguments: [true, false]) func `a device that a killed change left is released by hand only if no guest has it`(
    _ isDetach: Bool
  ) throws {
    var seen: [String] = []
    var cuts = 0
    var isWhole = false
    for step in 1..<200 where !isWhole {
      let (model, _, run) = makeDriverHost([one])
      try run.apply(desired(isDetach ? ["net": [one]] : ["later": [one]]))
      let plan = try run.plan(desired(["net": isDetach ? [] : [one]]))
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      guard model.restart() else {
        isWhole = true
        continue
      }
      cuts += 1
      let outcome = try model.releaseByHand(one)
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
    #expect(seen == [] && isWhole && cuts > 3)
  }
}

extension HVMInterleavingTests {
  @Test(arguments: [true, false], [Kind.deviceModel, .stubDomain])
  func `a device that a killed change of an HVM guest left is released by hand only if no guest has it`(
    _ isDetach: Bool, _ kind: Kind
  ) throws {
    var seen: [String] = []
    var cuts = 0
    var isWhole = false
    for step in 1..<300 where !isWhole {
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
      guard model.restart() else {
        isWhole = true
        continue
      }
      cuts += 1
      let outcome = try model.releaseByHand(one)
      let bus: UInt32 = kind == .stubDomain ? 15 : 5
      let frames = try #require(try model.host.tree.grants(for: one).resources.first).frames
      let granted = model.granted.filter { $0.hasPrefix("5 frames \(frames)") || $0.hasPrefix("15 frames \(frames)") }
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
    #expect(seen == [] && isWhole && cuts > 3)
  }
}

extension DriverEndTests {
  @Test func `another run on the device is a busy lock`() throws {
    let (model, _, run) = makeDriverHost([one])
    let held = try model.host.preparations.hold(one, until: .now)
    let plan = try run.plan(desired(["later": [one]]))
    let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
    held.release()
    let status = exitStatus(of: outcome, plan: plan, requiresRunning: false)
    #expect(status == .lockBusy)
  }

  @Test func `what was put back is reported as it is`() throws {
    var reports = 0
    var isWhole = false
    for step in 1..<40 where !isWhole {
      let (model, _, run) = makeDriverHost([one])
      model.drivers.refuse(one, by: "pciback")
      let plan = try run.plan(desired(["later": [one]]))
      model.kill(beforeStep: step)
      let outcome = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
      isWhole = !model.restart()
      guard let detail = outcome.drivers.first?.detail else { continue }
      let driver = model.drivers.driver(of: one)
      if detail.sentences.contains(.putBack) {
        reports += 1
        #expect(driver == "e1000e", "step \(step): \(detail.plain)")
      }
      if detail.sentences.contains(.notPutBack), detail.plain.contains("driver none") {
        #expect(driver == nil, "step \(step): \(detail.plain)")
      }
    }
    #expect(isWhole && reports > 0)
  }
}
