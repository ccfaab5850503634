import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// A change that is made repeatedly, each time by a process that meets a blow at another cut point.
struct CutTrials {
  /// What happens at the cut point.
  enum Blow: Sendable {
    /// The process is killed.
    case kill
    /// This process, the store, is stopped, until the apply has ended.
    case stopStore(Int32)
    /// The store ends, and another one with the same nodes is started.
    case restartStore
  }

  let change: CutTests.Change
  let host: TestHost
  let manifest: String
  let blow: Blow
  var struck = 0
  var violations = 0

  private var words: [String] {
    let words = ["apply", manifest, "--yes", "-o", "json", "--lock-timeout", "10m"]
    return switch blow {
    case .kill: words + ["--wait-timeout", "60s"]
    case .stopStore, .restartStore: words + ["--wait-timeout", "3s", "--store-timeout", "1s"]
    }
  }

  /// Returns the calls of an undisturbed run.
  func calls() async throws -> [VisibleCall] {
    try await prepare()
    let (whole, calls) = try await host.berth(words, cutAt: nil)
    guard whole.status == 0 else { throw Odd(description: "nothing was cut: \(whole.output)\(whole.errors)") }
    return calls
  }

  /// Strikes a process at a cut point, and checks that one clean run leaves nothing unfinished. Returns the call at which
  /// the process was struck.
  ///
  /// Returns nil if the process ended earlier: the number of calls differs a little between runs. Returns nil also if
  /// so much is already wrong that further trials would not help.
  @discardableResult
  mutating func strike(at point: CutPoint) async throws -> VisibleCall? {
    guard violations < 5, !(change.isCold && violations > 0) else { return nil }
    try await prepare()
    let call: VisibleCall?
    var findings: [String] = []
    switch blow {
    case .kill: call = try await kill(at: point)
    case .stopStore(let process): (call, findings) = try await stop(process, at: point)
    case .restartStore: (call, findings) = try await restart(at: point)
    }
    guard let call else { return nil }
    struck += 1
    findings += try await self.findings()
    if findings.isEmpty { return call }
    violations += 1
    Issue.record("struck \(point.isAfter ? "after" : "before") \(call): \(findings)")
    // The guest is replaced, whatever state the old one was left in. A guest that never ran cannot be created a second
    // time.
    if !change.isCold {
      try await host.change("destroy", "net")
      try await host.change("start-domain", "net")
    }
    return call
  }

  /// Kills the process. Returns nil if it ended before the cut point.
  private func kill(at point: CutPoint) async throws -> VisibleCall? {
    let (run, calls) = try await host.berth(words, cutAt: point)
    guard run.status == 128 + SIGKILL else {
      guard run.status == 0 else { throw Odd(description: "not killed: \(run.output)\(run.errors)") }
      return nil
    }
    guard let call = calls.first(where: { $0.number == point.number }) else {
      throw Odd(description: "killed at \(point), and that call is not noted")
    }
    return call
  }

  /// Stops the store. Returns nil if the process ended before the cut point, and what is wrong with the process's end.
  private func stop(_ store: Int32, at point: CutPoint) async throws -> (call: VisibleCall?, findings: [String]) {
    let (run, calls) = try await host.berth(words, cutAt: point, stopping: store)
    let locks = try host.libxlLocks()
    _ = Glibc.kill(store, SIGCONT)
    var findings = locks.map { "left: \($0)" }
    // Done, unknown, or nothing begun: a store that does not answer is no failure of the change.
    if ![0, 7, 69].contains(run.status) {
      findings.append("the apply ended with \(run.status): \(run.output)\(run.errors)")
    }
    return (calls.first { $0.number == point.number }, findings)
  }

  /// Restarts the store. Returns nil if the process ended before the cut point, and what is wrong with the process's end.
  private func restart(at point: CutPoint) async throws -> (call: VisibleCall?, findings: [String]) {
    let (run, calls, wasStopped) = try await host.berth(
      words, stoppedAt: point, during: ["sandbox", "restart-store"])
    guard wasStopped else { return (nil, []) }
    var findings = try host.libxlLocks().map { "left: \($0)" }
    // Its connection has ended, so the change is unknown, or was not begun; or it had nothing more to ask.
    if ![0, 7, 69].contains(run.status) {
      findings.append("the apply ended with \(run.status): \(run.output)\(run.errors)")
    }
    return (calls.first { $0.number == point.number }, findings)
  }

  /// Gives the guest the devices that it has before the change.
  private func prepare() async throws {
    let applied = try await host.apply(["net": change.before], policy: change.policy, name: "before.yaml")
    guard applied.status == 0 else { throw Odd(description: "before the change: \(applied)") }
  }

  /// Returns what is wrong after one clean run.
  private func findings() async throws -> [String] {
    let clean = try await host.apply(manifest)
    var findings = clean.status == 0 ? [] : ["the clean run: \(clean)"]
    findings += try await host.findings("net", change.kind, change.after, isCold: change.isCold)
    findings += try await unsavedPlaces()
    findings += try host.leftFiles()
    if change.isOnHost { findings += try host.wrongDrivers(addresses(change.after)) }
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
    try names("run/berth/intents")
      + names("var/lib/berth/domains").filter { $0.hasSuffix(".lock") || $0.contains("/.") }
      + names("var/lib/xen").filter { $0.contains("userdata-n.") }
  }

  /// Returns the files of libxl's locks.
  fileprivate func libxlLocks() throws -> [String] {
    try names("var/lib/xen").filter { $0.contains("userdata-l.") }
  }

  private func names(_ folder: String) throws -> [String] {
    let path = "\(directory)/root/\(folder)"
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: path).sorted().map { "\(folder)/\($0)" }
  }
}
