import CLinux
import Glibc

/// The environment variable that names the descriptor for the message of readiness.
let readyVariable = "BERTH_SANDBOX_READY"

/// Runs a sandbox until it is stopped: the body of the hidden command `berth sandbox serve DIR`.
///
/// SIGTERM and SIGINT end it in order, with xenstored and everything it made except the directory. It throws if it
/// cannot start or loses its xenstored. By then it has reported the error to the program that waits for its readiness.
package func serveSandbox(directory: String) throws(SandboxError) {
  let ready = ReadyLine()
  do {
    // For everything that xenstored makes: nobody else has to do with a sandbox.
    _ = umask(0o077)
    let stop = try stopSignals()
    try serveSandbox(paths: SandboxPaths(directory: directory), stop: stop.number) { ready.tell("ready") }
  } catch {
    ready.tell("error \(error.code.rawValue) \(error.message)")
    throw error
  }
}

/// Serves until `stop` becomes readable. It calls `isReady` when it takes requests.
package func serveSandbox(paths: SandboxPaths, stop: Int32, isReady: () -> Void) throws(SandboxError) {
  let directory = try SandboxDirectory.open(paths.directory)
  let paths = directory.paths
  try paths.check()
  let lock = try SimulatorLock(directory)
  guard try lock.take() else {
    throw SandboxError(.alreadyRunning, "a sandbox is already running in \(paths.directory)")
  }
  guard let description = try directory.content.description(), let text = try directory.readBytes(paths.scenario)
  else { throw SandboxError(.notFound, "\(paths.directory) is not a sandbox: start one there first") }
  let scenario = try parseScenario(text, name: paths.scenario)
  let server = try SandboxServer(
    directory: directory, scenario: scenario, description: description, until: .now + .seconds(20))
  try server.run(stop: stop, isReady: isReady)
}

/// Returns a descriptor that becomes readable on SIGTERM or SIGINT. The signals are blocked for the rest of the
/// process.
private func stopSignals() throws(SandboxError) -> Descriptor {
  var signals = sigset_t()
  unsafe sigemptyset(&signals)
  unsafe sigaddset(&signals, SIGTERM)
  unsafe sigaddset(&signals, SIGINT)
  guard unsafe pthread_sigmask(SIG_BLOCK, &signals, nil) == 0 else { throw systemError("blocking signals") }
  let number = unsafe signalfd(-1, &signals, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
  guard number >= 0 else { throw systemError("waiting for signals") }
  return Descriptor(number)
}

/// The pipe to the program that started this process and waits for its first message.
private final class ReadyLine {
  private var descriptor: Int32?

  init() {
    descriptor = Processes.environment()[readyVariable].flatMap { Int32($0) }
    // xenstored must not inherit the pipe, because the reader also waits for the pipe's end.
    if let descriptor { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
  }

  /// Writes one line, once.
  func tell(_ line: String) {
    guard let descriptor else { return }
    let bytes = Array((line.split(separator: "\n").joined(separator: "\u{1}") + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    self.descriptor = nil
  }
}
