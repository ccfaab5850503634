import Commands
import Glibc
import Model
import SandboxCommands
import Synchronization

/// Joins the commands to this machine.
@main
struct Berth {
  static func main() {
    // A reader that goes away (`berth plan | head`) must not end an apply half-way: writing then fails instead.
    _ = signal(SIGPIPE, SIG_IGN)
    let output = OutputStream(STDOUT_FILENO)
    let status = runBerth(
      Array(CommandLine.arguments.dropFirst()), in: liveContext(output), adding: SandboxCommandSet.self)
    if let number = output.failure {
      // A cut-off answer must not look like a whole one; what an apply came to is told all the same.
      let cause = ErrorNumber.text(of: number)
      OutputStream(STDERR_FILENO).write("berth: error: cannot write to standard output: \(cause)\n")
      exit(status == 0 ? 1 : status)
    }
    exit(status)
  }

  private static func liveContext(_ output: OutputStream) -> CommandContext {
    let environment = readEnvironment()
    let machine = Machines(environment: environment)
    return CommandContext(
      environment: environment,
      standardOutput: { output.write($0) },
      standardError: { OutputStream(STDERR_FILENO).write($0) },
      readLine: { Swift.readLine() },
      isInputTerminal: isatty(STDIN_FILENO) == 1, isOutputTerminal: isatty(STDOUT_FILENO) == 1,
      isErrorTerminal: isatty(STDERR_FILENO) == 1, userID: geteuid(),
      programPath: CommandLine.arguments.first ?? "berth",
      hostName: { machine.name }, sandboxHostName: { SandboxCommandSet.hostName(ofSandbox: $0) },
      openHost: { sandbox, name in machine.open(sandbox: sandbox, name: name) },
      names: { devices in machine.names(for: devices) })
  }

  /// The variables Berth knows; the others are none of its business.
  private static func readEnvironment() -> [String: String] {
    var result: [String: String] = [:]
    for name in [
      "BERTH_SANDBOX", "BERTH_MANIFEST", "BERTH_ROOT", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM", "LC_ALL",
      "LC_CTYPE", "LANG",
    ] {
      if let value = unsafe getenv(name) { result[name] = unsafe String(cString: value) }
    }
    return result
  }
}

/// Where text goes. What nobody reads any more is dropped in silence, as `berth plan | head` wants it.
final class OutputStream: Sendable {
  private let descriptor: Int32
  private let firstFailure = Mutex<Int32?>(nil)

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// The errno value of the first text that could not be written; nil also where the reader went away.
  var failure: Int32? { firstFailure.withLock { $0 } }

  /// Writes all of the text, or notes why not.
  func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      let number = errno
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if number != EINTR {
        if number != EPIPE { firstFailure.withLock { $0 = $0 ?? number } }
        return
      }
    }
  }
}
