import Commands
import Glibc
import Model
import SandboxCommands
import Synchronization

/// Connects the commands to this machine.
@main
struct Berth {
  static func main() {
    // A reader that ends early (`berth plan | head`) must not end an apply half-way. With SIGPIPE ignored, only the
    // write fails.
    _ = signal(SIGPIPE, SIG_IGN)
    let output = OutputStream(STDOUT_FILENO)
    let status = runBerth(
      Array(CommandLine.arguments.dropFirst()), in: liveContext(output), adding: SandboxCommandSet.self)
    if let number = output.failure {
      // A truncated answer must not look like a complete one. A failed command keeps its own exit status.
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
      wallClock: { machine.secondsSince1970 },
      hostName: { machine.name }, sandboxHostName: { SandboxCommandSet.hostName(ofSandbox: $0) },
      openHost: { sandbox, name in machine.open(sandbox: sandbox, name: name) },
      names: { devices in machine.names(for: devices) })
  }

  /// Returns the variables that Berth reads. All others are ignored.
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

/// A destination of text. If the reader is gone, text is dropped silently, as `berth plan | head` requires.
final class OutputStream: Sendable {
  private let descriptor: Int32
  private let firstFailure = Mutex<Int32?>(nil)

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// The errno value of the first failed write; nil also if the reader is gone.
  var failure: Int32? { firstFailure.withLock { $0 } }

  /// Writes the whole text, or records why the write failed.
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
