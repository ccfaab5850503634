import Glibc
import Model

/// One connection to a sandbox's simulator: one line out, one line back. Not safe for several threads.
final class SandboxLine {
  private let socket: Descriptor
  private var received: [UInt8] = []

  init(_ paths: SandboxPaths) throws(SandboxError) {
    socket = try Sockets.connect(paths.hypervisorSocket)
    guard let user = Sockets.listener(of: socket)?.user, user == geteuid() else {
      throw SandboxError(.notOwned, "another user's program listens at \(paths.hypervisorSocket)")
    }
  }

  /// Returns the text after `ok`. Throws the text after `error`, as its number and message.
  ///
  /// The wait for the answer ends at the deadline. It ends a second after `interruptDescriptor` has become readable, if
  /// that is earlier.
  func ask(
    _ request: String, until deadline: ContinuousClock.Instant = .now + .seconds(30), interruptDescriptor: Int32? = nil
  ) throws(SandboxError) -> String {
    var wait = Wait(end: deadline, interruptDescriptor: interruptDescriptor)
    guard Sockets.send(Array((request + "\n").utf8), to: socket.number) else {
      throw SandboxError(.ended, "the sandbox's simulator is gone", errno: EPIPE)
    }
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: received[..<end], as: UTF8.self)
        received.removeSubrange(...end)
        if line == "ok" { return "" }
        if line.hasPrefix("ok ") { return String(line.dropFirst(3)) }
        let words = line.split(separator: " ", maxSplits: 2)
        let number = words.count > 1 ? Int32(words[1]) ?? EPROTO : EPROTO
        throw SandboxError(
          number == ENOENT ? .notFound : .system, words.count > 2 ? String(words[2]) : ErrorNumber.text(of: number),
          errno: number)
      }
      guard wait.isReadable(socket.number) else {
        throw SandboxError(.timedOut, "the sandbox's simulator did not answer '\(request)' in time", errno: ETIMEDOUT)
      }
      guard let bytes = Sockets.receive(socket.number), !bytes.isEmpty else {
        throw SandboxError(.ended, "the sandbox's simulator is gone", errno: EPIPE)
      }
      received += bytes
    }
  }

  /// The time that is left for an answer.
  private struct Wait {
    var end: ContinuousClock.Instant
    /// Nil from the moment on at which the stop is known.
    var interruptDescriptor: Int32?

    /// Waits until `descriptor` can be read, or has failed. Returns false if the time is over.
    mutating func isReadable(_ descriptor: Int32) -> Bool {
      while true {
        let left = (end - .now).wholeMilliseconds
        guard left > 0 else { return false }
        var entries = [
          pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
          pollfd(fd: interruptDescriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        guard unsafe poll(&entries, 2, Int32(clamping: left)) >= 0 || errno == EINTR else { return false }
        if entries[0].revents != 0 { return true }
        if entries[1].revents != 0 {
          end = min(end, .now + .seconds(1))
          interruptDescriptor = nil
        }
      }
    }
  }
}
