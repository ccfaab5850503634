import ArgumentParser
import Commands
import Planning
import Rendering
import Sandbox

/// A command that makes one request to a running sandbox.
protocol SandboxRequest: BerthCommand {
  /// The request's words, in the order in which the sandbox's controller reads them.
  var words: [String] { get }
  /// A text at the request's end, which may have any number of words.
  var text: String? { get }
}

extension SandboxRequest {
  var text: String? { nil }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let directory = try sandbox(in: context)
    // A request is one line of words. With a blank in a word, it would be another request.
    if let word = words.first(where: { $0.isEmpty || $0.contains(where: \.isWhitespace) }) {
      throw Failure(
        .usage, "'\(word)' is not one word: no part of this request can be empty or have blanks",
        hint: "give a domain by its number if its name has blanks")
    }
    let ending = (text ?? "").split(whereSeparator: \.isNewline).joined(separator: " ")
    let line = words.joined(separator: " ") + (ending.isEmpty ? "" : " " + ending)
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
  var words: [String] { ["pause", domain] }
}

/// `berth sandbox unpause DOMAIN`.
struct SandboxUnpauseCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "unpause", abstract: "Let a paused domain run.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["unpause", domain] }
}

/// `berth sandbox shut-down DOMAIN`.
struct SandboxShutDownCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "shut-down", abstract: "Let a domain's guest shut down, without destroying the domain.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["shut-down", domain] }
}

/// `berth sandbox start-domain DOMAIN`.
struct SandboxStartDomainCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "start-domain", abstract: "Create a missing domain of the scenario, and let it run.")
  @Argument(help: "The domain's name.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["start", domain] }
}

/// `berth sandbox destroy DOMAIN`.
struct SandboxDestroyCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "destroy", abstract: "Destroy a domain, as xl would.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["destroy", domain] }
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
  var words: [String] { ["answers", domain, how.rawValue] + (delay.map { ["\($0.milliseconds)"] } ?? []) }
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
  var words: [String] { ["device-model", domain, how, command ?? "-", times.map { "\($0)" } ?? "-"] }
}

/// `berth sandbox restart-stub DOMAIN`.
struct SandboxRestartStubCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "restart-stub",
    abstract: "End a domain's stub domain and start another, whose QEMU has no devices.")
  @Argument(help: "The HVM domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["restart-stub", domain] }
}

/// `berth sandbox restart-store`.
struct SandboxRestartStoreCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "restart-store",
    abstract: "End xenstored and start another one with the same nodes. Connections and transactions end.")
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["restart-store"] }
}

/// `berth sandbox lock DOMAIN`.
struct SandboxLockCommand: SandboxRequest {
  static let configuration = CommandConfiguration(
    commandName: "lock", abstract: "Hold libxl's lock of a domain, as a busy toolstack does.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["lock", domain] }
}

/// `berth sandbox unlock DOMAIN`.
struct SandboxUnlockCommand: SandboxRequest {
  static let configuration = CommandConfiguration(commandName: "unlock", abstract: "Release the lock.")
  @Argument(help: "The domain's name or number.") var domain: String
  @OptionGroup var global: GlobalOptions
  var words: [String] { ["unlock", domain] }
}

extension GuestAnswers: ExpressibleByArgument {}
