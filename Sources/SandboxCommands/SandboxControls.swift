import ArgumentParser
import Commands
import Planning
import Rendering
import Sandbox

/// A command that makes one request to a running sandbox.
protocol SandboxRequest: BerthCommand {
  /// The request in the form that the sandbox's controller reads.
  var request: String { get }
}

extension SandboxRequest {
  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let directory = try sandbox(in: context)
    let line = request
    _ = try asSandbox { () throws(SandboxError) in
      try SandboxController().request(line, directory: directory)
    }
    return .done
  }
}

/// `berth sandbox pause DOMAIN`.
struct SandboxPauseCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "pause", abstract: "Pause a domain: it stops answering.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "pause \(domain)" }
}

/// `berth sandbox unpause DOMAIN`.
struct SandboxUnpauseCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "unpause", abstract: "Let a paused domain run.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "unpause \(domain)" }
}

/// `berth sandbox shut-down DOMAIN`.
struct SandboxShutDownCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "shut-down", abstract: "Let a domain's guest shut down, without destroying the domain.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "shut-down \(domain)" }
}

/// `berth sandbox start-domain DOMAIN`.
struct SandboxStartDomainCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "start-domain", abstract: "Create a missing domain of the scenario, and let it run.")
  @Argument(help: "The domain's name.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "start \(domain)" }
}

/// `berth sandbox destroy DOMAIN`.
struct SandboxDestroyCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "destroy", abstract: "Destroy a domain, as xl would.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "destroy \(domain)" }
}

/// `berth sandbox answers DOMAIN HOW`.
struct SandboxAnswersCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "answers", abstract: "Set how a domain's guest answers from now on.")
  @Argument(help: "The domain's name or number.") var domain: String
  @Argument(help: "How it answers.") var how: GuestAnswers
  @Option(help: ArgumentHelp("How long a slow guest takes, such as 500ms.", valueName: "time"))
  var delay: DurationArgument?
  @OptionGroup var global: GlobalOptions
  var request: String {
    "answers \(domain) \(how.rawValue)" + (delay.map { " \($0.milliseconds)" } ?? "")
  }
}

/// `berth sandbox device-model DOMAIN HOW`.
struct SandboxDeviceModelCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "device-model", abstract: "Set what is wrong with an HVM domain's QEMU from now on.")
  @Argument(help: "The domain's name or number.") var domain: String
  @Argument(
    help: ArgumentHelp(
      """
      normal, or one of \(DeviceModelFault.Kind.allCases.map(\.rawValue).joined(separator: ", ")). After gone \
      or crashed, normal starts a new QEMU without devices.
      """))
  var how: String
  @Option(help: "The QMP command that is affected, or greeting. The default is any; for refuses, device_add.")
  var command: String?
  @Option(help: "How often it happens. The default is always.") var times: Int?
  @Option(help: "QEMU's error text for a refusal.") var text: String?
  @OptionGroup var global: GlobalOptions
  var request: String {
    "device-model \(domain) \(how) \(command ?? "-") \(times.map { "\($0)" } ?? "-")"
      + (text.map { " " + $0.split(separator: "\n").joined(separator: " ") } ?? "")
  }
}

/// `berth sandbox restart-stub DOMAIN`.
struct SandboxRestartStubCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "restart-stub",
    abstract: "End a domain's stub domain and start another, whose QEMU has no devices.")
  @Argument(help: "The HVM domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "restart-stub \(domain)" }
}

/// `berth sandbox lock DOMAIN`.
struct SandboxLockCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "lock", abstract: "Hold libxl's lock of a domain, as a busy toolstack does.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "lock \(domain)" }
}

/// `berth sandbox unlock DOMAIN`.
struct SandboxUnlockCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "unlock", abstract: "Release the lock.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var request: String { "unlock \(domain)" }
}

extension GuestAnswers: ExpressibleByArgument {}
