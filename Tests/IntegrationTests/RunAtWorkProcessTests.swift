import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// A real run that is at work on a domain, and what other runs and commands make of it.
struct `A run at work` {
  private let domain = "{name: net, domid: 5, answers: never}"
  private let device = Sample.address(0)

  /// Starts an apply that waits for a guest which never answers, and lends it once it is at work.
  private func withRun(
    _ host: TestHost, _ body: (_ run: RunningProcess, _ manifest: String) async throws -> Void
  ) async throws {
    let manifest = try host.manifest(["net": [device]])
    let run = try Command.berth(
      ["apply", manifest, "--yes", "-v", "--wait-timeout", "100s"], environment: ["BERTH_SANDBOX": host.directory]
    ).start()
    defer { run.end(SIGKILL) }
    let isWaiting = run.collect(until: .now + .seconds(60)) { $0.errors.contains("waiting for the guest") }
    try #require(isWaiting, "\(run.output)\(run.errors)")
    try await body(run, manifest)
  }

  /// Waits until a signal has stopped the program. Returns false if the program has ended instead.
  private static func waitForStop(of pid: Int32) -> Bool {
    var change = unsafe siginfo_t()
    // The status stays available, so that `RunningProcess` still finds the program.
    let events = WSTOPPED | WEXITED | WNOWAIT
    while unsafe waitid(P_PID, id_t(pid), &change, events) < 0, errno == EINTR {}
    return unsafe change.si_code == CLD_STOPPED
  }

  @Test func `a second run waits as long as it may, and then names the first one`() async throws {
    try await TestHost.with(TestScenario.host([domain])) { host in
      try await withRun(host) { run, manifest in
        let second = try await host.berth("apply", manifest, "--yes", "--lock-timeout", "200ms")
        #expect(second.status == 75, "\(second)")
        let holder = "\(run.pid) ("
        #expect(second.output.contains("another run of Berth is at work on the domain: \(holder)"), "\(second.output)")
        #expect(second.output.contains(", since ") && !second.output.contains(", stopped"), "\(second.output)")
        let plan = try await host.berth("plan", manifest)
        #expect(plan.output.contains("a run of Berth is at work on the domain: \(holder)"), "\(plan)")
        let status = try await host.berth("status")
        #expect(status.output.contains("a run of Berth is at work on the domain: \(holder)"), "\(status)")
      }
    }
  }

  @Test func `a run that is stopped by a signal is named as stopped`() async throws {
    try await TestHost.with(TestScenario.host([domain])) { host in
      try await withRun(host) { run, manifest in
        kill(run.pid, SIGSTOP)
        defer { kill(run.pid, SIGCONT) }
        try #require(Self.waitForStop(of: run.pid))
        let second = try await host.berth("apply", manifest, "--yes", "--lock-timeout", "0s")
        #expect(second.status == 75, "\(second)")
        #expect(second.output.contains(", stopped"), "\(second.output)")
        let document = try await host.berth("status", "-o", "json")
        #expect(document.output.contains("\"isStopped\" : true"), "\(document)")
      }
    }
  }

  @Test func `a run that was killed blocks nobody`() async throws {
    try await TestHost.with(TestScenario.host([domain])) { host in
      try await withRun(host) { run, manifest in
        run.end(SIGKILL)
        try await host.change("answers", "net", "normal")
        let next = try await host.berth("apply", manifest, "--yes", "--lock-timeout", "0s")
        #expect(next.status == 0, "\(next)")
        #expect(try await host.disagreements(of: "net", expecting: [device]) == [])
      }
    }
  }

  @Test func `Ctrl-C ends a wait for another run, and nothing was changed`() async throws {
    try await TestHost.with(TestScenario.host([domain]), isTracing: true) { host in
      try await withRun(host) { _, manifest in
        let (nodes, changes) = (try await host.nodes(below: "/"), try host.storeChanges())
        let second = try Command.berth(
          ["apply", manifest, "--yes", "-v", "--lock-timeout", "100s"], environment: ["BERTH_SANDBOX": host.directory]
        ).start()
        defer { second.end(SIGKILL) }
        let isWaiting = second.collect(until: .now + .seconds(60)) { $0.errors.contains("to end, at most") }
        #expect(isWaiting, "\(second.output)\(second.errors)")
        #expect(second.end(SIGINT, within: .seconds(60)) == 130, "\(second.output)\(second.errors)")
        #expect(second.output.contains("Interrupted: nothing"), "\(second.output)")
        #expect(try await host.nodes(below: "/") == nodes)
        #expect(try host.storeChanges() == changes)
      }
    }
  }

  @Test func `a run locks more domains than a shell lets a program have files open`() async throws {
    let names = (1...60).map { "net\($0)" }
    let domains = names.enumerated().map { "{name: \($1), domid: \($0 + 1)}" }
    try await TestHost.with(TestScenario.host(domains)) { host in
      var wanted: [String: [PCIAddress]] = [:]
      for name in names { wanted[name] = [] }
      wanted["net1"] = [device]
      let apply = try Command.berth(
        ["apply", try host.manifest(wanted), "--yes"], environment: ["BERTH_SANDBOX": host.directory])
      let limited = Command(
        "/bin/sh", ["-c", "ulimit -S -n 40 && exec \"$0\" \"$@\"", apply.program] + apply.arguments,
        environment: apply.environment)
      let result = try await limited.run(within: .seconds(90))
      #expect(result.status == 0, "\(result)")
      #expect(try await host.disagreements(of: "net1", expecting: [device]) == [])
    }
  }

  /// What may stand where the lock's file belongs.
  enum Impostor: String, CaseIterable { case link, folder, pipe }

  @Test(arguments: Impostor.allCases)
  func `a lock's file that is none of Berth's fails the domain, with its path, and nothing is touched`(
    _ impostor: Impostor
  ) async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let uuid = try await host.status().domain("net").uuid
      let path = "host/root/run/berth/locks/\(uuid).lock"
      try host.folder.makeFolder("host/root/run/berth/locks")
      // Only Berth's own user may look into the folder that Berth makes.
      for folder in ["host/root/run/berth", "host/root/run/berth/locks"] {
        _ = unsafe chmod("\(host.folder.path)/\(folder)", 0o700)
      }
      switch impostor {
      case .link:
        try host.folder.write("precious", "as it was")
        try host.folder.link(path, to: "\(host.folder.path)/precious")
      case .folder: try host.folder.makeFolder(path)
      case .pipe: try #require(unsafe mkfifo("\(host.folder.path)/\(path)", 0o600) == 0)
      }
      let apply = try await host.berth("apply", try host.manifest(["net": [device]]), "--yes")
      #expect(apply.status == 1, "\(apply)")
      #expect(apply.output.contains("/run/berth/locks/\(uuid).lock"), "\(apply.output)")
      #expect(try await host.disagreements(of: "net", expecting: []) == [])
      let status = try await host.berth("status")
      #expect(status.status == 0, "looking goes on: \(status)")
      if impostor == .link {
        #expect(String(decoding: try host.folder.read("precious"), as: UTF8.self) == "as it was")
      }
    }
  }
}
