import FoundationEssentials
import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing

/// The results of the runs of one world.
final class Endings: Sendable {
  private let endings = Mutex<[String: ModelXl.Ending]>([:])
  func put(_ ending: ModelXl.Ending, _ name: String) { endings.withLock { $0[name] = ending } }
  func of(_ name: String) -> ModelXl.Ending? { endings.withLock { $0[name] } }
}

/// Every meeting of runs, step by step, up to a number of switches between them.
@Suite struct ExplorerTests {
  /// The programs that work at the same time, and the declaration at the end.
  struct Meeting: CustomTestStringConvertible, Sendable {
    enum Work: Sendable {
      case apply([Int])
      case attach(Int)
      case detach(Int)
      var isBerth: Bool { if case .apply = self { true } else { false } }
    }
    var testDescription: String
    var before: [Int]
    var works: [Work]
    /// The declaration at the end.
    var after: [Int]
    /// Whether only Berth is at work.
    var isOwn: Bool { works.allSatisfy(\.isBerth) }
    /// The devices that some run of Berth is to attach.
    var ownDevices: Set<Int> {
      Set(works.flatMap { work -> [Int] in if case .apply(let numbers) = work { numbers } else { [] } })
    }
    init(_ name: String, _ before: [Int], _ works: [Work], _ after: [Int]) {
      (testDescription, self.before, self.works, self.after) = (name, before, works, after)
    }
  }

  static let domain: UInt32 = 5
  static let options = ApplyOptions.hasty

  static func makeHost(_ rule: ModelStore.Rule) -> (ModelHost, DomainKey) {
    let model = ModelHost(rule: rule)
    let key = model.addDomain(domain, "net")
    for number in 1...4 { model.addDevice(Sample.address(number), interrupt: 17) }
    return (model, key)
  }

  /// Two attaches by xl. If both succeed, both devices must be listed, and the guest must have them.
  static func xlWorld(_ rule: ModelStore.Rule, before: [Int]) throws -> World {
    let (model, key) = makeHost(rule)
    try Run(model: model, options: options).apply(Sample.desired(["net": before.map(Sample.address)]))
    let endings = Endings()
    let actors = [(1, "xl-A"), (2, "xl-B")].map { number, name in
      Actor(name) { endings.put(ModelXl(model, key, Sample.address(number)).attach(), name) }
    }
    return World(model: model, actors: actors) {
      [(1, "xl-A"), (2, "xl-B")].flatMap { number, name -> [String] in
        guard endings.of(name) == .success else { return [] }
        let device = Sample.address(number)
        var found: [String] = []
        if !model.listed(domain).contains(device) {
          found.append("\(name) reported success, and \(device) is not listed")
        }
        if !model.exports(to: domain).contains(device) {
          found.append("\(name) reported success, and the guest does not have \(device)")
        }
        return found
      }
    }
  }

  @Test(arguments: ModelStore.Rule.allCases, [[], [3]])
  func `libxl's own algorithm loses a device, and the explorer finds it`(
    _ rule: ModelStore.Rule, _ before: [Int]
  ) throws {
    var explorer = Explorer { try ExplorerTests.xlWorld(rule, before: before) }
    try explorer.explore(bound: 2)
    let example = try #require(explorer.shortest)
    guard before == [3] else { return }
    let manual = try protocolText()
    #expect(manual.contains("\(example)"), "docs/protocol.md has another counterexample")
  }

