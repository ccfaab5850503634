import FoundationEssentials
import Glibc
import Model
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

  /// The number of cut points tried per change if not all are tried.
  private static let sample = 6

  @Test(arguments: CutTests.changes, bothStores)
  func `one clean run after a killed process leaves nothing unfinished`(
    _ change: Change, _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(change.scenario, store) { host in
      let manifest = try host.manifest(["net": addresses(change.after)], options: change.options, name: "after.yaml")
      var trials = Trials(change: change, host: host, manifest: manifest)
      if SoakReport.isSoak {
        var number = 1
        while let call = try await trials.kill(at: CutPoint(number: number)) {
          if call.endsMessage { try await trials.kill(at: CutPoint(number: number, isAfter: true)) }
          number += 1
        }
      } else {
        for point in CutPoint.sample(of: try await trials.calls(), Self.sample) { try await trials.kill(at: point) }
      }
      // A library that was not loaded kills nothing, and the test would pass.
      #expect(trials.killed > 0)
      try SoakReport.add(["cut_points": trials.killed, "cut_violations": trials.violations])
      print("\(change.testDescription), \(store.rawValue): \(trials.killed) cut points of the process")
    }
  }
}

/// A change that is made repeatedly, each time by a process that is killed at another cut point.
private struct Trials {
  let change: CutTests.Change
  let host: TestHost
  let manifest: String
  var killed = 0
  var violations = 0

  private var words: [String] {
    ["apply", manifest, "--yes", "-o", "json", "--wait-timeout", "60s", "--lock-timeout", "60s"]
  }

  /// Returns the calls of an undisturbed run.
  func calls() async throws -> [VisibleCall] {
    try await prepare()
    let (whole, calls) = try await host.berth(words, cutAt: nil)
    guard whole.status == 0 else { throw Odd(description: "nothing was cut: \(whole.output)\(whole.errors)") }
    return calls
  }

  /// Kills a process at a cut point, and checks that one clean run leaves nothing unfinished. Returns the call at which
  /// the process was killed.
  ///
  /// Returns nil if the process ended earlier: the number of calls differs a little between runs. Returns nil also if
  /// so much is already wrong that further trials would not help.
  @discardableResult
  mutating func kill(at point: CutPoint) async throws -> VisibleCall? {
    guard violations < 5, !(change.isCold && violations > 0) else { return nil }
    try await prepare()
    let (run, calls) = try await host.berth(words, cutAt: point)
    guard run.status == 128 + SIGKILL else {
      guard run.status == 0 else { throw Odd(description: "not killed: \(run.output)\(run.errors)") }
      return nil
    }
    guard let call = calls.first(where: { $0.number == point.number }) else {
      throw Odd(description: "killed at \(point), and that call is not noted")
    }
    killed += 1
    let findings = try await findings()
    if findings.isEmpty { return call }
    violations += 1
    Issue.record("killed \(point.isAfter ? "after" : "before") \(call): \(findings)")
    // The guest is replaced, whatever state the old one was left in. A guest that never ran cannot be created a second
    // time.
    if !change.isCold {
      try await host.change("destroy", "net")
      try await host.change("start-domain", "net")
    }
    return call
  }

  /// Gives the guest the devices that it has before the change.
  private func prepare() async throws {
    let applied = try await host.apply(["net": change.before], name: "before.yaml")
    guard applied.status == 0 else { throw Odd(description: "before the change: \(applied)") }
  }

  /// Returns what is wrong after one clean run.
  private func findings() async throws -> [String] {
    let clean = try await host.apply(manifest)
    var findings = clean.status == 0 ? [] : ["the clean run: \(clean)"]
    findings += try await host.findings("net", change.kind, change.after, isCold: change.isCold)
    findings += try await unsavedPlaces()
    findings += try host.leftFiles()
    let plan = try await host.berth("plan", manifest, "--detailed-exitcode")
    if plan.status != 0 { findings.append("to do again: \(plan.output)\(plan.errors)") }
    return findings
  }

  /// Returns devices that QEMU shows at other slots than libxl would ask for when the guest starts again.
  private func unsavedPlaces() async throws -> [String] {
    guard change.kind.hasDeviceModel else { return [] }
    let guest = try await host.status().domain("net")
    let shown = (guest.deviceModel?.devices ?? []).compactMap { place in place.address.map { "\($0)@\(place.slot)" } }
    let saved = try host.savedPlaces(of: guest)
    return saved.sorted() == shown.sorted() ? [] : ["saved at \(saved), shown at \(shown)"]
  }
}

extension TestHost {
  /// Returns files that only a running process has: intents, Berth's own locks, and files without a final name.
  ///
  /// Files of libxl's locks may remain: the next process that takes the lock, possibly an `xl`, reuses them.
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
