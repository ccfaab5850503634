import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// Runs that want contrary things at the same time, step by step: an order of the runs must explain every report.
@Suite struct RunOrderTests {
  /// What several runs want at the same time, and what holds before them.
  struct Meeting: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var start: [String: [Int]]
    /// The manifests of the runs, each with the numbers of its devices. A negative number asks for other options.
    var runs: [[String: [Int]]]
    var kind = Change.Kind.pv
    /// What xl does beside the runs, with a device that no manifest names.
    var xl: XlWork?
  }

  enum XlWork: Sendable { case attach, detach }
  /// The device that xl works on.
  static let xlDevice = Sample.address(4)

  static let meetings: [Meeting] = [
    Meeting(testDescription: "detach and attach", start: ["net": [1, 2]], runs: [["net": [1]], ["net": [1, 2]]]),
    Meeting(testDescription: "attach and detach", start: ["net": [1]], runs: [["net": [1, 2]], ["net": [1]]]),
    Meeting(testDescription: "last detach and attach", start: ["net": [1]], runs: [["net": []], ["net": [1, 2]]]),
    Meeting(
      testDescription: "move and detach", start: ["net": [1, 2], "other": []],
      runs: [["net": [1], "other": [2]], ["net": [1], "other": []]]),
    Meeting(
      testDescription: "move and stay", start: ["net": [1], "other": [2]],
      runs: [["net": [], "other": [1, 2]], ["net": [1], "other": [2]]]),
    Meeting(
      testDescription: "moves in contrary directions", start: ["net": [1], "other": [2]],
      runs: [["net": [2], "other": [1]], ["net": [1, 2], "other": []]]),
    Meeting(testDescription: "options and options", start: ["net": [1, 2]], runs: [["net": [-1, 2]], ["net": [1]]]),
    Meeting(
      testDescription: "three runs", start: ["net": [1]], runs: [["net": [1, 2]], ["net": []], ["net": [2, 3]]]),
    Meeting(
      testDescription: "domains in contrary orders", start: ["net": [1], "other": [2]],
      runs: [["net": [1, 3], "other": []], ["net": [], "other": [2, 4]]]),
  ]

  static let besideXl: [Meeting] = [XlWork.attach, .detach].flatMap { work in
    [0, 1, 2].map { number in
      var meeting = meetings[number]
      meeting.xl = work
      meeting.testDescription += " beside xl pci-\(work)"
      return meeting
    }
  }

  static let kinds: [Meeting] = [Change.Kind.deviceModel, .stubDomain, .traditional].flatMap { kind in
    [0, 1, 3, 6].map { number in
      var meeting = meetings[number]
      meeting.kind = kind
      meeting.testDescription = kind.rawValue + meeting.testDescription
      return meeting
    }
  }

  /// A run waits for another one for as long as it takes: how much time has passed is no part of a schedule.
  static let options = ApplyOptions(lockTimeout: .seconds(3600), waitTimeout: .milliseconds(5), workers: 1)

  static func desired(_ domains: [String: [Int]]) -> DesiredState {
    var desired = Sample.desired(
      Dictionary(uniqueKeysWithValues: domains.map { (Name($0), $1.map { Sample.address(abs($0)) }) }))
    // A dictionary's order differs from one instance to the next, and each replay must take the same steps.
    desired.domains.sort { $0.name < $1.name }
    for index in desired.domains.indices {
      for (place, number) in (domains[desired.domains[index].name.text] ?? []).enumerated() where number < 0 {
        desired.domains[index].devices[place].options.msiTranslate = true
      }
    }
    return desired
  }

  /// One whole run: the look that is shown, and what is done of it.
  static func apply(_ desired: DesiredState, to model: ModelHost) throws -> AppliedPlan {
    let observation = try Observer(host: model.host).observe(desired: desired)
    let plan = makePlan(desired: desired, observation: observation)
    return try PlanRunner(host: model.host, options: options) { _ in }
      .apply(ShownPlan(plan: plan, desired: desired, runs: observation.runs))
  }

  /// One run of a Berth that knows no run lock: it carries out the plan of its only look.
  static func applyWithoutRunLock(_ desired: DesiredState, to model: ModelHost) throws -> AppliedPlan {
    let plan = try Run(model: model, options: options).plan(desired)
    return AppliedPlan(plan: plan, outcome: ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan))
  }

  /// Returns the world of a meeting of runs that take run locks, or of runs that know none.
  ///
  /// If `oneSucceeds`, it is a finding if every run fails or refuses: any order would explain that.
  static func world(
    _ meeting: Meeting, _ rule: ModelStore.Rule, takeLocks: Bool, oneSucceeds: Bool
  ) throws -> World {
    let change = Change(
      testDescription: meeting.testDescription, before: [:], killed: [:], after: [:], kind: meeting.kind)
    let (model, keys) = change.makeHost(rule)
    let start = desired(meeting.start)
    try #require(failures(try apply(start, to: model).outcome).isEmpty)
    let net = try #require(keys["net"])
    if meeting.xl == .detach { try #require(ModelXl(model, net, xlDevice).attach() == .success) }
    let reports = Mutex<[Int: History.Run]>([:])
    var actors = meeting.runs.enumerated().map { index, wanted in
      let name = "run \(index + 1)"
      let desired = desired(wanted)
      return Actor(name) {
        do {
          let applied = try takeLocks ? apply(desired, to: model) : applyWithoutRunLock(desired, to: model)
          reports.withLock { $0[index] = History.Run(name, applied, desired, isPlanFresh: takeLocks) }
        } catch {
          reports.withLock { $0[index] = History.Run(name, desired, failure: "\(error)") }
        }
      }
    }
    switch meeting.xl {
    case .attach?: actors.append(Actor("xl") { _ = ModelXl(model, net, xlDevice).attach() })
    case .detach?: actors.append(Actor("xl") { _ = ModelXl(model, net, xlDevice).detach() })
    case nil: break
    }
    return World(model: model, actors: actors) {
      var end = model.placements(keys, meeting.kind)
      // What xl leaves of its own device, and what it overwrites after the last look of a run, is no run's report.
      if meeting.xl != nil { end[xlDevice] = nil }
      let torn = meeting.xl == nil ? [] : end.filter { $0.value.isTorn }.map(\.key)
      for device in torn { end[device] = nil }
      let runs = reports.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
      let history = History(start: History.Placements(start), runs: runs, end: end)
      guard let order = history.explain() else { return ["no order of the runs explains\n\(history.shortest())"] }
      if oneSucceeds, !runs.contains(where: { $0.status == 0 }) {
        return ["no run succeeded\n\(history.shortest())"]
      }
      guard !torn.isEmpty, let last = order.last.flatMap({ runs.firstIndex(of: $0) }) else { return [] }
      return unsettled(desired(meeting.runs[last]), model, keys, meeting)
    }
  }

  /// Returns what is not as declared after one more run has repaired what xl overwrote.
  ///
  /// An xl pci-detach may mark an entry at an index that it has read before: pciback then releases another device. No
  /// store shows that, so a run lists the device again as if the guest still had it. Nor can the run prove what it
  /// attaches beside it: that is unknown, and its intent stays. Such findings have a name.
  private static func unsettled(
    _ desired: DesiredState, _ model: ModelHost, _ keys: [String: DomainKey], _ meeting: Meeting
  ) -> [String] {
    do {
      let outcome = try apply(desired, to: model).outcome
      let wanted = History.Placements(desired)
      let left = model.placements(keys, meeting.kind).filter {
        $0.key != xlDevice && $0.value != .placed(wanted[$0.key])
      }
      let isReleased = meeting.xl == .detach && left.contains { $0.value.withoutIntents == releasedOnly }
      func named(_ finding: String, _ isExplained: Bool) -> String {
        isReleased && isExplained ? Explorer.refused + finding : finding
      }
      return failures(outcome).map { named($0, $0.hasPrefix("attach ") && $0.contains(" unknown: ")) }
        + left.sorted { $0.key < $1.key }.map { device, found in
          named("one more run leaves \(device) \(found)", [releasedOnly, "net"].contains(found.withoutIntents))
        }
    } catch {
      return ["\(error)"]
    }
  }

  /// What is said of a device that every place has except pciback.
  private static let releasedOnly =
    "net, net assigned, net claimed, net not exported, net listed, net recorded, net saved, net taken"

  private func explore(_ meeting: Meeting, _ rule: ModelStore.Rule, takeLocks: Bool) async throws {
    for kernelsSettle in [true, false] {
      let explorer = try await onThread {
        var explorer = Explorer(kernelsSettle: kernelsSettle) {
          // A guest that does not settle, and an xl that pauses half-way, may be too slow for every run.
          try RunOrderTests.world(
            meeting, rule, takeLocks: takeLocks, oneSucceeds: takeLocks && kernelsSettle && meeting.xl == nil)
        }
        let isLong = SoakReport.rounds > 2
        try explorer.explore(
          bound: isLong ? 2 : 1, limit: isLong ? 60 * SoakReport.rounds : kernelsSettle ? 40 : 20)
        try explorer.wander(seeds: 0..<UInt64(isLong ? 10 * SoakReport.rounds : 20))
        return explorer
      }
      try SoakReport.add([
        "interleavings": explorer.schedules, "interleaving_violations": explorer.violations,
      ])
      #expect(explorer.refusals * 20 <= explorer.schedules, "\(explorer.refusals) of \(explorer.schedules)")
      if let example = explorer.shortest { Issue.record("\(explorer.violations) of \(explorer.schedules)\n\(example)") }
    }
  }

  @Test(arguments: RunOrderTests.meetings + RunOrderTests.kinds, ModelStore.Rule.allCases)
  func `an order of the runs explains every report`(_ meeting: Meeting, _ rule: ModelStore.Rule) async throws {
    try await explore(meeting, rule, takeLocks: true)
  }

  /// What xl does to a device of its own neither makes a report false nor changes the order of the runs.
  @Test(arguments: RunOrderTests.besideXl, ModelStore.Rule.allCases)
  func `an order of the runs explains every report beside an xl`(
    _ meeting: Meeting, _ rule: ModelStore.Rule
  ) async throws {
    try await explore(meeting, rule, takeLocks: true)
  }

  /// Two such runs may both report that they detached one device: each has seen the device go. So only two runs meet here.
  @Test(arguments: [0, 1, 2, 6], ModelStore.Rule.allCases)
  func `an order explains every report of runs that know no run lock`(
    _ number: Int, _ rule: ModelStore.Rule
  ) async throws {
    try await explore(RunOrderTests.meetings[number], rule, takeLocks: false)
  }
}

