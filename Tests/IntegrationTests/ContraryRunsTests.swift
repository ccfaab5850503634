import Model
import TestSupport
import Testing

/// Two runs with contrary wishes about one device, which meet at chosen moments.
struct `Contrary runs` {
  /// The number of sandboxes on which delays are tried in parallel: each mostly waits for its guest.
  private static let tracks = 6

  /// `make test` tries each delay on one of the two xenstoreds, `make soak` on both.
  private static let places: [(track: Int, store: TestHost.Store)] = (0..<tracks).flatMap { track in
    let stores = SoakReport.isSoak ? bothStores : [bothStores[track % bothStores.count]]
    return stores.map { (track, $0) }
  }

  @Test(arguments: places)
  func `a removal and its revert at any moment end in one of the two states`(
    _ track: Int, _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(
      TestScenario.host(devices: 2, ["{name: net, domid: 5, answers: slow, delay: 1s}"]), store
    ) { host in
      var meetings = HistoryHost(host, .pv, ["net"], devices: 2)
      let (without, with) = (["net": Self.devices([1])], ["net": Self.devices([0, 1])])
      var (tried, violations) = (0, 0)
      for delay in stride(from: 50 * track, through: 2000, by: 50 * Self.tracks)
      where violations < HistoryHost.mostViolations {
        tried += 1
        let isViolated = try await meetings.isViolated(
          "\(store.rawValue), the revert after \(delay) ms", from: with,
          [.init(delay: .zero, manifest: without), .init(delay: .milliseconds(delay), manifest: with)])
        if isViolated { violations += 1 }
      }
      try SoakReport.add(["histories": tried, "history_violations": violations])
    }
  }

  @Test(arguments: bothStores)
  func `a device that two manifests give to different guests ends no guest's bus`(_ store: TestHost.Store) async throws
  {
    let domains = [
      "{name: one, domid: 1, answers: slow, delay: 50ms}", "{name: two, domid: 2, answers: slow, delay: 50ms}",
    ]
    try await TestHost.with(TestScenario.host(devices: 3, domains), store) { host in
      var meetings = HistoryHost(host, .pv, ["one", "two"], devices: 3)
      let inOne = ["one": Self.devices([1, 0]), "two": Self.devices([2])]
      let inTwo = ["one": Self.devices([1]), "two": Self.devices([2, 0])]
      var random = SeededGenerator(seed: 1)
      let rounds = SoakReport.isSoak ? SoakReport.rounds : 5
      var (tried, violations) = (0, 0)
      for round in 0..<rounds where violations < HistoryHost.mostViolations {
        tried += 1
        let (first, second) = (Int.random(in: 0...150, using: &random), Int.random(in: 0...150, using: &random))
        let isViolated = try await meetings.isViolated(
          "\(store.rawValue), round \(round)", from: round.isMultiple(of: 2) ? inOne : inTwo,
          [
            .init(delay: .milliseconds(first), manifest: inOne), .init(delay: .milliseconds(second), manifest: inTwo),
          ])
        if isViolated { violations += 1 }
      }
      try SoakReport.add(["histories": tried, "history_violations": violations])
    }
  }

  private static func devices(_ numbers: [Int]) -> [PCIAddress: DeviceOptions] {
    Dictionary(uniqueKeysWithValues: addresses(numbers).map { ($0, DeviceOptions()) })
  }
}
