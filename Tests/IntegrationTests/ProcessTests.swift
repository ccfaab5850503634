import Glibc
import Model
import TestSupport
import Testing

/// What the program owes whoever started it: streams, signals, and an exit status that fits the answer.
struct `The process` {
  private let device = Sample.address(0)
  private let scenario = TestScenario.host(["{name: net, domid: 5}", "{name: silent, domid: 6, answers: never}"])

  /// Returns a shell that starts `berth` with these words, and with these redirections.
  private func shell(_ host: TestHost, _ words: [String], _ redirections: String) throws -> Command {
    let berth = try Command.berth(words, environment: ["BERTH_SANDBOX": host.directory])
    return Command(
      "/bin/sh", ["-c", "\"$0\" \"$@\" \(redirections)", berth.program] + berth.arguments,
      environment: berth.environment)
  }

  @Test(arguments: ["<&- >&- 2>&-", ">&-", "2>&-", "<&- 2>&-"])
  func `text for people is never written into a file or socket that the program opened`(_ closed: String) async throws {
    try await TestHost.with(scenario) { host in
      let manifest = try host.manifest(["net": [device]])
      let result = try await shell(host, ["apply", manifest, "--yes", "-v"], closed).run()
      #expect(result.status == 0, "\(result)")
      #expect(try await host.disagreements(of: "net", expecting: [device]) == [])
    }
  }

  @Test func `an answer that was not written whole is no answer`() async throws {
    try await TestHost.with(scenario) { host in
      let manifest = try host.manifest(["net": [device]])
      let plan = ["plan", manifest, "--detailed-exitcode"]
      for (words, redirections, status) in [
        (plan, "> /dev/full", 1), (plan + ["-o", "json"], "> /dev/full", 1), (plan + ["-o", "json"], ">&-", 1),
        (plan, ">&-", 2), (["status"], "> /dev/full", 1), (["validate", manifest, "-o", "jsonl"], "> /dev/full", 1),
        (["plan", "/nowhere.yaml", "-o", "json"], "> /dev/full", 66),
      ] {
        let result = try await shell(host, words, redirections).run()
        #expect(result.status == status, "\(words) \(redirections): \(result)")
      }
      let apply = try await shell(host, ["apply", manifest, "--yes"], "> /dev/full").run()
      #expect(apply.status == 1 && apply.errors.contains("the command itself succeeded"), "\(apply)")
      #expect(try await host.disagreements(of: "net", expecting: [device]) == [])
    }
  }

  @Test(
    arguments: [(["explain"], 0), (["explain", "--all", "-o", "json"], 1), (["explain", "-o", "jsonl"], 1)]
      as [([String], Int32)])
  func `a reader that ends early gets what it wanted from text, and too little of a document`(
    _ words: [String], _ status: Int32
  ) async throws {
    let berth = try Command.berth(words, environment: [:])
    // The reader has ended before the program writes.
    let result = try await Command(
      "/bin/bash", ["-c", "exec 3> >(true); wait $!; exec \"$0\" \"$@\" >&3", berth.program] + words
    ).run()
    #expect(result.status == status, "\(result)")
    #expect(result.errors.isEmpty == (status == 0), "\(result)")
  }

  @Test(arguments: [SIGHUP, SIGTERM, SIGINT])
  func `a signal ends the wait for a guest in order`(_ signal: Int32) async throws {
    try await TestHost.with(scenario) { host in
      let run = try await waiting(host, "")
      defer { run.end(SIGKILL) }
      #expect(run.end(signal, within: .seconds(60)) == 7, "\(run.output)\(run.errors)")
      #expect(run.output.contains("Interrupted"), "\(run.output)")
      // The stop ended the wait, and not the guest's time.
      #expect(!run.output.contains("in time"), "\(run.output)")
    }
  }

  @Test func `SIGQUIT ends the program at once, and nohup is respected`() async throws {
    try await TestHost.with(scenario) { host in
      let run = try await waiting(host, "")
      #expect(run.end(SIGQUIT, within: .seconds(60)) == 131, "\(run.output)\(run.errors)")
      #expect(!run.output.contains("Interrupted"))
      let patient = try await waiting(host, "trap '' HUP;")
      defer { patient.end(SIGKILL) }
      kill(patient.pid, SIGHUP)
      #expect(patient.end(SIGTERM, within: .seconds(60)) == 7, "\(patient.output)\(patient.errors)")
    }
  }

  /// Starts an apply that waits for the silent guest. `before` is what the shell does first.
  private func waiting(_ host: TestHost, _ before: String) async throws -> RunningProcess {
    let manifest = try host.manifest(["silent": [device]])
    let berth = try Command.berth(
      ["apply", manifest, "--yes", "-v", "--wait-timeout", "100s"], environment: ["BERTH_SANDBOX": host.directory])
    let process = try Command(
      "/bin/sh", ["-c", "\(before) exec \"$0\" \"$@\"", berth.program] + berth.arguments,
      environment: berth.environment
    ).start()
    let isWaiting = process.collect(until: .now + .seconds(60)) { $0.errors.contains("waiting for the guest") }
    try #require(isWaiting, "\(process.output)\(process.errors)")
    return process
  }
}