extension History.Found {
  fileprivate var isTorn: Bool { if case .torn = self { true } else { false } }

  /// The words of a device on which the places disagree, but for the intents that name the device; nil if they agree.
  fileprivate var withoutIntents: String? {
    guard case .torn(let words) = self else { return nil }
    return words.split(separator: ", ").filter { !$0.hasPrefix("intent ") }.joined(separator: ", ")
  }
}

extension History.Placements {
  fileprivate init(_ desired: DesiredState) {
    self = [:]
    for domain in desired.domains {
      for device in domain.devices { self[device.address] = History.Placement(domain.name.text, device.options) }
    }
  }
}

extension History.Run {
  fileprivate init(_ name: String, _ desired: DesiredState, failure: String) {
    self.init(name, .zero ... .seconds(1), wants: Self.manifest(desired), status: 1, remarks: [failure])
  }

  /// A run that carries out an older plan says what it did, and not that all is as declared.
  fileprivate init(_ name: String, _ applied: AppliedPlan, _ desired: DesiredState, isPlanFresh: Bool) {
    let outcome = applied.outcome
    let steps = outcome.domains.flatMap { domain in
      domain.steps.map { History.Step(domain.name.text, $0.device, $0.action, $0.result, isUndone: $0.isUndone) }
    }
    let isWhole =
      isPlanFresh && failures(outcome).isEmpty && outcome.notShown.isEmpty && !outcome.wasInterrupted
      && applied.plan.count(.blocked) + applied.plan.count(.pending) == 0
    self.init(
      name, .zero ... .seconds(1), wants: Self.manifest(desired), steps, status: isWhole ? 0 : 1,
      remarks: failures(outcome) + outcome.notShown.map { "not shown: \($0.step.action) \($0.step.device)" })
  }

