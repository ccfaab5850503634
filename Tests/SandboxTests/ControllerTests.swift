import Glibc
import Ports
import Sandbox
import TestSupport
import Testing

/// Sandboxes as separate processes, started by the program.
struct ControllerTests {
  private let berth: String
  private let preload: String

  init() throws {
    berth = try builtFile("berth")
    preload = try builtFile("libBerthPreload.so")
  }

  private func start(
    _ directory: String, store: StoreKind = .c, scenario: String = Scenarios.laboratory(), isTracing: Bool = false
  ) async throws -> SandboxDescription {
    let command = [berth, "sandbox", "serve"]
    let preload = preload
    return try await onThread {
      try SandboxController().start(
        scenario: Array(scenario.utf8), scenarioName: "scenario.yaml", directory: directory, store: store,
        isTracing: isTracing, serverCommand: command, preload: preload)
    }
  }

  private func stop(_ directory: String) async throws {
    try await onThread { try SandboxController().stop(directory: directory, removeDirectory: true) }
  }

  @Test(arguments: StoreKind.allCases)
  func `a sandbox starts, answers and ends without a trace`(store: StoreKind) async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    let description = try await start(directory, store: store)
    let processes = [description.simulatorProcess, description.storeProcess].compactMap { $0 }
    #expect(processes.count == 2)
    #expect(try SandboxController().status(directory: directory).domains.map(\.name) == ["pv1"])
    try await stop(directory)
    #expect(!fileExists(directory))
    for process in processes { #expect(!isAlive(process)) }
  }

  @Test func `the status of a host with all kinds shows QEMU's devices, and faults can be set`() async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    func run(_ arguments: String...) async throws -> Command.Result {
      try await Command(berth, ["sandbox"] + arguments + ["--sandbox", directory]).run()
    }
    let started = try await run("start", repositoryRoot + "/examples/sandbox/kinds.yaml")
    #expect(started.status == 0, "\(started.errors)")
    for words in [["desktop", "silent"], ["vault", "refuses", "--times", "2", "--text", "no room left"]] {
      let result = try await Command(berth, ["sandbox", "device-model"] + words + ["--sandbox", directory]).run()
      #expect(result.status == 0, "\(result.errors)")
    }
    #expect(try await run("restart-stub", "workshop").status == 0)
    #expect(try await run("restart-stub", "router").status != 0)
    let text = try await run("status").output
    for line in [
      "desktop  domid 2, HVM, running, QEMU silent\n    QEMU shows 0000:06:00.0 at 03.0, pci-pt-06_00.0\n",
      "vault  domid 3, HVM, running, QEMU in domain 4, QEMU refuses\n    QEMU shows 0000:09:00.0 at 03.0, pci-pt-09_00.0\n",
      "vault-dm  domid 4, PV, running, stub domain of 3\n    the guest has 0000:09:00.0 at 0000:00:00.0\n",
      "workshop  domid 5, HVM, paused, QEMU in domain 9\n", "cell  domid 8, PVH, running",
    ] { #expect(text.contains(line), "\(line) in\n\(text)") }
    try await stop(directory)
  }

  @Test func `two sandboxes do not affect each other`() async throws {
    let directories = [try LiveSandbox.temporaryDirectory(), try LiveSandbox.temporaryDirectory()]
    for directory in directories { _ = try await start(directory) }
    let links = try directories.map { try StoreLink(path: SandboxPaths(directory: $0).storeSocket) }
    try links[0].write("/test", "first")
    #expect(try links[1].read("/test") == nil)
    for directory in directories { try await stop(directory) }
  }

  @Test func `a running sandbox and a foreign directory are left alone`() async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    _ = try await start(directory)
    let second = await #expect(throws: SandboxError.self) { _ = try await start(directory) }
    #expect(second?.code == .alreadyRunning)
    #expect(second?.message.contains("`berth sandbox stop --sandbox \(directory)`") == true)
    #expect(try SandboxController().status(directory: directory).domains.count == 1, "it still runs")
    try await stop(directory)

