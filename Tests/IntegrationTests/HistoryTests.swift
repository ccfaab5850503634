import Model
import TestSupport
import Testing

/// Random concurrent runs with contrary wishes: some order of them must explain every report.
struct HistoryTests {
  /// The number of histories per kind of domain and xenstored.
  private static let count = SoakReport.isSoak ? SoakReport.rounds : 4

  @Test(arguments: [Kind.pv, .hvm, .stub], bothStores)
  func `some order of the runs explains every report and the state found`(
    _ kind: Kind, _ store: TestHost.Store
  ) async throws {
    // One domain is slower, so that the work in the two ends at different times.
    let domains = [
      kind.domain("one", 5, "answers: slow, delay: 150ms"), kind.domain("two", 7, "answers: slow, delay: 60ms"),
    ]
    try await TestHost.with(TestScenario.host(devices: 3, domains), store) { host in
      var meetings = HistoryHost(host, kind, ["one", "two"], devices: 3)
      var (tried, violations) = (0, 0)
      let base = Self.seeds(kind, store)
      while tried < Self.count, violations < HistoryHost.mostViolations {
        let seed = base + UInt64(tried)
        let plan = RandomMeeting(seed: seed, kind: kind)
        tried += 1
        let what = "\(kind.testDescription), \(store.rawValue), seed \(seed)"
        if try await meetings.isViolated(what, from: plan.start, plan.wishes) { violations += 1 }
      }
      print(
        "\(kind.testDescription), \(store.rawValue): histories of seeds \(base)..<\(base + UInt64(tried)), "
          + "\(violations) without an order; runs by exit status: "
          + meetings.statuses.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", "))
      try SoakReport.add(["histories": tried, "history_violations": violations])
    }
  }

  /// Each sandbox has its own seeds, so that no two try the same histories.
  private static func seeds(_ kind: Kind, _ store: TestHost.Store) -> UInt64 {
    let kinds: [Kind] = [.pv, .hvm, .stub]
    let number = (kinds.firstIndex(of: kind) ?? 0) * bothStores.count + (bothStores.firstIndex(of: store) ?? 0)
    return UInt64(number) * 1_000_000
  }
}

/// Runs with contrary manifests, drawn from a seed.
private struct RandomMeeting {
  /// How the runs' wishes for devices relate to each other.
  private enum Shape: CaseIterable {
    case attachAndDetach, moveAndDetach, moveAndBack, options, crossed, anything
  }

  let start: History.Manifest
  let wishes: [HistoryHost.Wish]

  init(seed: UInt64, kind: Kind) {
    var random = SeededGenerator(seed: seed)
    // The seeds of a sandbox go through all shapes in turn.
    let shape = Shape.allCases[Int(seed % UInt64(Shape.allCases.count))]
    var draft = Draft(random: random, kind: kind)
    let manifests = draft.manifests(shape)
    random = draft.random
    start = draft.start
    // Some runs begin together, and observe the same state.
    let spread = [20, 400, 400].randomElement(using: &random) ?? 400
    wishes = manifests.shuffled(using: &random).map { manifest in
      HistoryHost.Wish(delay: .milliseconds(Int.random(in: 0...spread, using: &random)), manifest: manifest)
    }
  }

  /// The draws so far. No run takes the last device from its domain, because the domain's bus must survive.
  private struct Draft {
    var random: SeededGenerator
    let kind: Kind
    var start: History.Manifest = ["one": [:], "two": [:]]
    private let device = Sample.address(0)
    private let other = Sample.address(1)
    private let bystander = Sample.address(2)

    init(random: SeededGenerator, kind: Kind) { (self.random, self.kind) = (random, kind) }

    mutating func manifests(_ shape: Shape) -> [History.Manifest] {
      let home = Bool.random(using: &random) ? "one" : "two"
      let away = home == "one" ? "two" : "one"
      start[home]?[bystander] = DeviceOptions()
      if Bool.random(using: &random) { start[away]?[other] = DeviceOptions() }
      var manifests: [History.Manifest]
      switch shape {
      case .attachAndDetach:
        if Bool.random(using: &random) { start[home]?[device] = DeviceOptions() }
        manifests = [base([home], home: device), base([home])]
      case .moveAndDetach:
        start[home]?[device] = DeviceOptions()
        // A look between the two halves of the move finds the device in neither domain.
        manifests = [base([home, away], away: device), base(Bool.random(using: &random) ? [home] : [home, away])]
      case .moveAndBack:
        start[Bool.random(using: &random) ? home : away]?[device] = DeviceOptions()
        manifests = [base([home, away], home: device), base([home, away], away: device)]
      case .options:
        start[home]?[device] = DeviceOptions()
        manifests = [base([home], home: device), base([home], home: device)]
        manifests[0][home]?[device] = options(true)
        manifests[1][home]?[device] = options(Bool.random(using: &random))
      case .crossed:
        // An order per domain is easy to find; the runs must have one order for both domains.
        if Bool.random(using: &random) { start[home]?[device] = DeviceOptions() }
        manifests = [base([home, away], home: device), base([home, away])]
        manifests[0][away]?[other] = nil
        manifests[1][away]?[other] = DeviceOptions()
      case .anything:
        start[home]?[device] = DeviceOptions()
        manifests = [anything(), anything()]
      }
      while manifests.count < 4, Int.random(in: 0..<3, using: &random) == 0 { manifests.append(anything()) }
      return manifests

      /// Returns the start without the device, in some of the domains. The device is included if it is given.
      func base(_ names: [String], home homeDevice: PCIAddress? = nil, away awayDevice: PCIAddress? = nil)
        -> History.Manifest
      {
        var manifest = start.filter { names.contains($0.key) }
        for name in names { manifest[name]?[device] = nil }
        if let homeDevice { manifest[home]?[homeDevice] = DeviceOptions() }
        if let awayDevice { manifest[away]?[awayDevice] = DeviceOptions() }
        return manifest
      }
    }

    /// Returns each device anywhere or nowhere: in one domain, in the other, or in both.
    private mutating func anything() -> History.Manifest {
      let names = [["one"], ["two"], ["one", "two"], ["one", "two"]].randomElement(using: &random) ?? ["one"]
      var manifest: History.Manifest = [:]
      for name in names { manifest[name] = start[name]?.filter { $0.key == bystander } ?? [:] }
      for device in [device, other] where Int.random(in: 0..<3, using: &random) > 0 {
        let name = names.randomElement(using: &random) ?? "one"
        manifest[name]?[device] = options(Int.random(in: 0..<4, using: &random) == 0)
      }
      return manifest
    }

    private mutating func options(_ isSpecial: Bool) -> DeviceOptions {
      guard isSpecial else { return DeviceOptions() }
      let isPermissive = kind.hasDeviceModel || Bool.random(using: &random)
      return DeviceOptions(permissive: isPermissive, msiTranslate: !isPermissive)
    }
  }
}