  static func world(_ meeting: Meeting, _ rule: ModelStore.Rule) throws -> World {
    let (model, key) = makeHost(rule)
    let run = Run(model: model, options: options)
    try run.apply(Sample.desired(["net": meeting.before.map(Sample.address)]))
    let endings = Endings()
    let actors = try meeting.works.enumerated().map { index, work in
      let name = "\(work.isBerth ? "Berth" : "xl")-\(index + 1)"
      switch work {
      case .apply(let numbers):
        let plan = try run.plan(Sample.desired(["net": numbers.map(Sample.address)]))
        return Actor(name) { _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan) }
      case .attach(let number):
        return Actor(name) { endings.put(ModelXl(model, key, Sample.address(number)).attach(), "attach \(number)") }
      case .detach(let number):
        return Actor(name) { endings.put(ModelXl(model, key, Sample.address(number)).detach(), "detach \(number)") }
      }
    }
    return World(model: model, actors: actors) { judge(meeting, model, key, endings) }
  }

  /// Returns what is wrong after a meeting, and after the audit that follows it.
  static func judge(_ meeting: Meeting, _ model: ModelHost, _ key: DomainKey, _ endings: Endings) -> [String] {
    var findings: [String] = []
    if meeting.isOwn {
      findings += model.exports(to: domain).subtracting(model.listed(domain)).sorted()
        .map { "\($0) is exported and not listed" }
    }
    // A failed xl attach may leave the device assigned without any record, and its rights granted.
    let given = meeting.works.compactMap { work -> Int? in
      guard case .attach(let number) = work, endings.of("attach \(number)") != .success else { return nil }
      return meeting.ownDevices.contains(number) ? nil : number
    }
    let after = meeting.after.filter { !given.contains($0) }.map(Sample.address)
    // xl revokes an interrupt line from all devices that share it, without a trace.
    let hasDetach = meeting.works.contains { if case .detach = $0 { true } else { false } }
    do {
      var run = Run(model: model, options: options)
      run.options.audits = true
      let final = Sample.desired(["net": after])
      let outcome = try run.apply(final)
      findings += outcome.domains.compactMap(\.failure?.plain)
      findings += outcome.domains.flatMap(\.steps).filter { $0.result != .done && $0.result != .unchanged }
        .map { "\($0.action) \($0.device) \($0.result): \($0.detail?.plain ?? "")" }
      findings += disagreements(model, key, after, among: (1...4).filter { !given.contains($0) }.map(Sample.address))
        .filter { !(hasDetach && $0.hasPrefix("interrupt") || !given.isEmpty && $0.hasPrefix("granted")) }
      let third = try run.plan(final)
      findings += third.steps.filter { $0.isChange || $0.action == .blocked }.map {
        "again \($0.action) \($0.device) \($0.kind.name)"
      }
      findings += third.bookkeeping.map { "again \($0)" }
      // A gap or a twin from xl's stale index: every further change is refused until the domain is restarted.
      let named = third.steps.filter { [.blocked(.corruptBackEnd), .blocked(.busClosing)].contains($0.kind) }
      // xl's blind writes to a back end that is gone leave no count and no path, so no bus for anybody.
      if after.isEmpty, model.node(domain, "num_devs") == nil, model.node(domain, "frontend") == nil {
        findings = findings.map { $0.hasPrefix("bus: ") ? "\(Explorer.refused)a zombie, \($0)" : $0 }
      }
      if !named.isEmpty { return named.map { "\(Explorer.refused)\($0.kind.name): \($0.evidence ?? "")" } }
    } catch {
      findings.append("\(error)")
    }
    return findings
  }

  static let ownMeetings: [Meeting] = [
    Meeting("the same first attach", [], [.apply([1, 2]), .apply([1, 2])], [1, 2]),
    Meeting("different first attaches", [], [.apply([1]), .apply([1, 2])], [1, 2]),
    Meeting("different later attaches", [3], [.apply([1, 3]), .apply([2, 3])], [2, 3]),
    Meeting("attach and detach", [1, 2], [.apply([1, 2, 3]), .apply([2])], [2]),
    Meeting("last detach and attach", [1], [.apply([]), .apply([1, 2])], [1, 2]),
  ]
  static let mixedMeetings: [Meeting] = [
    Meeting("first attach beside xl pci-attach", [], [.apply([1]), .attach(2)], [1, 2]),
    Meeting("later attach beside xl pci-attach", [3], [.apply([1, 3]), .attach(2)], [1, 2, 3]),
    Meeting("detach beside xl pci-attach", [1, 3], [.apply([3]), .attach(2)], [2, 3]),
    Meeting("last detach beside xl pci-attach", [1], [.apply([]), .attach(2)], [2]),
    Meeting("attach beside xl pci-detach", [2, 3], [.apply([1, 2, 3]), .detach(2)], [1, 3]),
    Meeting("detach beside xl pci-detach", [1, 2, 3], [.apply([2, 3]), .detach(2)], [3]),
    Meeting("attach beside the last xl pci-detach", [2], [.apply([1, 2]), .detach(2)], [1]),
    Meeting("first attach beside xl pci-attach of the same", [], [.apply([1]), .attach(1)], [1]),
    Meeting("later attach beside xl pci-attach of the same", [3], [.apply([1, 3]), .attach(1)], [1, 3]),
    Meeting("detach beside xl pci-detach of the same", [1, 3], [.apply([3]), .detach(1)], [3]),
    Meeting("last detach beside xl pci-detach of the same", [1], [.apply([]), .detach(1)], []),
  ]

  /// Tries the schedules of one meeting.
  private func explore(_ meeting: Meeting, _ rule: ModelStore.Rule, kernelsSettle: Bool) throws -> Explorer {
    // Another toolstack reads none of Berth's own files, so it cannot see them.
    let kinds = meeting.isOwn ? Set(StepKind.allCases) : Set(StepKind.allCases).subtracting([.record])
    var explorer = Explorer(kernelsSettle: kernelsSettle, kinds: kinds) { try ExplorerTests.world(meeting, rule) }
    let isLong = SoakReport.rounds > 2
    // Every schedule with one switch is tried immediately; of the others, a sample.
    try explorer.explore(
      bound: isLong ? 2 : 1, limit: isLong ? 60 * SoakReport.rounds : kernelsSettle ? 100 : 30)
    try explorer.wander(seeds: 0..<UInt64(isLong ? 10 * SoakReport.rounds : 5))
    return explorer
  }

  @Test(arguments: ExplorerTests.ownMeetings + ExplorerTests.mixedMeetings, ModelStore.Rule.allCases)
  func `one audit after any meeting with few switches leaves nothing wrong`(
    _ meeting: Meeting, _ rule: ModelStore.Rule
  ) async throws {
    for kernelsSettle in [true, false] {
      let explorer = try await onThread { [self] in try explore(meeting, rule, kernelsSettle: kernelsSettle) }
      try SoakReport.add([
        "interleavings": explorer.schedules, "interleaving_violations": explorer.violations,
        "interleaving_refusals": explorer.refusals,
      ])
      if SoakReport.rounds > 2 {
        print(
          "\(meeting.testDescription), \(rule), kernels \(kernelsSettle ? "at once" : "in their time"):",
          "\(explorer.perBound) \(explorer.schedules) schedules, \(explorer.violations) violations,",
          "\(explorer.refusals) refusals")
      }
      if meeting.isOwn { #expect(explorer.refusals == 0) }
      if let example = explorer.shortest { Issue.record("\(example)") }
    }
  }
}

private func protocolText() throws -> String {
  let text = FileManager.default.contents(atPath: repositoryRoot + "/docs/protocol.md")
  return String(decoding: try #require(text), as: UTF8.self)
}