    let foreign = try LiveSandbox.temporaryDirectory()
    try writeFile(foreign + "/letter", "dear reader")
    let third = await #expect(throws: SandboxError.self) { _ = try await start(foreign) }
    #expect(third?.code == .inUse)
    let fourth = await #expect(throws: SandboxError.self) { try await stop(foreign) }
    #expect(fourth?.code == .notRunning)
    let fifth = #expect(throws: SandboxError.self) { try SandboxController().status(directory: foreign) }
    #expect(fifth?.message.contains("`berth sandbox start --sandbox \(foreign) SCENARIO.yaml`") == true)
    #expect(try fileText(foreign + "/letter") == "dear reader")
    unsafe unlink(foreign + "/letter")
    unsafe rmdir(foreign)
  }

  @Test(arguments: [SIGTERM, SIGKILL], StoreKind.allCases)
  func `xenstored ends with its simulator`(signal: Int32, store: StoreKind) async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    let description = try await start(directory, store: store)
    let (simulator, daemon) = (try #require(description.simulatorProcess), try #require(description.storeProcess))
    kill(simulator, signal)
    try await onThread { try waitForEnd(of: simulator) }
    try await onThread { try waitForEnd(of: daemon) }
    try await stop(directory)
    #expect(!fileExists(directory))
  }

  @Test func `after a crash the same directory is used again`() async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    let simulator = try #require(try await start(directory).simulatorProcess)
    kill(simulator, SIGKILL)
    try await onThread { try waitForEnd(of: simulator) }
    _ = try await start(directory)
    #expect(try SandboxController().status(directory: directory).domains.count == 1)
    try await stop(directory)
  }

  @Test func `a path too long for a socket is refused with its length`() async throws {
    let parent = try LiveSandbox.temporaryDirectory()
    let directory = parent + "/" + String(repeating: "x", count: 80)
    let error = await #expect(throws: SandboxError.self) { _ = try await start(directory) }
    #expect(error?.code == .pathTooLong)
    #expect(!fileExists(directory))
    unsafe rmdir(parent)
  }

  @Test func `a bad scenario starts nothing`() async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    let error = await #expect(throws: SandboxError.self) { _ = try await start(directory, scenario: "kind: x") }
    #expect(error?.code == .invalidScenario)
    unsafe rmdir(directory)
  }

  @Test func `the error for a program that is not a simulator has its last output`() async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    let preload = preload
    let error = await #expect(throws: SandboxError.self) {
      try await onThread {
        _ = try SandboxController().start(
          scenario: Array(Scenarios.laboratory().utf8), scenarioName: "x", directory: directory, store: .c,
          serverCommand: ["sh", "-c", "echo it is raining; exit 3"], preload: preload)
      }
    }
    #expect(error?.code == .ended)
    #expect(error?.message.contains("it is raining") == true)
    try await stop(directory)
  }

  @Test(arguments: StoreKind.allCases)
  func `the trace has every write`(store: StoreKind) async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    _ = try await start(directory, store: store, isTracing: true)
    let paths = SandboxPaths(directory: directory)
    let result = Result {
      try StoreLink(path: paths.storeSocket).write("/counted/once", "1")
      return try fileText(paths.storeTrace)
    }
    try await stop(directory)
    #expect(try result.get().contains("/counted/once"))
  }

  @Test(.enabled(if: geteuid() == 0), arguments: StoreKind.allCases)
  func `an unprivileged user can run a sandbox`(store: StoreKind) async throws {
    let directory = try LiveSandbox.temporaryDirectory()
    unsafe chmod(directory, 0o1777)
    let scenario = directory + "/../" + (directory.split(separator: "/").last ?? "") + ".yaml"
    try writeFile(scenario, Scenarios.laboratory())
    let sandbox = directory + "/s"
    // Perhaps only root can read the folder in which the tests were built.
    #expect(try await Command("/bin/cp", [self.berth, self.preload, directory]).run().status == 0)
    let berth = directory + "/berth"
    let preload = directory + "/libBerthPreload.so"
    func asNobody(_ arguments: String...) async throws -> Command.Result {
      try await Command("setpriv", ["--reuid", "65534", "--clear-groups"] + arguments).run()
    }
    let started = try await asNobody(
      berth, "sandbox", "start", scenario, "--store", store.rawValue, "--sandbox", sandbox)
    #expect(started.status == 0, "\(started.errors)")
    let paths = SandboxPaths(directory: sandbox)
    let variables = paths.environment(forXenTools: preload).map { "\($0.key)=\($0.value)" }
    let xl = try await Command(
      "setpriv",
      ["--reuid", "65534", "--clear-groups", "env"] + variables
        + [try xenProgram("xl"), "pci-attach", "pv1", "00:05.0"]
    ).run()
    #expect(xl.status == 0, "\(xl.errors)")
    #expect(try await asNobody(berth, "sandbox", "stop", "--sandbox", sandbox).status == 0)
    #expect(!fileExists(sandbox))
    for file in [scenario, berth, preload] { unsafe unlink(file) }
    unsafe rmdir(directory)
  }
}

private func isAlive(_ process: Int32) -> Bool { kill(process, 0) == 0 }

/// Waits for the end of a process, child or not, and reaps a child.
private func waitForEnd(of process: Int32) throws {
  let end = ContinuousClock.now + .seconds(20)
  while isAlive(process) {
    var status: Int32 = 0
    _ = unsafe waitpid(process, &status, WNOHANG)
    guard ContinuousClock.now < end else { throw TestFailure("process \(process) does not end") }
    sched_yield()
  }
}
