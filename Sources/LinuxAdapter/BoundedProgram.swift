import CLinux
import Glibc

/// A program that runs to its end within bounds: of time, of what it says, and of each file that it writes.
///
/// It has nothing of this program's environment. It leads a process group, and all of the group is ended when the program
/// has ended, or when its time is over. If this program ends first, a process of the group ends the group.
struct BoundedProgram {
  /// The program's file.
  let path: String
  /// The words after the program's name.
  var arguments: [String]
  var environment: [String: String]
  var input: [UInt8] = []
  /// The most that the program may say on standard output.
  var mostBytes = 64 << 10
  /// The most that is kept of its messages. The rest is read and dropped.
  static let mostMessages = 64 << 10
  var mostFileBytes: UInt64 = 1 << 30

  struct Answer {
    /// The exit code; for a signal 128 plus its number.
    var status: Int32
    var output: [UInt8]
    var messages: String
  }

  enum Failure: Error {
    case timedOut
    /// The program said more than it may.
    case tooMuch
    case system(SystemFailure)
  }

  /// Returns what the program said, and how it ended.
  func run(within time: Duration) throws(Failure) -> Answer {
    let talk: Talk
    do throws(SystemFailure) { talk = try Talk(self) } catch { throw .system(error) }
    defer { talk.end() }
    return try talk.run(until: .now + time)
  }
}

/// The two ends of a standard stream. Only this program's own end does not wait.
private struct Stream: ~Copyable {
  let child: Descriptor
  let own: Descriptor

  /// Makes a pipe from the program.
  init() throws(SystemFailure) {
    var ends: [Int32] = [0, 0]
    _ = try retrying("pipe") { unsafe berth_pipe(&ends) }
    own = Descriptor(opened: ends[0])
    child = Descriptor(opened: ends[1])
    // It cannot fail on a pipe that is open.
    _ = fcntl(child.number, F_SETFL, 0)
  }

  /// Makes a connection to the program. A write into a pipe that nobody reads would end this program by a signal.
  init(toProgram: Void) throws(SystemFailure) {
    var ends: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    _ = try retrying("socketpair") { unsafe socketpair(AF_UNIX, type, 0, &ends) }
    own = Descriptor(opened: ends[0])
    child = Descriptor(opened: ends[1])
  }
}

/// What is exchanged with a program that runs. The caller must call `end`.
private final class Talk {
  private let process: pid_t
  /// The process that ends the others if this program is killed.
  private let guardian: pid_t
  private let processEnd: Descriptor
  private let outputStream: Descriptor
  private let messageStream: Descriptor
  private let mostBytes: Int
  /// This program's end of the other one's standard input, while there is more to write.
  private var input: Input?
  private var unwritten: ArraySlice<UInt8>
  /// What has been read of each stream, and whether more can come.
  private var (output, messages) = (Heard(), Heard())

  private final class Input {
    let end: Descriptor
    init(_ end: consuming Descriptor) { self.end = end }
  }

  private struct Heard {
    var bytes: [UInt8] = []
    var isOpen = true
  }

