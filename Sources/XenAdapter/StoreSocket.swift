import Glibc
import Ports

/// The socket and the devices at which a xenstored answers.
package struct StorePlace: Hashable, Sendable {
  /// The path of the daemon's socket.
  package let socket: String
  /// The devices that lead to a daemon in another domain, tried in their order if nobody listens at the socket.
  package let devices: [String]

  package init(socket: String, devices: [String] = []) { (self.socket, self.devices) = (socket, devices) }
}

/// A connection to xenstored as a stream of bytes. No call waits longer than its deadline.
///
/// xenstored listens at a socket. If it runs in another domain, a device of dom0's kernel carries the same protocol
/// (drivers/xen/xenbus/xenbus_dev_frontend.c, Linux 6.1).
struct StoreSocket: ~Copyable, Sendable {
  /// The time between two attempts to connect while xenstored accepts nobody.
  private static let pause = Duration.milliseconds(20)

  /// The descriptor of the connection, for waiting.
  let number: Int32
  private let isDevice: Bool

  private init(number: Int32, isDevice: Bool) { (self.number, self.isDevice) = (number, isDevice) }

  deinit { _ = close(number) }

  /// Connects to the daemon at `place`: at its socket, or at the first of its devices if nobody listens at the socket.
  static func connect(to place: StorePlace, until deadline: inout AnswerLimit.Deadline) throws(StoreError)
    -> StoreSocket
  {
    // The relevant failure is that of the socket, even if a device was tried after it.
    let failure: StoreError
    do throws(StoreError) { return try connect(at: place.socket, until: &deadline) } catch { failure = error }
    guard failure.code == .unreachable else { throw failure }
    for device in place.devices {
      let number = unsafe open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC)
      if number >= 0 { return StoreSocket(number: number, isDevice: true) }
    }
    throw failure
  }

  private static func connect(at path: String, until deadline: inout AnswerLimit.Deadline) throws(StoreError)
    -> StoreSocket
  {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
      guard path.utf8.count < place.count else { return false }
      unsafe place.copyBytes(from: path.utf8)
      return true
    }
    guard fits else { throw failure(ENAMETOOLONG) }
    let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let number = Glibc.socket(AF_UNIX, Int32(type), 0)
    guard number >= 0 else { throw failure(errno) }
    let socket = StoreSocket(number: number, isDevice: false)
    while true {
      let result = unsafe withUnsafePointer(to: address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      if result == 0 { return socket }
      let error = errno
      if error == EINTR { continue }
      // The queue of those who wait to be accepted is full (`unix_stream_connect`, net/unix/af_unix.c, Linux 6.1).
      guard error == EAGAIN else { throw failure(error) }
      guard deadline.pause(pause) else { throw StoreError(.timedOut, operation: "connect", errno: ETIMEDOUT) }
    }
  }

  /// Returns the failure of an attempt to connect. It means that no daemon answers, except for missing rights and missing
  /// resources of this process.
  private static func failure(_ number: Int32) -> StoreError {
    let code: StoreCode =
      if StoreCode(errno: number) == .notPermitted {
        .notPermitted
      } else if [EMFILE, ENFILE, ENOMEM, ENOBUFS].contains(number) {
        .other
      } else {
        .unreachable
      }
    return StoreError(code, operation: "connect", errno: number)
  }

  // MARK: Bytes

  /// Sends all of `bytes`. Returns 0, or the error number; ETIMEDOUT if the deadline has passed.
  func send(_ bytes: [UInt8], until deadline: inout AnswerLimit.Deadline) -> Int32 {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { bytes in
        isDevice
          ? unsafe write(number, bytes.baseAddress, bytes.count)
          : unsafe Glibc.send(number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      }
      let error = errno
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if error == EAGAIN {
        guard deadline.awaitReady(number, POLLOUT) else { return ETIMEDOUT }
      } else if error != EINTR {
        return error
      }
    }
    return 0
  }

  /// Returns what has arrived, at most 16 KiB, without waiting; nil if nothing is there yet. Throws `lost` if the
  /// connection has ended.
  func receive() throws(StoreError) -> [UInt8]? {
    try unsafe withUnsafeTemporaryAllocation(byteCount: 16 * 1024, alignment: 1) {
      (buffer) throws(StoreError) -> [UInt8]? in
      while true {
        let count = unsafe read(number, buffer.baseAddress, buffer.count)
        let error = errno
        if count > 0 { return unsafe Array(buffer[..<count]) }
        if count == 0 { throw StoreError(.lost, operation: "receive", errno: EPIPE) }
        if error == EAGAIN { return nil }
        guard error == EINTR else { throw StoreError(.lost, operation: "receive", errno: error) }
      }
    }
  }

  /// Ends the connection in both directions. xenstored drops its open transaction.
  func shutDown() { _ = shutdown(number, Int32(SHUT_RDWR)) }

  /// The process that listens at the socket (`SO_PEERCRED`, unix(7)); nil for a device.
  var listener: Int32? {
    // struct ucred: the process, its user and its group.
    var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
    var length = socklen_t(MemoryLayout.size(ofValue: credentials))
    guard unsafe getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0, credentials.0 > 0 else {
      return nil
    }
    return credentials.0
  }
}
