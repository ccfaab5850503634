import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// Preparations and releases beside attaches, other runs and xl.
@Suite struct DriverRaceTests {
  private let one = Sample.address(1)

  /// Returns a host whose device is on pciback and nobody's, with the steps that return it to its driver.
  private func base() throws -> (ModelHost, DomainKey, [DriverStep]) {
    let (model, key, run) = makeDriverHost([one])
    try run.apply(preparing(["later": [one]], .keep))
    return (model, key, try model.releaseSteps(of: one))
  }

  @Test func `an attach and a release at once leave the device to one of them`() throws {
    let one = one
    var explorer = Explorer {
      let (model, _, steps) = try base()
      let run = Run(model: model, options: .hasty)
      let plan = try run.plan(preparing(["net": [one]], .keep))
      let outcomes = Mutex<[DriverOutcome]>([])
      let attach = Mutex<[String]>([])
      return World(
        model: model,
        actors: [
          Actor("release") {
            let found = DriverRun(host: model.host, options: .hasty).apply(steps)
            outcomes.withLock { $0 = found }
          },
          Actor("attach") {
            let found = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan)
            attach.withLock { $0 = failures(found) }
          },
        ],
        findings: {
          let flaws = model.driverFlaws(of: one)
          if flaws.isEmpty { return [] }
          return flaws + ["release: \(outcomes.withLock { $0.map(\.result) }), attach: \(attach.withLock { $0 })"]
        })
    }
    try explorer.explore(bound: 2, limit: 4000)
    if let shortest = explorer.shortest { Issue.record("\(shortest)") }
  }
}

extension DriverRaceTests {
  @Test func `a claim that comes before the unbind keeps the device on pciback`() throws {
    let (model, key, steps) = try base()
    let one = one
    let hook = Hook<Void, Void>()
    // xl claims the device while the record is written; it assigns the device later (reset, grants first).
    hook.function = { _ in model.store[StorePath.claim(one).text] = key.id.description }
    _ = DriverRun(host: model.host(whenRecorded: hook), options: .hasty).apply(steps)
    #expect(hook.function == nil, "no record was written")
    #expect(model.drivers.driver(of: one) == "pciback")
  }

  @Test func `a preparation and a release of two manifests leave the device to one of them`() throws {
    let one = one
    var explorer = Explorer {
      let (model, _, run) = makeDriverHost([one])
      let attach = try run.plan(preparing(["net": [one]], .restore))
      return World(
        model: model,
        actors: [
          Actor("attach") { _ = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(attach) },
          Actor("other") {
            do { try run.apply(preparing(["net": []], .restore)) } catch { Issue.record("\(error)") }
          },
        ],
        findings: { model.driverFlaws(of: one) })
    }
    try explorer.explore(bound: 2, limit: 4000)
    if let shortest = explorer.shortest { Issue.record("\(shortest)") }
  }
}

extension HVMInterleavingTests {
  @Test(arguments: ["hand exported", "never emulated", "never exported", "unnamed exported"])
  func `a device that QEMU shows or pciback keeps is not released`(_ way: String) throws {
    let (model, key) = makeHost()
    let run = Run(model: model, options: options)
    model.drivers.giveToHost(one)
    var wanted = desired([1, 2])
    wanted.policy.hostDrivers = .prepare
    try run.apply(wanted)
    xlDetach(one, model, key, isForced: way.contains("emulated"))
    if way.hasPrefix("hand") {
      try model.releaseByHand(one)
    } else {
      var last = way.hasPrefix("unnamed") ? Sample.desired([:]) : desired([2])
      last.policy.hostDrivers = .prepare
      last.policy.afterDetach = .restore
      if way.hasPrefix("never") { last.policy.prune = .never }
      let plan = try run.plan(last)
      _ = execute(plan, on: model)
    }
    let stays = model.emulated(5).contains { $0.contains("03_01") } || model.exports(to: 5).contains(one)
    #expect(model.drivers.driver(of: one) == "pciback" || !stays, "the host's driver and the guest have it")
  }
}
