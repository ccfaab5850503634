import CLinux
import Glibc

/// Starts, queries and stops sandboxes.
package struct SandboxController: Sendable {
  package init() {}

  /// Makes a sandbox in `directory` from a scenario's text, and returns when it is ready.
  ///
  /// `serverCommand` is the program with its arguments, `berth sandbox serve`, to which the directory is added; nil means
  /// this program's own file. It runs in the background until `stop`. `preload` names the preload library; nil looks for
  /// it in this program's folder. `testEagain` lets oxenstored fail some commits on purpose; the C xenstored has no such
  /// option.
  package func start(
    scenario: [UInt8], scenarioName: String, directory: String, store: StoreKind, isTracing: Bool = false,
    testEagain: Bool = false, serverCommand: [String]? = nil, preload: String? = nil,
    until deadline: ContinuousClock.Instant = .now + .seconds(30)
  ) throws(SandboxError) -> SandboxDescription {
    let directory = try prepared(
      scenario: scenario, scenarioName: scenarioName, directory: directory, store: store, isTracing: isTracing,
      testEagain: testEagain, preload: preload)
    let paths = directory.paths
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw systemError("making a pair of sockets") }
    let reader = Descriptor(ends[0])
    var writer: Descriptor? = Descriptor(ends[1])
    var environment = Processes.environment()
    environment[readyVariable] = "3"
    let log = try directory.open(paths.simulatorLog, O_WRONLY | O_CREAT | O_APPEND)
    let child = try Processes.start(
      (serverCommand ?? ["berth", "sandbox", "serve"]) + [paths.directory],
      executable: serverCommand == nil ? Self.ownProgram : nil, environment: environment, output: log,
      inherited: ends[1], isLeader: true)
    writer = nil
    _ = consume writer
    do throws(SandboxError) {
      try waitForReadiness(reader.number, directory, until: deadline)
    } catch {
      // It is a child that nobody has waited for, so the number is still its own.
      if error.code == .timedOut { Processes.kill(child: child) }
      throw error
    }
    guard let description = try directory.content.description() else {
      throw SandboxError(.ended, "the sandbox's simulator did not write \(paths.description)")
    }
    return description
  }

  /// Ends a sandbox and all its processes. It is no error if the sandbox does not run.
  ///
  /// `removeDirectory` removes everything that the sandbox made, and the directory if it is empty then. Nothing is
  /// removed from a directory that is not a sandbox. `reportLeft` gets the names in the directory that no sandbox makes,
  /// if there are any; they stay there.
  package func stop(
    directory: String, removeDirectory: Bool, reportLeft: ([String]) -> Void = { _ in }
  ) throws(SandboxError) {
    let directory: SandboxDirectory = try opened(directory) { "there is no sandbox in \($0)" }
    try end(directory)
    guard removeDirectory else { return }
    try directory.content.clear()
    try directory.content.removeItself()
    let left = try directory.content.foreignNames()
    if !left.isEmpty { reportLeft(left) }
  }

  /// Returns the status of a running sandbox.
  package func status(directory: String) throws(SandboxError) -> SandboxStatus {
    try decoded(SandboxStatus.self, from: try request("status", directory: directory).utf8)
  }

  /// Returns the host name of a running sandbox.
  package func hostName(directory: String) throws(SandboxError) -> String {
    try request("name", directory: directory)
  }

  /// Sends one control request.
  ///
  /// Most requests have one word, such as `pause` or `destroy`, and a domain's name or number. `answers` also has one of
  /// `GuestAnswers`, and optionally a delay in milliseconds. `SandboxServer.control` has all requests.
  @discardableResult
  package func request(_ line: String, directory: String) throws(SandboxError) -> String {
    let none: (String) -> String = {
      "no sandbox is running in \($0): `berth sandbox start --sandbox \($0) SCENARIO.yaml` starts one"
    }
    let directory = try opened(directory, orElse: none)
    try SandboxInspection(of: directory).requireSockets()
    do throws(SandboxError) {
      return try SandboxLine(directory.paths).ask(line)
    } catch {
      throw error.code == .notRunning ? SandboxError(.notRunning, none(directory.paths.directory)) : error
    }
  }

  /// Opens a sandbox's directory. Without a sandbox in it, the error has the text for its path.
  private func opened(
    _ directory: String, orElse none: (String) -> String
  ) throws(SandboxError) -> SandboxDirectory {
    do throws(SandboxError) {
      return try SandboxDirectory.open(directory)
    } catch {
      guard error.code == .notRunning || error.code == .notFound else { throw error }
      throw SandboxError(.notRunning, none(SandboxPaths(directory: directory).directory), errno: error.errno)
    }
  }

  /// This program's own file, whatever has become of its name (proc(5)).
  private static let ownProgram = "/proc/self/exe"

  /// Returns the preload library of this installation: `BERTH_PRELOAD` if it is set, otherwise beside the program.
  package static func preloadLibrary() throws(SandboxError) -> String {
    let name = "libBerthPreload.so"
    if let path = Processes.environment()["BERTH_PRELOAD"] { return path }
    guard let program = unsafe realpath(ownProgram, nil) else { throw systemError("finding this program") }
    defer { unsafe free(program) }
    let folder = unsafe String(cString: program).split(separator: "/").dropLast().joined(separator: "/")
    for place in ["/\(folder)/\(name)", "/\(folder)/../lib/\(name)", "/\(folder)/../lib/berth/\(name)"]
    where Files.exists(place) { return place }
    throw SandboxError(
      .notInstalled, "\(name) is not beside the program in /\(folder): build it with swift build --product BerthPreload"
    )
  }

  // MARK: Parts

  /// Makes a sandbox's directory after all possible checks: what `start` does before it starts a process.
  package func prepare(
    scenario: [UInt8], scenarioName: String, directory: String, store: StoreKind, isTracing: Bool = false,
    testEagain: Bool = false, preload: String? = nil
  ) throws(SandboxError) -> SandboxPaths {
    try prepared(
      scenario: scenario, scenarioName: scenarioName, directory: directory, store: store, isTracing: isTracing,
      testEagain: testEagain, preload: preload
    ).paths
  }

  private func prepared(
    scenario: [UInt8], scenarioName: String, directory: String, store: StoreKind, isTracing: Bool, testEagain: Bool,
    preload: String?
  ) throws(SandboxError) -> SandboxDirectory {
    let library: String
    if let preload { library = preload } else { library = try Self.preloadLibrary() }
    let description = SandboxDescription(store: store, isTracing: isTracing, testEagain: testEagain, preload: library)
    try SandboxPaths(directory: directory).check()
    _ = try parseScenario(scenario, name: scenarioName)
    let (directory, isNew) = try SandboxDirectory.make(directory)
    do throws(SandboxError) {
      // Without the links of its path, it may be longer.
      try directory.paths.check()
      try makeRoom(in: directory)
      // The description comes first: with it, a start that was interrupted can be repeated.
      try directory.content.save(description)
      for path in [directory.paths.log, directory.paths.store] { try directory.makeDirectories(path) }
      try directory.write(directory.paths.scenario, scenario)
    } catch {
      if isNew { try directory.content.removeItself() }
      throw error
    }
    return directory
  }

  /// Removes a sandbox that does not run from a directory. Throws if anything else is in it.
  private func makeRoom(in directory: SandboxDirectory) throws(SandboxError) {
    let path = directory.paths.directory
    guard try directory.content.description() != nil else {
      guard let name = try directory.content.names().first else { return }
      throw SandboxError(
        .inUse, "\(path) is not empty and not a sandbox (it has '\(name)'): \(TrustedWalk.otherDirectory)")
    }
    if try SimulatorLock.holder(in: directory) != nil {
      throw SandboxError(
        .alreadyRunning,
        "a sandbox is already running in \(path): `berth sandbox stop --sandbox \(path)` stops it; or use another "
          + "directory")
    }
    if let name = try directory.content.foreignNames().first {
      throw SandboxError(
        .inUse, "\(path) has '\(name)', which no sandbox makes: move it away, or \(TrustedWalk.otherDirectory)")
    }
    try directory.content.clear()
  }

  private func waitForReadiness(
    _ reader: Int32, _ directory: SandboxDirectory, until deadline: ContinuousClock.Instant
  ) throws(SandboxError) {
    let log = directory.paths.simulatorLog
    var bytes: [UInt8] = []
    while !bytes.contains(UInt8(ascii: "\n")) {
      let left = max(0, (deadline - .now).wholeMilliseconds)
      guard Sockets.waitFor(reader, Int16(POLLIN), milliseconds: Int32(clamping: left)) else {
        throw SandboxError(.timedOut, "the sandbox's simulator was not ready in time; see \(log)")
      }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = unsafe read(reader, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let words = try directory.read(log) ?? ""
        throw SandboxError(
          .ended,
          "the sandbox's simulator ended at once: \(words.split(separator: "\n").suffix(3).joined(separator: "; "))")
      }
      bytes += chunk[..<count]
    }
    let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    guard line != "ready" else { return }
    let words = line.split(separator: " ", maxSplits: 2)
    let message = words.count > 2 ? words[2].split(separator: "\u{1}").joined(separator: "\n") : line
    throw SandboxError(words.count > 1 ? .init(rawValue: String(words[1])) ?? .ended : .ended, message)
  }

  /// Asks the simulator to end, waits, and kills it if it does not.
  private func end(_ directory: SandboxDirectory) throws(SandboxError) {
    guard let process = try SimulatorLock.holder(in: directory) else { return }
    // From here on the descriptor stands for one process, even if another one gets its number.
    guard let simulator = try Processes.watch(process) else { return }
    guard try SimulatorLock.holder(in: directory) == process else {
      throw SandboxError(.timedOut, "the simulator of \(directory.paths.directory) has just changed: try again")
    }
    guard Processes.isSimulator(process) else {
      throw SandboxError(
        .inUse, "process \(process) holds \(directory.paths.lock), and is no simulator: end it, or its use of this file"
      )
    }
    // The simulator accepts the signal even while it starts.
    for signal in [SIGTERM, SIGKILL] {
      guard pidfd_send_signal(simulator.number, signal, nil, 0) == 0 || errno == ESRCH else {
        throw systemError("ending the simulator, process \(process)")
      }
      if Sockets.waitFor(simulator.number, Int16(POLLIN), milliseconds: 10_000) {
        // If it is a child of this process, it must be reaped too.
        _ = try Processes.waitForEnd(process, milliseconds: 0)
        return
      }
    }
    throw SandboxError(
      .timedOut, "the simulator of \(directory.paths.directory), process \(process), does not end")
  }
}
