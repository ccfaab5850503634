import Glibc
import Model
import TestSupport
import Testing

/// Random limits, and signals at random moments. An apply ends in bounded time with a true exit code and without a crash,
/// and one more apply repairs what is left.
@Suite struct ResourceAttacks {
  private static let count = SoakReport.isSoak ? SoakReport.rounds * 5 : 12
  /// The exit codes that docs/exit-codes.md gives to an apply; 143 and 129 are those of the second signal.
  private static let known: Set<Int32> = [0, 1, 3, 4, 5, 6, 7, 69, 75, 77, 78, 129, 130, 131, 143]

  @Test func `an apply that is short of something ends with the cause, and the next one repairs`() async throws {
    let domains = ["{name: one, domid: 5}", "{name: two, domid: 7}", "{name: three, domid: 9, lifecycle: cold}"]
    try await TestHost.with(TestScenario.host(devices: 6, domains)) { host in
      let base: UInt64 = SoakReport.isSoak ? UInt64.random(in: 0..<1_000_000) : 0
      var failures = 0
      for seed in base..<base + UInt64(Self.count) where failures < 5 {
        let attack = ResourceAttack(seed: seed)
        do {
          for fault in try await Self.faults(of: attack, on: host) {
            failures += 1
            Issue.record("seed \(seed), \(attack.words.joined(separator: " ")): \(fault)")
          }
        } catch {
          failures += 1
          Issue.record("seed \(seed), \(attack.words.joined(separator: " ")): \(error)")
        }
      }
      try SoakReport.add(["attacks": Self.count, "attack_failures": failures])
    }
  }

  private static func faults(of attack: ResourceAttack, on host: TestHost) async throws -> [String] {
    let devices = (0..<6).map(Sample.address)
    let wanted =
      attack.isAttaching
      ? ["one": [devices[0], devices[1]], "two": [devices[2]], "three": [devices[3]]]
      : ["one": [], "two": [], "three": []]
    let manifest = try host.manifest(wanted)
    let limited = Command(
      "prlimit", attack.words + [try builtFile("berth"), "apply", manifest, "--yes", "--wait-timeout", "5s"],
      environment: ["BERTH_SANDBOX": host.directory, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"])
    let result = try await onThread { try attack.run(limited) }
    var faults: [String] = []
    if !known.contains(result.status) { faults.append("exit \(result.status): \(result.output)\(result.errors)") }
    let isCalm = attack.signal == nil
    if isCalm, [129, 130, 143].contains(result.status) { faults.append("exit \(result.status) without a signal") }
    if result.status != 0, result.output.isEmpty, result.errors.isEmpty, isCalm {
      faults.append("exit \(result.status) without a cause")
    }
    // A run that says it is done must be done.
    if result.status == 0 { faults += try await differences(wanted, on: host).map { "exit 0, but \($0)" } }
    let next = try await host.berth("apply", manifest, "--yes")
    if next.status != 0 { faults.append("the next apply ended with \(next.status): \(next.output)\(next.errors)") }
    faults += try await differences(wanted, on: host).map { "after the next apply: \($0)" }
    return faults
  }

  private static func differences(_ wanted: [String: [PCIAddress]], on host: TestHost) async throws -> [String] {
    let view = try await host.status()
    return try wanted.sorted { $0.key < $1.key }.compactMap { name, devices in
      let domain = try view.domain(name)
      // A guest that has not run has no bus yet.
      let found = Set(name == "three" ? domain.assigned : Array(domain.guestDevices.values))
      return found == Set(devices) ? nil : "\(name) has \(found.sorted()), not \(devices)"
    }
  }
}

/// Limits for one apply, and the signals that it gets.
private struct ResourceAttack: Sendable {
  /// The arguments for prlimit(1).
  let words: [String]
  let signal: Int32?
  let isAttaching: Bool
  private let delay: Duration
  private let comesTwice: Bool

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    isAttaching = seed % 2 == 0
    // Consecutive seeds go through all limits, each for an attach and a detach.
    switch seed / 2 % 6 {
    // With less, the dynamic loader ends the program.
    case 0: words = ["--as=\(Int.random(in: 160...600, using: &random) << 20)"]
    case 1: words = ["--nofile=\(Int.random(in: 6...40, using: &random))"]
    // Root is above this limit.
    case 2: words = ["--nproc=\(Int.random(in: 1...4, using: &random))"]
    case 3: words = ["--fsize=\(Int.random(in: 0...600, using: &random))"]
    case 4: words = ["--stack=\(Int.random(in: 256...4096, using: &random) << 10)"]
    default: words = ["--core=0"]
    }
    let signals: [Int32?] = words == ["--core=0"] ? [SIGTERM, SIGINT, SIGHUP] : [nil, nil, SIGTERM]
    signal = signals.randomElement(using: &random) ?? nil
    delay = .milliseconds(Int.random(in: 0...400, using: &random))
    comesTwice = Int.random(in: 0..<3, using: &random) == 0
  }

  /// Runs the command to its end, and sends the signals on the way.
  func run(_ command: Command) throws -> (status: Int32, output: String, errors: String) {
    let process = try command.start()
    let begin = ContinuousClock.now
    if let signal {
      _ = process.collect(until: begin + delay) { _ in false }
      kill(process.pid, signal)
      if comesTwice { kill(process.pid, signal) }
    }
    let hasEnded = process.collect(until: begin + .seconds(60)) { _ in false }
    if !hasEnded { process.end(SIGKILL) }
    try #require(hasEnded, "it did not end: \(process.output)\(process.errors)")
    return (process.waitForExit(), process.output, process.errors)
  }
}
