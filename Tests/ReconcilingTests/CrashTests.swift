import Core
import Reconciling
import TestSupport
import Testing

/// What the places that know of a domain's devices disagree about; empty where all is well.
///
/// `bus` is the number of the domain whose bus they are on, where that is another: a stub domain.
func disagreements(
  _ model: ModelHost, _ key: DomainKey, _ devices: [PCIAddress], among all: [PCIAddress] = (1...4).map(Sample.address),
  bus: UInt32? = nil, hasDeviceModel: Bool = false
) -> [String] {
  var found: [String] = []
  func expect(_ what: String, _ value: some Equatable, _ wanted: some Equatable) {
    if "\(value)" != "\(wanted)" { found.append("\(what): \(value), not \(wanted)") }
  }
  let guest = key.id.rawValue
  let number = bus ?? guest
  expect("listed", model.listed(number).sorted(), devices.sorted())
  expect("exported", model.exports(to: number).sorted(), devices.sorted())
  expect("saved", model.saved(key).sorted(), devices.sorted())
  expect("recorded", model.recorded(key).sorted(), devices.sorted())
  expect("assigned", all.filter { model.owner(of: $0) == key.id }, devices.sorted())
  expect("claimed", all.filter { model.claim(on: $0) == key.id.description }, devices.sorted())
  expect(
    "states", Set(devices.indices.map { model.node(number, "state-\($0)") ?? "none" }), Set(devices.map { _ in "3" }))
  if hasDeviceModel {
    expect("emulated", model.emulated(guest), devices.map { DeviceModelName($0).description }.sorted())
  }
  expect("intents", model.openIntents.map(\.identifier), [String]())
  if devices.isEmpty {
    expect(
      "granted", model.granted.filter { $0.hasPrefix("\(number) ") || $0.hasPrefix("\(guest) ") }.sorted(), [String]())
    expect("bus", model.node(number, "state") ?? "none", "none")
  } else {
    for domain in Set([number, guest]) {
      expect("granted", model.granted.filter { $0.hasPrefix("\(domain) frames") }.count, devices.count)
      expect("interrupt", model.granted.contains("\(domain) irq 17"), true)
    }
  }
  return found
}

/// A process that dies before any of its steps, and one clean run after it.
@Suite struct CrashTests {
  /// A change that is killed, and what is declared afterwards.
  struct Change: CustomTestStringConvertible, Sendable {
    enum Kind: String { case pv = "", deviceModel = "HVM: ", stubDomain = "stub domain: " }
    var testDescription: String
    var before: [String: [PCIAddress]]
    var killed: [String: [PCIAddress]]
    var after: [String: [PCIAddress]]
    var isReattach = false
    var isCold = false
    var isSilent = false
    var kind = Kind.pv
  }

  static let changes: [Change] = {
    let (one, two, three) = (Sample.address(1), Sample.address(2), Sample.address(3))
    var changes = [
      Change(
        testDescription: "first attach", before: ["net": []], killed: ["net": [one, two]], after: ["net": [one, two]]),
      Change(
        testDescription: "later attach", before: ["net": [one]], killed: ["net": [one, two, three]],
        after: ["net": [one, two, three]]),
      Change(
        testDescription: "first attach, given up", before: ["net": []], killed: ["net": [one, two]], after: ["net": []]),
      Change(
        testDescription: "later attach, given up", before: ["net": [one]], killed: ["net": [one, two]],
        after: ["net": [one]]),
      Change(
        testDescription: "detach some", before: ["net": [one, two, three]], killed: ["net": [one, three]],
        after: ["net": [one, three]]),
      Change(testDescription: "detach all", before: ["net": [one, two]], killed: ["net": []], after: ["net": []]),
      Change(
        testDescription: "detach some, taken back", before: ["net": [one, two, three]], killed: ["net": [one, three]],
        after: ["net": [one, two, three]]),
      Change(
        testDescription: "detach all, taken back", before: ["net": [one, two]], killed: ["net": []],
        after: ["net": [one, two]]),
      Change(
        testDescription: "reattach", before: ["net": [one, two]], killed: ["net": [one, two]],
        after: ["net": [one, two]], isReattach: true),
      Change(
        testDescription: "reattach, then gone", before: ["net": [one, two]], killed: ["net": [one, two]],
        after: ["net": [two]], isReattach: true),
      Change(
        testDescription: "exchange", before: ["net": [one, two]], killed: ["net": [two, three]],
        after: ["net": [two, three]]),
      Change(
        testDescription: "move", before: ["net": [one, two]], killed: ["net": [two], "other": [one]],
        after: ["net": [two], "other": [one]]),
      Change(
        testDescription: "move, taken back", before: ["net": [one, two]], killed: ["net": [two], "other": [one]],
        after: ["net": [one, two], "other": []]),
    ]
    changes += changes.map { change in
      var silent = change
      silent.testDescription += ", guest silent"
      silent.isSilent = true
      return silent
    }
    for (name, after) in [("cold attach", [one, two]), ("cold attach, given up", [one])] {
      changes.append(
        Change(
          testDescription: name, before: ["net": [one]], killed: ["net": [one, two]], after: ["net": after],
          isCold: true))
    }
    for (name, after) in [("cold detach", [one]), ("cold detach, taken back", [one, two])] {
      changes.append(
        Change(
          testDescription: name, before: ["net": [one, two]], killed: ["net": [one]], after: ["net": after],
          isCold: true))
    }
    let others = [Change.Kind.deviceModel, .stubDomain].flatMap { kind in
      changes.map { change in
        var other = change
        other.kind = kind
        other.testDescription = kind.rawValue + change.testDescription
        return other
      }
    }
    return changes + others
  }()

