import Glibc
import Model

/// A started program: its output so far, and the way to end it.
///
/// It is used by one thread at a time. The caller that starts it must call `end`, or use `Command.run`.
// Size 10/5: one process and its pipes.
package final class RunningProcess {
  package let pid: Int32
  private var outputBytes: [UInt8] = []
  private var errorBytes: [UInt8] = []
  private var outputPipe: Int32
  private var errorPipe: Int32
  private var status: Int32?

  package var output: String { String(decoding: outputBytes, as: UTF8.self) }
  package var errors: String { String(decoding: errorBytes, as: UTF8.self) }

  init(_ command: Command) throws {
    let output = try Self.pipe()
    let errors = try Self.pipe()
    let input = try Self.input(command.input)
    defer { for end in [output.write, errors.write, input] { close(end) } }
    var environment = Self.environment()
    for (name, value) in command.environment { environment[name] = value }

    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (target, end) in [input, output.write, errors.write].enumerated() {
      unsafe posix_spawn_file_actions_adddup2(&actions, end, Int32(target))
    }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // Threads of the test program block signals, and started programs would inherit that.
    var none = sigset_t()
    var all = sigset_t()
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

    var pid = pid_t()
    var arguments = unsafe ([command.program] + command.arguments).map { unsafe strdup($0) } + [nil]
    var variables = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (arguments + variables).forEach { unsafe free($0) } }
    let status = unsafe posix_spawnp(&pid, command.program, &actions, &attributes, &arguments, &variables)
    guard status == 0 else {
      close(output.read)
      close(errors.read)
      throw Command.Failure(description: "cannot start \(command): \(ErrorNumber.text(of: status))")
    }
    self.pid = pid
    (outputPipe, errorPipe) = (output.read, errors.read)
  }

  deinit {
    end(SIGKILL)
    for end in [outputPipe, errorPipe] where end >= 0 { close(end) }
  }

  /// Reads the program's output until both outputs are closed, `isEnough` returns true, or the deadline is over.
  ///
  /// Returns whether one of the first two happened. A child that keeps an output open delays the end.
  package func collect(until deadline: ContinuousClock.Instant, _ isEnough: (RunningProcess) -> Bool) -> Bool {
    while outputPipe >= 0 || errorPipe >= 0 {
      if isEnough(self) { return true }
      var ends = [
        pollfd(fd: outputPipe, events: Int16(POLLIN), revents: 0),
        pollfd(fd: errorPipe, events: Int16(POLLIN), revents: 0),
      ]
      let left = deadline - ContinuousClock.now
      guard left > .zero else { return false }
      let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
      _ = unsafe poll(&ends, 2, Int32(clamping: milliseconds))
      if ends[0].revents != 0 { Self.read(&outputPipe, into: &outputBytes) }
      if ends[1].revents != 0 { Self.read(&errorPipe, into: &errorBytes) }
    }
    return true
  }

  /// Sends a signal to the program and all its children, and waits for their end. After `limit` they are killed.
  ///
  /// A second call does nothing.
  @discardableResult
  package func end(_ signal: Int32, within limit: Duration = .seconds(10)) -> Int32 {
    if let status { return status }
    kill(-pid, signal)
    if signal != SIGKILL, !collect(until: .now + limit, { _ in false }) { kill(-pid, SIGKILL) }
    // Until the program is reaped, no other process group can get its number.
    var information = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    kill(-pid, SIGKILL)
    return waitForExit()
  }

  /// Waits for the program's end. Returns the exit code; for a signal 128 plus its number.
  package func waitForExit() -> Int32 {
    if let status { return status }
    var raw: Int32 = 0
    while unsafe waitpid(pid, &raw, 0) < 0, errno == EINTR {}
    let ended = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
    status = ended
    return ended
  }

  /// Waits until a signal has stopped the program. Returns false if the program ended instead.
  package func waitUntilStopped() -> Bool {
    var information = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(pid), &information, WSTOPPED | WEXITED | WNOWAIT) < 0 {
      guard errno == EINTR else { return false }
    }
    return unsafe information.si_code == CLD_STOPPED
  }

  // MARK: Pieces

  private static func read(_ end: inout Int32, into bytes: inout [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = unsafe Glibc.read(end, &buffer, buffer.count)
    if count > 0 {
      bytes += buffer[..<count]
    } else if count == 0 || errno != EINTR {
      close(end)
      end = -1
    }
  }

  /// Returns the two ends of a pipe. A program that another thread starts meanwhile does not inherit them; it could
  /// keep them open for ever.
  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
      throw Command.Failure(description: "socketpair: \(errno)")
    }
    return (ends[0], ends[1])
  }

  /// Returns a descriptor from which the text can be read.
  ///
  /// The text must be short, because it is written before the program runs.
  private static func input(_ text: String?) throws -> Int32 {
    guard let text else { return unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) }
    let ends = try pipe()
    defer { close(ends.write) }
    let bytes = [UInt8](text.utf8)
    guard unsafe send(ends.write, bytes, bytes.count, Int32(MSG_DONTWAIT)) == bytes.count else {
      throw Command.Failure(description: "the input is too long to be written at once")
    }
    return ends.read
  }

  private static func environment() -> [String: String] {
    var result: [String: String] = [:]
    var index = 0
    while let entry = unsafe environ[index] {
      let text = unsafe String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        result[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      index += 1
    }
    return result
  }
}
