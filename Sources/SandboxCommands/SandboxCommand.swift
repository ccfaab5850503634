package import ArgumentParser
package import Commands
import Model
import Planning
package import Ports
package import Rendering
package import Sandbox

/// The command that works on sandboxes themselves, for a program that has it.
package enum SandboxCommandSet: CommandSet {
  package static let commands: [any ParsableCommand.Type] = [SandboxCommand.self]
  package static let hint: String? = "To try it without Xen: berth sandbox start --sandbox DIR SCENARIO.yaml"

  /// Asks a running sandbox for its host's name.
  package static func hostName(ofSandbox directory: String) -> Result<String, Failure> {
    do throws(Failure) {
      return .success(
        try asSandbox { () throws(SandboxError) in try SandboxController().hostName(directory: directory) })
    } catch { return .failure(error) }
  }

  /// Returns a way to open hosts in which the directory of each sandbox is checked before `open` gets its paths.
  ///
  /// Whoever works on a sandbox as root believes its files and writes to them. So its directory must be this user's alone,
  /// and hold nothing by which a write would reach another place. Without a directory, there is nothing to believe.
  package static func checkingSandboxes(
    _ open: @escaping @Sendable (SandboxPaths?, _ name: String, _ answerTimeout: Duration) -> HostSession
  ) -> @Sendable (String?, String, Duration) throws(Failure) -> HostSession {
    { (directory, name, timeout) throws(Failure) in
      open(try directory.map { (directory) throws(Failure) in try checkedPaths(in: directory) }, name, timeout)
    }
  }

  /// Returns what opens the pulls of the machine, or of a sandbox whose directory is checked first.
  package static func checkingSandboxes(
    _ open: @escaping @Sendable (SandboxPaths?) -> any PullPort
  ) -> @Sendable (String?) throws(Failure) -> any PullPort {
    { (directory) throws(Failure) in
      open(try directory.map { (directory) throws(Failure) in try checkedPaths(in: directory) })
    }
  }

  /// Returns the paths of the sandbox in a directory, after the checks that whoever works on a sandbox makes.
  private static func checkedPaths(in directory: String) throws(Failure) -> SandboxPaths {
    do throws(SandboxError) {
      let checked = try SandboxDirectory.open(directory)
      try SandboxInspection(of: checked).requireUntouched()
      return checked.paths
    } catch {
      guard error.code == .notFound || error.code == .notRunning else { throw Failure(error) }
      return SandboxPaths(directory: directory)
    }
  }
}

/// `berth sandbox`: a simulated host, without Xen.
struct SandboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sandbox",
    abstract: "Start, examine and stop a simulated host with a real xenstored.",
    discussion: """
      A scenario says which devices and domains the host has. Every other command works on the sandbox in DIR with \
      --sandbox DIR, or with BERTH_SANDBOX=DIR in the environment.
      """,
    subcommands: [
      SandboxStartCommand.self, SandboxStopCommand.self, SandboxStatusCommand.self, SandboxPauseCommand.self,
      SandboxUnpauseCommand.self, SandboxShutDownCommand.self, SandboxStartDomainCommand.self,
      SandboxDestroyCommand.self, SandboxAnswersCommand.self, SandboxDeviceModelCommand.self,
      SandboxRestartStubCommand.self, SandboxRestartStoreCommand.self, SandboxLockCommand.self,
      SandboxUnlockCommand.self, SandboxServeCommand.self,
    ])
}

