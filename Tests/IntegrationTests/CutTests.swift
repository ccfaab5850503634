import Core
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// The process is killed before and after each call by which it changes what others see, also between the calls of one
/// step: a temporary file and its rename, a lock and its release, a request and its answer.
struct CutTests {
  struct Change: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var kind = Kind.pv
    var before: [Int]
    var after: [Int]
    var isCold = false
    /// All of them are to be permissive then.
    var changesOptions = false

    init(_ name: String, _ before: [Int], _ after: [Int], kind: Kind = .pv) {
      (testDescription, self.before, self.after, self.kind) = (name, before, after, kind)
    }

    var options: String? { changesOptions ? "permissive: true" : nil }
    var scenario: String { TestScenario.host(devices: 4, [kind.domain("net", 5, isCold ? "lifecycle: cold" : "")]) }
  }

  static let changes: [Change] = {
    var reattach = Change("reattach", [0, 1], [0, 1])
    reattach.changesOptions = true
    var cold = Change("cold attach", [0], [0, 1])
    cold.isCold = true
    return [
      Change("first attach", [], [0, 1]), Change("later attach", [0], [0, 1, 2]),
      Change("detach some", [0, 1, 2], [0, 2]), Change("detach all", [0, 1], []), reattach, cold,
      Change("HVM attach", [], [0, 1], kind: .hvm), Change("HVM detach", [0, 1], [1], kind: .hvm),
    ]
  }()

  /// How many points of each change are tried where not all are.
  private static let sample = 6

  @Test(arguments: CutTests.changes, bothStores)
  func `one clean run after a killed process leaves nothing behind`(
    _ change: Change, _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(change.scenario, store) { host in
      let manifest = try host.manifest(["net": addresses(change.after)], options: change.options, name: "after.yaml")
      let words = ["apply", manifest, "--yes", "-o", "json", "--wait-timeout", "60s", "--lock-timeout", "60s"]
      try await prepare(change, host)
      let (whole, calls) = try await host.berth(words, cutAt: nil)
      #expect(whole.status == 0, "\(whole.output)\(whole.errors)")
      let all = CutPoint.all(of: calls)
      var points = all
      if !SoakReport.isSoak {
        points = (0..<Self.sample).map { all[$0 * all.count / Self.sample] }
      }
      var tried = 0
      var violations = 0
      for point in points {
        try await prepare(change, host)
        let (killed, begun) = try await host.berth(words, cutAt: point)
        // The order of calls may differ a little from run to run, and so their number.
        guard killed.status == 128 + SIGKILL else {
          #expect(killed.status == 0, "not killed \(point): \(killed.output)\(killed.errors)")
          continue
        }
        tried += 1
        let findings = try await findings(change, manifest, host)
        if findings.isEmpty { continue }
        violations += 1
        var place = point
        place.call = begun.first { $0.number == point.call.number } ?? point.call
        Issue.record("killed \(place): \(findings)")
        // A new guest, whatever state the old one was left in; one that has not run cannot be made a second time.
        guard violations < 5, !change.isCold else { break }
        try await host.change("destroy", "net")
        try await host.change("start-domain", "net")
      }
      try SoakReport.add(["cut_points": tried, "cut_violations": violations])
      print("\(change.testDescription), \(store.rawValue): \(tried) of \(all.count) cut points of the process")
    }
  }

  /// Gives the guest what it has before the change.
  private func prepare(_ change: Change, _ host: TestHost) async throws {
    let applied = try await host.apply(["net": change.before], name: "before.yaml")
    guard applied.status == 0 else { throw Odd(description: "before the change: \(applied)") }
  }

  /// What is wrong after one clean run.
  private func findings(_ change: Change, _ manifest: String, _ host: TestHost) async throws -> [String] {
    let clean = try await host.apply(manifest)
    var findings = clean.status == 0 ? [] : ["the clean run: \(clean)"]
    findings += try await host.findings("net", change.kind, change.after, isCold: change.isCold)
    findings += try host.leftFiles()
    let plan = try await host.berth("plan", manifest, "--detailed-exitcode")
    if plan.status != 0 { findings.append("to do again: \(plan.output)\(plan.errors)") }
    return findings
  }
}

extension TestHost {
  /// Files that only a process at work has: intents, locks of Berth's own, and what has not got its name yet.
  ///
  /// libxl's lock files may stay: the next holder takes them over, which may be an `xl`.
  fileprivate func leftFiles() throws -> [String] {
    func names(_ folder: String) throws -> [String] {
      let path = "\(directory)/root/\(folder)"
      guard FileManager.default.fileExists(atPath: path) else { return [] }
      return try FileManager.default.contentsOfDirectory(atPath: path).sorted().map { "\(folder)/\($0)" }
    }
    return try names("run/berth/intents")
      + names("var/lib/berth/domains").filter { $0.hasSuffix(".lock") || $0.contains("/.") }
      + names("var/lib/xen").filter { $0.contains("userdata-n.") }
  }
}
