// CLinux includes the header of `timeval`, too, and then the compiler may take the type from there.
import CLinux
import Glibc
import Ports

/// A connection to a QMP server: lines in both directions, each wait with the deadline.
///
/// The server may be hostile: QEMU in a stub domain is no more trusted than its guest. So the size of its messages is
/// limited.
struct QMPChannel: ~Copyable {
  /// libxl's limit for one message (`QMP_MAX_SIZE_RX_BUF`, libxl_qmp.c, Xen 4.17).
  static let longestLine = 1 << 20
  /// A list of all devices has a few kilobytes, and a conversation has few of them.
  static let mostBytes = 8 << 20

  private let path: String
  private let deadline: ContinuousClock.Instant
  private let socket: Descriptor
  private let input = QMPInput()

  /// Connects to the socket `name` in `folder`.
  ///
  /// Throws `unreachable` if nobody listens, and `busy` if the server's queue is full.
  init(folder: String, name: String, until deadline: ContinuousClock.Instant) throws(HostError) {
    path = "\(folder)/\(name)"
    self.deadline = deadline
    do throws(SystemFailure) {
      // A socket's path is limited to 108 bytes, which a sandbox's folder alone may fill.
      let folder = try Descriptor(opening: folder, handleOnly | O_DIRECTORY)
      socket = try Self.connect("\(Root.processes)/self/fd/\(folder.number)/\(name)", until: deadline)
    } catch {
      if error.errno == EAGAIN {
        throw .deviceModel(DeviceModelError(.busy, operation: error.operation, place: path, errno: error.errno))
      }
      throw .deviceModel(DeviceModelError(error, path))
    }
  }

  /// A full queue makes the caller wait, and no event reports its end. So the call itself waits, with a time limit
  /// (`unix_stream_connect`, net/unix/af_unix.c). It throws `EAGAIN` when the limit is reached.
  private static func connect(_ path: String, until deadline: ContinuousClock.Instant) throws(SystemFailure)
    -> Descriptor
  {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw SystemFailure("connect", ENAMETOOLONG)
    }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = Descriptor(opened: try retrying("connect") { Glibc.socket(AF_UNIX, type, 0) })
    _ = try retrying("connect") {
      // Zero would mean no limit.
      let left = max(deadline - ContinuousClock.now, .microseconds(1)).components
      var limit = timeval(tv_sec: Int(left.seconds), tv_usec: max(1, Int(left.attoseconds / 1_000_000_000_000)))
      let length = socklen_t(MemoryLayout<timeval>.size)
      guard unsafe setsockopt(socket.number, SOL_SOCKET, SO_SNDTIMEO, &limit, length) == 0 else { return -1 }
      return unsafe withUnsafePointer(to: &address) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe Glibc.connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
    return socket
  }

  /// Ends the connection. The server sees the end now, before this object is destroyed.
  borrowing func end() { _ = shutdown(socket.number, Int32(SHUT_RDWR)) }

  // MARK: Lines

  /// Sends a line. Throws `lost` if the server has ended the connection.
  borrowing func send(_ line: String, during operation: String) throws(HostError) {
    var rest = Array("\(line)\r\n".utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else {
        try wait(for: POLLOUT, after: errno, during: operation)
      }
    }
  }

  /// Returns the next line that is not blank, without its line end.
  ///
  /// Throws `timedOut` at the deadline, `lost` if the connection ends before the line does, `malformed` beyond the
  /// limits.
  borrowing func line(during operation: String) throws(HostError) -> [UInt8] {
    while true {
      while let line = input.takeLine() {
        // The deadline must also end a conversation with a server that never stops sending.
        if ContinuousClock.now >= deadline { throw timedOut(operation) }
        if line.contains(where: { $0 > 0x20 }) { return line }
      }
      if input.unread > Self.longestLine {
        throw failure(.malformed, operation, "sent a line of more than \(Self.longestLine) bytes")
      }
      if input.total > Self.mostBytes {
        throw failure(.malformed, operation, "sent more than \(Self.mostBytes) bytes")
      }
      if ContinuousClock.now >= deadline { throw timedOut(operation) }
      let count = unsafe input.append { buffer in
        unsafe recv(socket.number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
      }
      if count < 0 {
        try wait(for: POLLIN, after: errno, during: operation)
      } else if count == 0 {
        throw failure(.lost, operation, input.unread == 0 ? "ended the conversation" : "ended in the middle of a line")
      }
    }
  }

  /// Waits until a call that failed with `errno` can go on.
  private borrowing func wait(for events: Int32, after errno: Int32, during operation: String) throws(HostError) {
    if errno == EINTR { return }
    guard errno == EAGAIN else { throw failure(.lost, operation, "ended the conversation", errno) }
    let left = deadline - ContinuousClock.now
    guard left > .zero else { throw timedOut(operation) }
    let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
    var end = pollfd(fd: socket.number, events: Int16(events), revents: 0)
    // Whatever `poll` returns: the caller repeats its call, which reports the result.
    _ = unsafe poll(&end, 1, Int32(clamping: milliseconds))
  }

  // MARK: Failures

  private borrowing func timedOut(_ operation: String) -> HostError {
    failure(.timedOut, operation, "did not answer in time", ETIMEDOUT)
  }

  borrowing func failure(
    _ code: DeviceModelCode, _ operation: String, _ what: String, _ errno: Int32 = 0
  ) -> HostError {
    .deviceModel(DeviceModelError(code, operation: operation, place: path, errno: errno, detail: "it \(what)"))
  }
}

/// The received bytes that nobody has taken yet.
private final class QMPInput {
  /// The number of all received bytes.
  private(set) var total = 0
  private var bytes: [UInt8] = []
  /// Where the first line begins that nobody has taken, and up to where no line end was found.
  private var (start, searched) = (0, 0)

  var unread: Int { bytes.count - start }

  /// Appends what `read` puts into the buffer. Returns the result of `read`: the number of bytes, or less than one.
  func append(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
    // Taken lines are removed here all at once, because there may be very many.
    bytes.removeFirst(start)
    (start, searched) = (0, searched - start)
    return unsafe withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
      let count = unsafe read(buffer)
      if count > 0 {
        unsafe bytes.append(contentsOf: buffer[..<count])
        total += count
      }
      return count
    }
  }

  func takeLine() -> [UInt8]? {
    guard let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) else {
      searched = bytes.count
      return nil
    }
    defer { (start, searched) = (end + 1, end + 1) }
    return Array(bytes[start..<end])
  }
}

/// `O_PATH` (bits/fcntl-linux.h), which Swift's Glibc does not have.
private let handleOnly: Int32 = 0o10_000_000