  private func desired(_ domains: [String: [PCIAddress]], reattaching: Bool = false) -> DesiredState {
    var desired = Sample.desired(domains)
    if reattaching { desired.domains[0].devices[0].options.msiTranslate = true }
    return desired
  }

  private func add(_ number: UInt32, _ name: String, _ kind: Change.Kind, to model: ModelHost) -> DomainKey {
    guard kind != .pv else { return model.addDomain(number, name) }
    let key = model.addHVMDomain(number, name)
    guard kind == .stubDomain else { return key }
    let stub = model.addDomain(number + 10, name + "-dm") { $0.hasIOMMU = false }
    model.setSaved(stub, nil)
    model.setStubDomain(stub, of: key)
    return key
  }

  private func setAnswers(_ answers: Bool, of model: ModelHost) {
    for number: UInt32 in [5, 6, 15] {
      model.change(number) { $0.answers = answers }
      model.setLetsGo(number, answers)
    }
  }

  @Test(arguments: CrashTests.changes)
  func `one clean run after a killed one leaves nothing behind`(_ change: Change) throws {
    for step in 1..<2000 {
      let model = ModelHost()
      let keys = ["net": add(5, "net", change.kind, to: model), "other": model.addDomain(6, "other")]
      for number in 1...4 { model.addDevice(Sample.address(number), interrupt: 17) }
      if change.isCold {
        model.change(5) { domain in
          domain.isPaused = true
          domain.cpuTime = 0
        }
      }
      // One domain after the other: the order of steps is the same each time.
      let options = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(5), workers: 1)
      let run = Run(model: model, options: options)
      try run.apply(desired(change.before))
      let plan = try run.plan(desired(change.killed, reattaching: change.isReattach))
      setAnswers(!change.isSilent, of: model)
      model.kill(beforeStep: step)
      _ = Executor(host: model.host, options: run.options) { _ in }.apply(plan)
      let wasKilled = model.restart()
      setAnswers(true, of: model)

      let final = desired(change.after, reattaching: change.isReattach)
      let outcome = try run.apply(final)
      var findings = outcome.domains.flatMap { domain in
        domain.steps.filter { $0.result != .done && $0.result != .unchanged }
          .map { "\($0.action) \($0.device) \($0.result): \($0.detail ?? "")" } + [domain.failure].compactMap(\.self)
      }
      for (name, key) in keys {
        let isHVM = name == "net" && change.kind != .pv
        findings += disagreements(
          model, key, change.after[name] ?? [], bus: isHVM && change.kind == .stubDomain ? 15 : nil,
          hasDeviceModel: isHVM
        ).map { "\(name) \($0)" }
      }
      let third = try run.plan(final)
      findings += third.steps.filter(\.action.isChange).map { "again \($0.action) \($0.device) \($0.reason)" }
      findings += third.bookkeeping.map { "again \($0)" }
      findings += third.steps.filter { $0.action == .blocked }.map { "blocked \($0.device) \($0.reason)" }
      if !findings.isEmpty {
        Issue.record("killed before step \(step): \(findings)")
        return
      }
      if !wasKilled { return }
    }
    Issue.record("it never ends")
  }
}
