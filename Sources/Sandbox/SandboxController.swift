import CLinux
import Glibc

/// Starts, queries and stops sandboxes.
package struct SandboxController: Sendable {
  package init() {}

  /// Makes a sandbox in `directory` from a scenario's text, and returns when it is ready.
  ///
  /// `serverCommand` is the program with its arguments, `berth sandbox serve`, to which the directory is added. It runs
  /// in the background until `stop`. `preload` names the preload library; nil looks for it in this program's folder.
  /// `testEagain` lets oxenstored fail some commits on purpose; the C xenstored has no such option.
  package func start(
    scenario: [UInt8], scenarioName: String, directory: String, store: StoreKind, isTracing: Bool = false,
    testEagain: Bool = false, serverCommand: [String], preload: String? = nil,
    until deadline: ContinuousClock.Instant = .now + .seconds(30)
  ) throws(SandboxError) -> SandboxDescription {
    let paths = try prepare(
      scenario: scenario, scenarioName: scenarioName, directory: directory, store: store, isTracing: isTracing,
      testEagain: testEagain, preload: preload)
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw systemError("making a pair of sockets") }
    let reader = Descriptor(ends[0])
    var writer: Descriptor? = Descriptor(ends[1])
    var environment = Processes.environment()
    environment[readyVariable] = "3"
    _ = try Processes.start(
      serverCommand + [paths.directory], environment: environment, output: paths.simulatorLog, inherited: ends[1],
      isLeader: true)
    writer = nil
    _ = consume writer
    try waitForReadiness(reader.number, paths, until: deadline)
    guard let description = try SandboxDescription.load(from: paths.description) else {
      throw SandboxError(.ended, "the sandbox's simulator did not write \(paths.description)")
    }
    return description
  }

  /// Ends a sandbox and all its processes. It is no error if the sandbox does not run.
  ///
  /// `removeDirectory` removes everything that the sandbox made. Nothing is removed from a directory that is not a
  /// sandbox.
  package func stop(directory: String, removeDirectory: Bool) throws(SandboxError) {
    let paths = SandboxPaths(directory: directory)
    guard try SandboxDescription.load(from: paths.description) != nil else {
      throw SandboxError(.notRunning, "there is no sandbox in \(paths.directory)")
    }
    try end(paths)
    if removeDirectory { try Files.removeTree(paths.directory) }
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
    let paths = SandboxPaths(directory: directory)
    do {
      return try SandboxLine(paths).ask(line)
    } catch  where error.code == .notRunning {
      throw SandboxError(
        .notRunning,
        "no sandbox is running in \(paths.directory): `berth sandbox start --sandbox \(paths.directory) SCENARIO.yaml` "
          + "starts one")
    }
  }

  /// Returns the preload library of this installation: `BERTH_PRELOAD` if it is set, otherwise beside the program.
  package static func preloadLibrary() throws(SandboxError) -> String {
    let name = "libBerthPreload.so"
    if let path = Processes.environment()["BERTH_PRELOAD"] { return path }
    guard let program = unsafe realpath("/proc/self/exe", nil) else { throw systemError("finding this program") }
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
    let paths = SandboxPaths(directory: directory)
    let library: String
    if let preload { library = preload } else { library = try Self.preloadLibrary() }
    let description = SandboxDescription(
      store: store, isTracing: isTracing, testEagain: testEagain, preload: library)
    try paths.check()
    guard !paths.directory.contains(where: { $0 == "\n" || $0 == " " }) else {
      throw SandboxError(.inUse, "a sandbox's directory cannot have blanks in its path: \(paths.directory)")
    }
    _ = try parseScenario(scenario, name: scenarioName)
    if let names = try Files.list(paths.directory), !names.isEmpty {
      guard names.contains("sandbox.json") else {
        throw SandboxError(.inUse, "\(paths.directory) is not empty and not a sandbox: choose another directory")
      }
      if try holder(paths) != nil {
        throw SandboxError(
          .alreadyRunning,
          "a sandbox is already running in \(paths.directory): `berth sandbox stop --sandbox \(paths.directory)` stops it; "
            + "or use another directory")
      }
      try Files.removeTree(paths.directory)
    }
    for path in [paths.log, paths.store] { try Files.makeDirectories(path) }
    try Files.writeBytes(paths.scenario, scenario, flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
    try description.save(to: paths.description)
    return paths
  }

  /// Returns the process of the running simulator; nil if none runs.
  private func holder(_ paths: SandboxPaths) throws(SandboxError) -> pid_t? {
    try SimulatorLock(paths).holder()
  }

  private func waitForReadiness(
    _ reader: Int32, _ paths: SandboxPaths, until deadline: ContinuousClock.Instant
  ) throws(SandboxError) {
    var bytes: [UInt8] = []
    while !bytes.contains(UInt8(ascii: "\n")) {
      let left = max(0, (deadline - .now).wholeMilliseconds)
      guard Sockets.waitFor(reader, Int16(POLLIN), milliseconds: Int32(clamping: left)) else {
        try end(paths)
        throw SandboxError(.timedOut, "the sandbox's simulator was not ready in time; see \(paths.simulatorLog)")
      }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = unsafe read(reader, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let words = try Files.read(paths.simulatorLog) ?? ""
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
  private func end(_ paths: SandboxPaths) throws(SandboxError) {
    guard let process = try holder(paths) else { return }
    // The simulator accepts the signal even while it starts. From here on it cannot be confused with another process.
    guard let watch = Processes.watch(process) else { return }
    guard try holder(paths) == process else { return }
    for signal in [SIGTERM, SIGKILL] {
      kill(process, signal)
      if Sockets.waitFor(watch.number, Int16(POLLIN), milliseconds: 10_000) {
        // If it is a child of this process, it must be reaped too.
        _ = Processes.waitForEnd(process, milliseconds: 0)
        return
      }
    }
    throw SandboxError(.timedOut, "the simulator of \(paths.directory), process \(process), does not end")
  }
}
