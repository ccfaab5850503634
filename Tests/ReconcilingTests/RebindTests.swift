import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// While pciback has released a device to end `permissive`, the device is nobody else's.
@Suite struct RebindTests {
  private let one = Sample.address(1)

  /// Returns a host whose device is permissive and nobody's, with a declaration that takes `permissive` away.
  private func makeHost(override: String? = nil) throws -> (model: ModelHost, key: DomainKey, run: Run) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    try model.host.tree.setPermissive(one)
    model.drivers.setOverride(of: one, to: override)
    return (model, key, Run(model: model, options: .hasty))
  }

  private var wanted: DesiredState { Sample.desired(["net": [one]]) }

  @Test func `a driver that is loaded meanwhile does not get the device`() throws {
    let (one, wanted) = (one, wanted)
    var explorer = Explorer {
      let (model, _, run) = try makeHost()
      let plan = try run.plan(wanted)
      return World(
        model: model,
        actors: [
          Actor("apply") { _ = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan) },
          Actor("module") {
            do { _ = try model.host.drivers.offer(one, until: .now) } catch { Issue.record("\(error)") }
          },
        ],
        findings: {
          let state = model.drivers.driverState(of: one)
          guard state.driver == "pciback", state.driverOverride == nil, model.permissive.isEmpty else {
            return ["\(state), permissive \(model.permissive)"]
          }
          return []
        })
    }
    try explorer.explore(bound: 2, limit: 4000)
    if let shortest = explorer.shortest { Issue.record("\(shortest)") }
  }

  @Test(arguments: [nil, "pciback"]) func `a run that is killed anywhere leaves the override to the next as it was`(
    _ override: String?
  ) throws {
    var hasSeen: Set<String> = []
    var isWhole = false
    for step in 1..<200 where !isWhole {
      let (model, key, run) = try makeHost(override: override)
      let plan = try run.plan(wanted)
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      isWhole = !model.restart()
      hasSeen.insert("\(model.drivers.driver(of: one) ?? "none") \(model.drivers.driverOverride(of: one) ?? "none")")
      for _ in 0..<2 {
        #expect(failures(try run.apply(wanted)).isEmpty, "killed before step \(step)")
      }
      let state = model.drivers.driverState(of: one)
      #expect(state.driver == "pciback" && state.driverOverride == override, "killed before step \(step): \(state)")
      #expect(model.permissive.isEmpty && disagreements(model, key, [one]).isEmpty, "killed before step \(step)")
      #expect(try unrest(run.plan(wanted)).isEmpty && model.openIntents.isEmpty, "killed before step \(step)")
    }
    #expect(isWhole && hasSeen.isSuperset(of: ["none pciback", "pciback pciback"]), "\(hasSeen)")
  }

  @Test(arguments: [true, false]) func `a killed run that is followed by another one that is killed leaves nothing`(
    _ isDeclared: Bool
  ) throws {
    let later = isDeclared ? wanted : Sample.desired(["net": []])
    for first in 1..<40 {
      for second in 1..<12 {
        let (model, _, run) = try makeHost()
        let plan = try run.plan(wanted)
        model.kill(beforeStep: first)
        _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
        guard model.restart() else { return }
        let next = try run.plan(later)
        model.kill(beforeStep: second)
        _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(next)
        _ = model.restart()
        for _ in 0..<2 { try run.apply(later) }
        let state = model.drivers.driverState(of: one)
        #expect(
          state.driver == "pciback" && state.driverOverride == nil, "killed before \(first) and \(second): \(state)")
      }
    }
    Issue.record("the run has more steps")
  }

  @Test func `an override of somebody else refuses the rebind, in the plan and in the run`() throws {
    let (model, _, run) = try makeHost()
    let plan = try run.plan(wanted)
    model.drivers.setOverride(of: one, to: "vfio-pci")
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(failures(outcome).contains { $0.contains("driver-reserved: its driver_override is vfio-pci") })
    let state = model.drivers.driverState(of: one)
    #expect(state.driver == "pciback" && state.driverOverride == "vfio-pci" && model.permissive == [one])
    #expect(try run.plan(wanted).steps.map(\.kind) == [.blocked(.driverReserved)])
  }

  @Test func `an override that the kernel does not tell refuses the rebind, in the plan and in the run`() throws {
    let (model, _, run) = try makeHost()
    let plan = try run.plan(wanted)
    model.drivers.lock(one)
    let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
    #expect(failures(outcome).contains { $0.contains("interlock-unknown") }, "\(failures(outcome))")
    #expect(model.drivers.driverState(of: one).driver == "pciback" && model.permissive == [one])
    #expect(try run.plan(wanted).steps.map(\.kind) == [.blocked(.interlockUnknown)])
    #expect(model.openIntents.isEmpty)
  }

  @Test func `an override that changes while the intent is written refuses the rebind`() throws {
    for text in ["pciback", "vfio-pci"] {
      let (model, _, run) = try makeHost()
      let plan = try run.plan(wanted)
      let hook = Hook<Void, Void>()
      hook.function = { [one] _ in model.drivers.setOverride(of: one, to: text) }
      let outcome = ScheduleRunner(host: model.host(whenRebindIsRecorded: hook), options: run.options) { _ in }
        .apply(plan)
      #expect(hook.function == nil, "no intent was written")
      #expect(failures(outcome).contains { $0.contains("driver-reserved") }, "\(failures(outcome))")
      let state = model.drivers.driverState(of: one)
      #expect(state.driver == "pciback" && state.driverOverride == text && model.permissive == [one])
      #expect(model.openIntents.isEmpty)
    }
  }

  @Test func `pciback that does not answer keeps the intent, and the next run finishes it`() throws {
    let (model, key, run) = try makeHost()
    model.drivers.silence("pciback")
    let outcome = try run.apply(wanted)
    #expect(failures(outcome).contains { $0.contains("pciback has not answered") }, "\(failures(outcome))")
    #expect(model.drivers.driverOverride(of: one) == "pciback" && !model.openIntents.isEmpty)
    model.drivers.silence("pciback", false)
    for _ in 0..<2 { #expect(failures(try run.apply(wanted)).isEmpty) }
    #expect(model.drivers.driverOverride(of: one) == nil && model.permissive.isEmpty)
    #expect(disagreements(model, key, [one]).isEmpty)
  }

  @Test func `what libvirt reserved is not the dead run's to clear`() throws {
    let (model, key, run) = try makeHost(override: "pciback")
    var intent = Intent(identifier: "5-rebind-1", domain: key, operation: .rebind, devices: [one])
    model.put(intent)
    try run.apply(Sample.desired(["net": []]))
    #expect(model.drivers.driverOverride(of: one) == "pciback" && model.openIntents.isEmpty)
    intent.reserves = true
    model.put(intent)
    try run.apply(Sample.desired(["net": []]))
    #expect(model.drivers.driverOverride(of: one) == nil && model.openIntents.isEmpty)
  }

  @Test func `another run on the device is waited for, and then reported`() throws {
    let (model, _, run) = try makeHost()
    let held = try model.host.preparations.hold(one, until: .now)
    let outcome = try run.apply(wanted)
    #expect(failures(outcome).contains { $0.contains("another run of Berth is at work on the device") })
    #expect(model.permissive == [one] && model.openIntents.isEmpty)
    held.release()
    #expect(failures(try run.apply(wanted)).isEmpty && model.permissive.isEmpty)
  }
}

extension ModelHost {
  /// Returns this host, with `action` called once, when an intent to rebind is written.
  fileprivate func host(whenRebindIsRecorded action: Hook<Void, Void>) -> Host {
    var host = host
    host.intents = WatchedIntents(inner: host.intents, action: action)
    return host
  }
}

/// Wraps intents: runs an action once when an intent to rebind is written.
private struct WatchedIntents: IntentPort {
  let inner: any IntentPort
  let action: Hook<Void, Void>
  func open(_ intent: Intent) throws(HostError) -> any OpenIntent {
    let file = try inner.open(intent)
    if intent.operation == .rebind { action.take()?(()) }
    return file
  }
  func readIntents() throws(HostError) -> OwnFiles<Intent> { try inner.readIntents() }
  func discard(identifier: String) throws(HostError) { try inner.discard(identifier: identifier) }
  func sweep() { inner.sweep() }
}