  private static func manifest(_ desired: DesiredState) -> History.Manifest {
    Dictionary(
      uniqueKeysWithValues: desired.domains.map { domain in
        (domain.name.text, Dictionary(uniqueKeysWithValues: domain.devices.map { ($0.address, $0.options) }))
      })
  }
}

extension ModelHost {
  /// What all stores say of the four devices together.
  fileprivate func placements(_ keys: [String: DomainKey], _ kind: Change.Kind) -> [PCIAddress: History.Found] {
    Dictionary(
      uniqueKeysWithValues: (1...4).map(Sample.address).map { ($0, found($0, keys, kind)) })
  }

  private func found(_ device: PCIAddress, _ keys: [String: DomainKey], _ kind: Change.Kind) -> History.Found {
    var holders: [String] = []
    var words: [String] = []
    for (name, key) in keys.sorted(by: { $0.key < $1.key }) {
      let isHVM = name == "net" && kind != .pv
      let bus = isHVM && kind == .stubDomain ? key.id.rawValue + 10 : key.id.rawValue
      let index = listed(bus).firstIndex(of: device)
      var places = [
        "listed": index != nil, "exported": exports(to: bus).contains(device), "saved": saved(key).contains(device),
        "recorded": recorded(key).contains(device), "assigned": owner(of: device) == key.id,
        "claimed": claim(on: device) == key.id.description,
        "taken": index.map { node(bus, "state-\($0)") == "3" } ?? false,
      ]
      if isHVM { places["emulated"] = emulated(key.id.rawValue).contains(DeviceModelName(device).description) }
      if places.values.contains(true) { holders.append(name) }
      if Set(places.values).count > 1 {
        words += places.sorted { $0.key < $1.key }.map { "\(name) \($0.value ? "" : "not ")\($0.key)" }
      }
    }
    words += openIntents.filter { $0.devices.contains(device) }.map { "intent \($0.identifier)" }
    guard words.isEmpty, holders.count < 2 else { return .torn((holders + words).joined(separator: ", ")) }
    guard let holder = holders.first, let key = keys[holder] else { return .placed(nil) }
    let bus = holder == "net" && kind == .stubDomain ? key.id.rawValue + 10 : key.id.rawValue
    let text = listed(bus).firstIndex(of: device).flatMap { node(bus, "opts-\($0)") }
    return .placed(History.Placement(holder, DeviceOptions(storeText: text, storeVirtualFunction: nil)))
  }
}
