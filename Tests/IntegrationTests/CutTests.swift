import TestSupport
import Testing

/// The process is killed before and after each call by which it changes what others see. That includes the calls within
/// one step: a temporary file and its rename, a lock and its release, a request and its answer.
struct CutTests {
  struct Change: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var kind = Kind.pv
    var before: [Int]
    var after: [Int]
    var isCold = false
    /// All of the devices then become permissive.
    var changesOptions = false
    /// A driver of dom0 has all devices at first, and gets back those that are not declared.
    var isOnHost = false

    init(_ name: String, _ before: [Int], _ after: [Int], kind: Kind = .pv) {
      (testDescription, self.before, self.after, self.kind) = (name, before, after, kind)
    }

    var options: String? { changesOptions ? "permissive: true" : nil }
    var policy: String? { isOnHost ? "{afterDetach: restore}" : nil }
    var scenario: String {
      let domain = kind.domain("net", 5, isCold ? "lifecycle: cold" : "")
      guard isOnHost else { return TestScenario.host(devices: 4, [domain]) }
      return TestScenario.host(devices: 0, extraDevices: (0..<4).map(TestScenario.hostDevice), [domain])
    }
  }

  static let changes: [Change] = {
    var reattach = Change("reattach", [0, 1], [0, 1])
    reattach.changesOptions = true
    var cold = Change("cold attach", [0], [0, 1])
    cold.isCold = true
    var (prepare, release) = (Change("prepare and attach", [], [0, 1]), Change("detach and release", [0, 1], []))
    (prepare.isOnHost, release.isOnHost) = (true, true)
    return [
      Change("first attach", [], [0, 1]), Change("later attach", [0], [0, 1, 2]),
      Change("detach some", [0, 1, 2], [0, 2]), Change("detach all", [0, 1], []), reattach, cold,
      Change("HVM attach", [], [0, 1], kind: .hvm), Change("HVM detach", [0, 1], [1], kind: .hvm),
      prepare, release,
    ]
  }()

  /// The number of cut points tried per change if not all are tried.
  private static let sample = 6

  @Test(arguments: CutTests.changes, bothStores)
  func `one clean run after a killed process leaves nothing unfinished`(
    _ change: Change, _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(change.scenario, store) { host in
      let manifest = try host.manifest(
        ["net": addresses(change.after)], options: change.options, policy: change.policy, name: "after.yaml")
      var trials = CutTrials(change: change, host: host, manifest: manifest, blow: .kill)
      if SoakReport.isSoak {
        var number = 1
        while let call = try await trials.strike(at: CutPoint(number: number)) {
          if call.endsMessage { try await trials.strike(at: CutPoint(number: number, isAfter: true)) }
          number += 1
        }
      } else {
        for point in CutPoint.sample(of: try await trials.calls(), Self.sample) { try await trials.strike(at: point) }
      }
      // A library that was not loaded kills nothing, and the test would pass.
      #expect(trials.struck > 0)
      try SoakReport.add(["cut_points": trials.struck, "cut_violations": trials.violations])
      print("\(change.testDescription), \(store.rawValue): \(trials.struck) cut points of the process")
    }
  }
}
