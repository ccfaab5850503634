import FoundationEssentials
import Glibc
import Synchronization
import TestSupport
import Testing

/// Commands on a host whose xenstored is stopped: a debugger has it, or the machine has no memory for it.
struct SilentStoreTests {
  /// The number of cut points tried per change if not all are tried.
  private static let sample = 2

  @Test(arguments: bothStores)
  func `every command ends, and names the process that does not answer`(_ store: TestHost.Store) async throws {
    let scenario = TestScenario.host(devices: 2, [Kind.pv.domain("net", 5)])
    try await TestHost.with(scenario, store) { host in
      let manifest = try host.manifest(["net": addresses([0])])
      let daemon = try host.storeProcess()
      let commands = [
        ["status"], ["status", "--drift"], ["plan", manifest], ["apply", manifest, "--yes"], ["doctor"],
        ["status", "-o", "json"], ["apply", manifest, "--yes", "-o", "jsonl"],
      ]
      for command in commands {
        _ = kill(daemon, SIGSTOP)
        let result = try await host.berth(command + ["--store-timeout", "200ms"])
        _ = kill(daemon, SIGCONT)
        // The daemon has accepted what waited for it, so that the next command finds room in its queue.
        let after = try await host.berth("status", "--store-timeout", "60s")
        #expect(after.status == 0, "\(after.output)\(after.errors)")
        #expect(result.status == 69, "\(command): \(result.output)\(result.errors)")
        let text = result.output + result.errors
        #expect(text.contains("xenstored does not answer"), "\(command): \(text)")
        #expect(text.contains("process \(daemon) ("), "\(command): \(text)")
        #expect(text.contains("stopped by a signal"), "\(command): \(text)")
      }
      // Nothing is broken, and nothing was begun.
      let applied = try await host.apply(manifest)
      #expect(applied.status == 0)
      #expect(try await host.findings("net", .pv, [0]) == [])
    }
  }

  /// Who does not answer, and the call before which it is stopped.
  enum Silent: String, CaseIterable {
    case store = "TRANSACTION_END"
    case hypervisor = "assign "
  }

  @Test(arguments: Silent.allCases)
  func `the first Ctrl-C ends an apply that waits for an answer`(_ silent: Silent) async throws {
    let scenario = TestScenario.host(devices: 2, [Kind.pv.domain("net", 5)])
    try await TestHost.with(scenario) { host in
      let manifest = try host.manifest(["net": addresses([0])])
      let silenced = silent == .store ? try host.storeProcess() : try host.simulatorProcess()
      // It is stopped in the middle of the apply, which may then take hours for an answer.
      let (run, calls) = try await host.berth(["apply", manifest, "--yes"], cutAt: nil)
      #expect(run.status == 0)
      let ends = calls.filter { $0.what.contains(silent.rawValue) }
      let call = try #require(ends.dropFirst(ends.count / 2).first)
      let detached = try await host.apply(host.manifest(["net": []], name: "none.yaml"))
      #expect(detached.status == 0)
      try host.folder.write("calls", "")
      let command = try Command.berth(
        ["apply", manifest, "--yes", "--store-timeout", "10h", "--wait-timeout", "10h"],
        environment: [
          "BERTH_SANDBOX": host.directory, "LD_PRELOAD": try builtFile("libBerthCut.so"),
          "BERTH_CUT_LOG": "\(host.folder.path)/calls", "BERTH_CUT_AT": "\(call.number)",
          "BERTH_CUT_STOP": "\(silenced)",
        ])
      let (status, text) = try await onThread {
        let process = try command.start()
        let deadline = ContinuousClock.now + .seconds(120)
        while .now < deadline, !isStopped(silenced) {
          _ = process.collect(until: .now + .milliseconds(20)) { _ in false }
        }
        // The process may not have sent its request yet; after the signal, that is no different.
        let status = process.end(SIGINT, within: .seconds(120))
        return (status, process.output + process.errors)
      }
      _ = kill(silenced, SIGCONT)
      #expect([7, 69, 130].contains(status), "\(status): \(text)")
      let applied = try await host.apply(manifest)
      #expect(applied.status == 0)
      #expect(try await host.findings("net", .pv, [0]) == [])
    }
  }