  init(_ program: BoundedProgram) throws(SystemFailure) {
    let input = try Stream(toProgram: ())
    let output = try Stream()
    let messages = try Stream()
    let words = unsafe ([program.path] + program.arguments).map { unsafe strdup($0) } + [nil]
    let variables =
      unsafe program.environment.sorted { $0.key < $1.key }.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (words + variables).forEach { unsafe free($0) } }
    let descriptors = (input.child.number, output.child.number, messages.child.number)
    let process = unsafe program.path.withCString { path in
      unsafe words.withUnsafeBufferPointer { words in
        unsafe variables.withUnsafeBufferPointer { variables in
          var begin = unsafe berth_program(
            path: path, arguments: words.baseAddress, environment: variables.baseAddress, input: descriptors.0,
            output: descriptors.1, errors: descriptors.2, most_file_bytes: program.mostFileBytes)
          return unsafe berth_begin_program(&begin)
        }
      }
    }
    guard process > 0 else { throw SystemFailure("fork", errno) }
    let guardian = berth_begin_guard(process)
    let number = guardian > 0 ? pidfd_open(process, 0) : -1
    guard number >= 0 else {
      let failure = errno
      Self.end(process)
      if guardian > 0 { Self.reap(guardian) }
      throw SystemFailure("fork", failure)
    }
    self.process = process
    self.guardian = guardian
    processEnd = Descriptor(opened: number)
    outputStream = output.own
    messageStream = messages.own
    mostBytes = program.mostBytes
    unwritten = program.input[...]
    self.input = program.input.isEmpty ? nil : Input(input.own)
  }

  func run(until deadline: ContinuousClock.Instant) throws(BoundedProgram.Failure) -> BoundedProgram.Answer {
    do throws(SystemFailure) {
      while true {
        var entries = [
          pollfd(fd: processEnd.number, events: Int16(POLLIN), revents: 0),
          pollfd(fd: output.isOpen ? outputStream.number : -1, events: Int16(POLLIN), revents: 0),
          pollfd(fd: messages.isOpen ? messageStream.number : -1, events: Int16(POLLIN), revents: 0),
          pollfd(fd: input?.end.number ?? -1, events: Int16(POLLOUT), revents: 0),
        ]
        // At least a millisecond, so that a wait does not become a loop.
        let left = BoundedWrite.milliseconds(max(.milliseconds(1), deadline - .now))
        let count = unsafe poll(&entries, nfds_t(entries.count), left)
        if count < 0, errno != EINTR { throw SystemFailure("poll", errno) }
        if count > 0, entries[3].revents != 0 { try give() }
        try Self.take(from: outputStream.number, into: &output, atMost: mostBytes + 1)
        try Self.take(from: messageStream.number, into: &messages, atMost: BoundedProgram.mostMessages)
        if output.bytes.count > mostBytes { throw SystemFailure("read", EFBIG) }
        // If the end was seen, what the program had said before has just been read.
        if count > 0, entries[0].revents != 0 { return try answer() }
        if .now >= deadline { throw SystemFailure("wait", ETIMEDOUT) }
      }
    } catch {
      switch (error.operation, error.errno) {
      case ("wait", ETIMEDOUT): throw .timedOut
      case ("read", EFBIG): throw .tooMuch
      default: throw .system(error)
      }
    }
  }

  /// Reads what is there, and keeps the beginning.
  private static func take(from number: Int32, into heard: inout Heard, atMost most: Int) throws(SystemFailure) {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    // A program that says more and more must not keep the deadline from being seen.
    for _ in 0..<64 where heard.isOpen {
      let count: Int
      do throws(SystemFailure) {
        count = Int(try retrying("read") { unsafe Int32(read(number, &buffer, buffer.count)) })
      } catch {
        if error.errno == EAGAIN { return }
        throw error
      }
      heard.isOpen = count > 0
      heard.bytes += buffer[..<min(count, max(0, most - heard.bytes.count))]
    }
  }

  /// Writes what fits, and closes it behind the last byte.
  private func give() throws(SystemFailure) {
    guard let number = input?.end.number else { return }
    do throws(SystemFailure) {
      let count = Int(
        try retrying("write") {
          unsafe unwritten.withUnsafeBytes {
            unsafe Int32(
              send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)))
          }
        })
      unwritten = unwritten.dropFirst(count)
    } catch {
      if error.errno == EAGAIN { return }
      // The program wants no more of it.
      guard error.errno == EPIPE || error.errno == ECONNRESET else { throw error }
      unwritten = []
    }
    if unwritten.isEmpty { input = nil }
  }

  /// Returns the answer of the program, which has ended.
  private func answer() throws(SystemFailure) -> BoundedProgram.Answer {
    guard let status = Self.end(process) else { throw SystemFailure("waitpid", ECHILD) }
    let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    return BoundedProgram.Answer(
      status: code, output: output.bytes, messages: String(decoding: messages.bytes, as: UTF8.self))
  }

  /// Ends what is left of the program, and its guardian.
  func end() {
    Self.end(process)
    kill(guardian, SIGKILL)
    Self.reap(guardian)
  }

  /// Ends all processes of a group, and returns the status of the one that leads it. Returns nil if that one was reaped
  /// before, or if the kernel does not let it end.
  @discardableResult
  private static func end(_ process: pid_t) -> Int32? {
    var information = unsafe siginfo_t()
    // Until it is reaped, no other group can get its number.
    guard unsafe waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT | WNOHANG) == 0 else { return nil }
    kill(-process, SIGKILL)
    return reap(process)
  }

  /// Returns the status of a process that was ended; nil if the kernel does not let it end. A file system that hangs can
  /// be the reason, and nobody waits for that.
  @discardableResult
  private static func reap(_ process: pid_t) -> Int32? {
    do throws(SystemFailure) {
      if let status = try BoundedWrite.wait(for: process, until: .now + .seconds(5)) { return status }
    } catch { return nil }
    LeftProcesses.add(process)
    return nil
  }
}