/// `berth sandbox start SCENARIO.yaml`.
struct SandboxStartCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Start a sandbox from a scenario, and return when it is ready.",
    discussion: """
      With --from, the sandbox has what a snapshot of a host has, as far as a sandbox can have it: domains, devices, saved \
      configurations, and the nodes of back ends and claims. What it cannot have is named.
      """)

  @Argument(help: ArgumentHelp("The scenario's file.", valueName: "scenario"))
  var scenario: String?

  @Option(
    name: .customLong("from"),
    help: ArgumentHelp("Start it from this file of `berth snapshot` instead of a scenario.", valueName: "snapshot"))
  var snapshot: String?

  @Option(help: "The xenstored to run: c, or ox for oxenstored.")
  var store: StoreKind = .c

  @Flag(help: "Keep a trace of every request that xenstored serves.")
  var trace = false

  @Flag(name: .customLong("test-eagain"), help: "Make oxenstored fail some commits on purpose.")
  var testEagain = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard (scenario == nil) != (snapshot == nil) else {
      throw ValidationError("give either a scenario or --from with a snapshot")
    }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let directory = try sandbox(in: context)
    let text = try scenarioText(in: context)
    do throws(SandboxError) {
      _ = try SandboxController().start(
        scenario: text, scenarioName: scenario ?? snapshot ?? "", directory: directory, store: store, isTracing: trace,
        testEagain: testEagain)
    } catch {
      guard error.code == .invalidScenario else { throw Failure(error) }
      // Each finding has its own lines, as in a manifest.
      for finding in error.findings { context.standardError("\(finding)\n") }
      throw Failure(.invalidManifest, "the scenario is invalid; nothing was started")
    }
    context.standardError("The sandbox in \(directory) is up. Next: berth status --sandbox \(directory)\n")
    return .done
  }

  /// Returns the bytes of the scenario. Says of a snapshot what a sandbox cannot have.
  private func scenarioText(in context: CommandContext) throws(Failure) -> [UInt8] {
    guard let snapshot else { return try readFile(scenario ?? "") }
    let scenario = SnapshotScenario(of: try readSnapshot(snapshot))
    for sentence in scenario.missing {
      context.standardError("\(global.errorStyle(in: context).printable("not in the sandbox: " + sentence))\n")
    }
    return Array(scenario.text.utf8)
  }
}

/// `berth sandbox stop`.
struct SandboxStopCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "Stop the sandbox, and remove its files.")

  @Flag(help: "Keep its directory, with the logs and the store's trace.")
  var keep = false

  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let directory = try sandbox(in: context)
    try asSandbox { () throws(SandboxError) in
      try SandboxController().stop(directory: directory, removeDirectory: !keep) { left in
        let names = left.prefix(5).map { "'\($0)'" }.joined(separator: ", ") + (left.count > 5 ? ", …" : "")
        let text = "\(directory) stays, because it has what no sandbox makes: \(names)"
        context.standardError(TextStyle().printable(text) + "\n")
      }
    }
    return .done
  }
}

/// `berth sandbox status`.
struct SandboxStatusCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the devices of the sandbox's guests and hypervisor.",
    discussion: "No real host shows this. Use berth status for what Berth can see.")

  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let directory = try sandbox(in: context)
    let status = try asSandbox { () throws(SandboxError) in try SandboxController().status(directory: directory) }
    try show(SandboxView(status: status), in: context)
    return .done
  }
}

/// `berth sandbox serve DIR`: the simulator itself; `start` runs it.
struct SandboxServeCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Run the simulator of a sandbox.", shouldDisplay: false)

  @Argument var directory: String
  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    try asSandbox { () throws(SandboxError) in try serveSandbox(directory: directory) }
    return .done
  }
}

extension StoreKind: ExpressibleByArgument {}

extension BerthCommand {
  /// Returns the sandbox's directory. It must be named, because a default could be another person's sandbox.
  func sandbox(in context: CommandContext) throws(Failure) -> String {
    guard let directory = global.sandboxDirectory(in: context) else {
      throw Failure(.usage, "no sandbox given", hint: "name its directory with --sandbox DIR, or set BERTH_SANDBOX")
    }
    return directory
  }
}

/// Runs `body`, which asks a sandbox, and gives its failures their status.
func asSandbox<Result>(_ body: () throws(SandboxError) -> Result) throws(Failure) -> Result {
  do throws(SandboxError) { return try body() } catch { throw Failure(error) }
}

extension Failure {
  fileprivate init(_ error: SandboxError) {
    let status: ExitStatus =
      switch error.code {
      case .notInstalled: .hostNotPrepared
      case .inUse, .pathTooLong: .usage
      case .notRunning: .unreachable
      case .notOwned: .notPermitted
      case .invalidScenario: .invalidManifest
      case .system: error.isRefusal ? .notPermitted : .failed
      case .alreadyRunning, .notFound, .timedOut, .ended: .failed
      }
    self.init(status, error.message, hint: error.isRefusal ? "run as the user to whom it belongs" : nil)
  }
}

extension SandboxError {
  /// Whether the kernel did not permit a system call (EPERM, EACCES), as with a sandbox that another user has started.
  fileprivate var isRefusal: Bool { code == .system && [1, 13].contains(errno) }
}