  @Test(arguments: bothStores) func `a slow store is only slow`(_ store: TestHost.Store) async throws {
    let scenario = TestScenario.host(devices: 2, [Kind.pv.domain("net", 5)])
    try await TestHost.with(scenario, store) { host in
      let manifest = try host.manifest(["net": addresses([0, 1])])
      let daemon = try host.storeProcess()
      let isOver = Atomic(false)
      // Most of the time the daemon is stopped, as on a host that swaps.
      let slowing = try ThreadWork {
        while !isOver.load(ordering: .relaxed) {
          for (signal, time) in [(SIGSTOP, 20), (SIGCONT, 2)] as [(Int32, Int32)] {
            _ = kill(daemon, signal)
            // The daemon's pauses are the load, and nothing is awaited.
            _ = poll(nil, 0, time)
          }
        }
      }
      var results: [(words: [String], result: Command.Result)] = []
      for words in [
        ["status"], ["plan", manifest], ["apply", manifest, "--yes", "--wait-timeout", "60s"], ["doctor"],
      ] {
        results.append((words, try await host.berth(words + ["--store-timeout", "60s"])))
      }
      isOver.store(true, ordering: .relaxed)
      try await slowing.value()
      for (words, result) in results { #expect(result.status == 0, "\(words): \(result.output)\(result.errors)") }
      #expect(try await host.findings("net", .pv, [0, 1]) == [])
    }
  }

  @Test(arguments: bothStores) func `an apply ends when its store dies`(_ store: TestHost.Store) async throws {
    let scenario = TestScenario.host(devices: 2, [Kind.pv.domain("net", 5)])
    let words = ["--yes", "--wait-timeout", "60s", "--store-timeout", "60s"]
    let calls = try await TestHost.with(scenario, store) { host in
      let manifest = try host.manifest(["net": addresses([0])])
      return try await host.berth(["apply", manifest] + words, cutAt: nil).calls.filter(\.endsMessage)
    }
    for point in CutPoint.sample(of: calls, SoakReport.isSoak ? 12 : 3) {
      try await TestHost.with(scenario, store) { host in
        let manifest = try host.manifest(["net": addresses([0])])
        let (run, _) = try await host.berth(
          ["apply", manifest] + words, cutAt: point, stopping: try host.storeProcess(), by: SIGKILL)
        // The sandbox ends with its store, and so does its hypervisor, which is a failure.
        #expect([1, 7, 69].contains(run.status), "\(point): \(run.status): \(run.output)\(run.errors)")
        #expect((run.output + run.errors).contains("xenstored"), "\(point): \(run.output)\(run.errors)")
        let status = try await host.berth("status")
        #expect(status.status == 69, "\(status.output)\(status.errors)")
      }
    }
  }

  @Test(arguments: bothStores)
  func `a store that was restarted serves every command`(_ store: TestHost.Store) async throws {
    let scenario = TestScenario.host(devices: 3, [Kind.pv.domain("net", 5), Kind.hvm.domain("gpu", 7)])
    try await TestHost.with(scenario, store) { host in
      let first = try host.manifest(["net": addresses([0]), "gpu": addresses([1])], name: "first.yaml")
      #expect(try await host.apply(first).status == 0)
      let daemon = try host.storeProcess()
      try await host.change("restart-store")
      #expect(try host.storeProcess() != daemon)
      for words in [["status"], ["status", "--drift"], ["plan", first], ["apply", first, "--yes"], ["doctor"]] {
        let result = try await host.berth(words)
        #expect(result.status == 0, "\(words): \(result.output)\(result.errors)")
      }
      #expect(try await host.findings("net", .pv, [0]) == [])
      let moved = try await host.apply(["net": [1, 2], "gpu": [0]])
      #expect(moved.status == 0, "\(moved)")
      #expect(try await host.findingsAtRest("net", .pv, [1, 2]) == [])
      #expect(try await host.findingsAtRest("gpu", .hvm, [0]) == [])
    }
  }

  @Test(arguments: CutTests.changes, bothStores)
  func `a store that restarts at any request leaves nothing that one clean run does not finish`(
    _ change: CutTests.Change, _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(change.scenario, store) { host in
      let trials = try await strike(change, on: host, .restartStore)
      try SoakReport.add(["store_restarts": trials.struck, "store_restart_failures": trials.violations])
      print("\(change.testDescription), \(store.rawValue): the store restarted at \(trials.struck) points")
    }
  }

  @Test(arguments: CutTests.changes, bothStores)
  func `a store that stops at any request leaves nothing that one clean run does not finish`(
    _ change: CutTests.Change, _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(change.scenario, store) { host in
      let trials = try await strike(change, on: host, .stopStore(try host.storeProcess()))
      try SoakReport.add(["store_stops": trials.struck, "store_stop_failures": trials.violations])
      print("\(change.testDescription), \(store.rawValue): the store stopped at \(trials.struck) points")
    }
  }

  /// Strikes a change at requests of its process: in a soak before and after each one.
  private func strike(
    _ change: CutTests.Change, on host: TestHost, _ blow: CutTrials.Blow
  ) async throws -> CutTrials {
    let manifest = try host.manifest(
      ["net": addresses(change.after)], options: change.options, policy: change.policy, name: "after.yaml")
    var trials = CutTrials(change: change, host: host, manifest: manifest, blow: blow)
    let all = try await trials.calls().filter(\.endsMessage)
    let points =
      SoakReport.isSoak
      ? all.flatMap { [CutPoint(number: $0.number), CutPoint(number: $0.number, isAfter: true)] }
      : CutPoint.sample(of: all, Self.sample)
    for point in points { try await trials.strike(at: point) }
    #expect(trials.struck > 0)
    return trials
  }
}

/// Whether a process is stopped by a signal.
private func isStopped(_ process: Int32) -> Bool {
  guard let bytes = FileManager.default.contents(atPath: "/proc/\(process)/stat"),
    let end = bytes.lastIndex(of: UInt8(ascii: ")"))
  else { return false }
  return bytes[end...].dropFirst(2).first == UInt8(ascii: "T")
}

extension TestHost {
  private struct Processes: Decodable {
    var storeProcess: Int32?
    var simulatorProcess: Int32?
  }

  private var processes: Processes {
    get throws { try JSONDecoder().decode(Processes.self, from: Data(folder.read("host/sandbox.json"))) }
  }

  /// Returns the process of the sandbox's xenstored.
  fileprivate func storeProcess() throws -> Int32 {
    guard let process = try processes.storeProcess else { throw Odd(description: "the sandbox names no xenstored") }
    return process
  }

  /// Returns the process that simulates the sandbox's hypervisor, kernel and guests.
  fileprivate func simulatorProcess() throws -> Int32 {
    guard let process = try processes.simulatorProcess else { throw Odd(description: "the sandbox names no simulator") }
    return process
  }
}
