import Commands
import Glibc
import LinuxAdapter
import Model
import Ports
import SandboxCommands
import Synchronization

/// Connects the commands to this machine.
@main
struct Berth {
  static func main() {
    // A reader that ends early (`berth plan | head`) must not end an apply half-way. With SIGPIPE ignored, only the
    // write fails.
    _ = signal(SIGPIPE, SIG_IGN)
    Machine.ignoreFileSizeSignal()
    Machine.endOnQuit()
    let closed = Machine.openStandardStreams()
    let output = OutputStream(STDOUT_FILENO, isClosed: closed.contains(STDOUT_FILENO))
    exit(
      runBerth(Array(CommandLine.arguments.dropFirst()), in: liveContext(output), adding: SandboxCommandSet.self))
  }

  private static func liveContext(_ output: OutputStream) -> CommandContext {
    let environment = readEnvironment()
    let machine = Machines(environment: environment)
    return CommandContext(
      environment: environment,
      standardOutput: { output.write($0.description) },
      standardError: { OutputStream(STDERR_FILENO).write($0.description) },
      readLine: { Swift.readLine() },
      isInputTerminal: isatty(STDIN_FILENO) == 1, isOutputTerminal: isatty(STDOUT_FILENO) == 1,
      isErrorTerminal: isatty(STDERR_FILENO) == 1, userID: geteuid(),
      processorCount: Machine.processorCount,
      wallClock: { machine.secondsSince1970 },
      hostName: { machine.name }, sandboxHostName: { SandboxCommandSet.hostName(ofSandbox: $0) },
      openHost: SandboxCommandSet.checkingSandboxes { paths, name, timeout in
        machine.open(sandbox: paths, name: name, answerTimeout: timeout)
      },
      openPulls: SandboxCommandSet.checkingSandboxes { machine.openPulls(sandbox: $0) },
      names: { devices in machine.names(for: devices) },
      classNames: { classes in machine.classNames(for: classes) },
      replaceFile: { (path, bytes) throws(HostError) in
        do throws(RecordError) { try replaceTextFile(path, with: bytes) } catch { throw .record(error) }
      },
      rewriteFile: { (path, old, new) throws(HostError) in
        do throws(RecordError) { return try rewriteTextFile(path, from: old, to: new) } catch { throw .record(error) }
      },
      replacePrivateFile: { (path, bytes) throws(HostError) in
        do throws(RecordError) { try replaceTextFile(path, with: bytes, isPrivate: true) } catch {
          throw .record(error)
        }
      },
      outputLoss: { output.loss }, shortage: Machine.shortage())
  }

  /// Returns the variables that Berth reads. A program that no shell started may have no PWD.
  private static func readEnvironment() -> Environment {
    var result = Environment { name in
      guard let value = unsafe getenv(name) else { return nil }
      return unsafe String(cString: value)
    }
    if result.text(.workingDirectory) == nil { result[.workingDirectory] = Machine.workingDirectory }
    return result
  }
}

/// A destination of text. After the first failure, text is dropped silently, as `berth plan | head` requires.
final class OutputStream: Sendable {
  private let descriptor: Int32
  private let firstLoss: Mutex<OutputLoss?>

  /// `isClosed` says that the program was started without this stream.
  init(_ descriptor: Int32, isClosed: Bool = false) {
    self.descriptor = descriptor
    firstLoss = Mutex(isClosed ? .unread : nil)
  }

  /// Why a text was not written whole; nil if everything was written.
  var loss: OutputLoss? { firstLoss.withLock { $0 } }

  /// Writes the whole text, or records why it could not be written.
  func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      let number = errno
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if number != EINTR {
        firstLoss.withLock { $0 = $0 ?? (number == EPIPE ? .unread : .failed(ErrorNumber.text(of: number))) }
        return
      }
    }
  }
}
