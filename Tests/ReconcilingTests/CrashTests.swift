import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// A process that dies before one of its steps, and one clean run after it.
@Suite struct CrashTests {
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
        testDescription: "permissive ends", before: ["net": [one, two]], killed: ["net": [one, two]],
        after: ["net": [one, two]], isPermissive: true),
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
    for (name, before, killed, after) in [
      ("prepare and attach", [], [one, two], [one, two]), ("prepare and attach, given up", [], [one, two], []),
      ("detach and release", [one, two], [], []), ("detach and release, taken back", [one, two], [], [one, two]),
      ("exchange with the host", [one], [two], [two]),
    ] as [(String, [PCIAddress], [PCIAddress], [PCIAddress])] {
      var change = Change(
        testDescription: name, before: ["net": before], killed: ["net": killed], after: ["net": after])
      change.isOnHost = true
      changes.append(change)
      guard name.hasPrefix("prepare") else { continue }
      (change.testDescription, change.isCard) = (name + ", a card", true)
      changes.append(change)
    }
    let others = [Change.Kind.deviceModel, .stubDomain, .traditional].flatMap { kind in
      changes.map { change in
        var other = change
        other.kind = kind
        other.testDescription = kind.rawValue + change.testDescription
        return other
      }
    }
    return changes + others
  }()

  private func setAnswers(_ answers: Bool, of model: ModelHost) {
    for number: UInt32 in [5, 6, 15] {
      model.change(number) { $0.answers = answers }
      model.setLetsGo(number, answers)
    }
  }

  /// Returns devices that QEMU shows at another slot than libxl would ask for when the guest starts again.
  private func unsavedSlots(_ model: ModelHost, _ key: DomainKey) throws -> [String] {
    let saved = try SavedConfiguration(try #require(try model.host.userdata.savedConfiguration(of: key))).devices
    let shown = model.emulatedSlots(key.id.rawValue)
    return saved.filter { $0.options.virtualSlot != shown[DeviceModelName($0.address)] }
      .map { "\($0.address) is saved at \($0.options.virtualSlot.map(String.init) ?? "no slot")" }
  }

  @Test(arguments: CrashTests.changes)
  func `one clean run after a killed one leaves nothing unfinished`(_ change: Change) throws {
    for step in 1..<2000 {
      let (model, keys) = change.makeHost()
      let run = Run(model: model, options: .hasty)
      try run.apply(change.initial)
      let plan = try run.plan(change.troubled)
      setAnswers(!change.isSilent, of: model)
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      let wasKilled = model.restart()
      setAnswers(true, of: model)

      let outcome = try run.apply(change.final)
      var findings = failures(outcome)
      findings += change.disagreements(model, keys)
      if change.kind != .pv { findings += try unsavedSlots(model, try #require(keys["net"])) }
      findings += unrest(try run.plan(change.final))
      if wasKilled {
        try SoakReport.add(["cut_points": 1, "cut_violations": findings.isEmpty ? 0 : 1])
      }
      if !findings.isEmpty {
        Issue.record("killed before step \(step): \(findings)")
        return
      }
      if !wasKilled { return print("\(change.testDescription): \(step - 1) cut points") }
    }
    Issue.record("it never ends")
  }

  /// Stores that disagree, which an apply repairs without asking the guest.
  enum Drift: String, CaseIterable {
    case claimMissing, unsaved, savedAlone, unrecorded, recordedAlone, staleClaim, leakedBackEnd

    func make(in model: ModelHost, _ key: DomainKey) throws {
      let (one, three, gone) = (Sample.address(1), Sample.address(3), StorePath.backEnd(DomainID(99)).text)
      let saved = try SavedConfiguration(try #require(try model.host.userdata.savedConfiguration(of: key)))
      switch self {
      case .claimMissing: model.store[StorePath.claim(one).text] = nil
      case .unsaved: model.setSaved(key, try saved.removing([one]).bytes)
      case .savedAlone:
        model.setSaved(key, try saved.adding([SavedDevice(address: three, options: DeviceOptions())]).bytes)
      case .unrecorded: try model.host.ownership.update(key.uuid) { $0 = nil }
      case .recordedAlone: try model.host.ownership.update(key.uuid) { $0?.devices.append(three) }
      case .staleClaim: model.store[StorePath.claim(three).text] = "99"
      case .leakedBackEnd:
        for (name, value) in ["state": "6", "num_devs": "0", "online": "0"] { model.store["\(gone)/\(name)"] = value }
      }
    }
  }

  @Test(arguments: Drift.allCases)
  func `a killed run's repair is made by the next run`(_ drift: Drift) throws {
    let change = try #require(Self.changes.first)
    for step in 1..<100 {
      let (model, keys) = change.makeHost()
      let run = Run(model: model)
      try run.apply(change.final)
      try drift.make(in: model, try #require(keys["net"]))
      let plan = try run.plan(change.final)
      #expect(!unrest(plan).isEmpty, "nothing is to be repaired")
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      let wasKilled = model.restart()
      let findings =
        failures(try run.apply(change.final)) + change.disagreements(model, keys) + unrest(try run.plan(change.final))
      if wasKilled { try SoakReport.add(["cut_points": 1, "cut_violations": findings.isEmpty ? 0 : 1]) }
      if !findings.isEmpty { Issue.record("killed before step \(step): \(findings)") }
      if !wasKilled { return }
    }
    Issue.record("it never ends")
  }
}
