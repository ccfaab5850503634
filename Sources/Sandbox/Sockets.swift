import CLinux
import Glibc

/// Stream sockets in the file system.
enum Sockets {
  /// Connects. The error is `notRunning` if no program listens.
  static func connect(_ path: String) throws(SandboxError) -> Descriptor {
    let socket = try make()
    let result = try unsafe withAddress(path) { address, length in
      while true {
        let result = unsafe Glibc.connect(socket.number, address, length)
        if result == 0 || errno != EINTR { return result }
      }
    }
    guard result == 0 else {
      let error = errno
      if error == ENOENT || error == ECONNREFUSED {
        throw SandboxError(.notRunning, "no program listens at \(path)", errno: error)
      }
      throw systemError("connecting to \(path)", error)
    }
    return socket
  }

  /// Listens at `path`, for this user alone. `name` is the path for messages.
  static func listen(_ path: String, called name: String) throws(SandboxError) -> Descriptor {
    let socket = try make()
    // The socket's file gets this mode (`unix_bind_bsd`, Linux net/unix/af_unix.c).
    guard fchmod(socket.number, 0o600) == 0 else { throw systemError("protecting \(name)") }
    guard try unsafe withAddress(path, { unsafe Glibc.bind(socket.number, $0, $1) }) == 0 else {
      throw systemError("binding \(name)")
    }
    guard Glibc.listen(socket.number, 128) == 0 else { throw systemError("listening at \(name)") }
    return socket
  }

  /// Returns the process and the user that listened at the other end of a connection; nil if the kernel does not know.
  static func listener(of socket: borrowing Descriptor) -> (process: pid_t, user: uid_t)? {
    var user: uid_t = 0
    let process = unsafe berth_peer(socket.number, &user)
    return process < 0 ? nil : (process, user)
  }

  /// Returns the next waiting client; nil if none waits.
  static func accept(_ socket: Int32) -> Descriptor? {
    let number = Glibc.accept(socket, nil, nil)
    guard number >= 0 else { return nil }
    _ = fcntl(number, F_SETFD, FD_CLOEXEC)
    _ = fcntl(number, F_SETFL, O_NONBLOCK)
    return Descriptor(number)
  }

  /// Sends all of `bytes`. Returns false if the other side is gone.
  static func send(_ bytes: some Collection<UInt8>, to socket: Int32) -> Bool {
    var pending = Array(bytes)
    while flush(&pending, to: socket) {
      if pending.isEmpty { return true }
      guard waitFor(socket, Int16(POLLOUT), milliseconds: 5000) else { return false }
    }
    return false
  }

  /// Sends as much as the other side takes now, and leaves the rest in `pending`. Returns false if the other side is
  /// gone.
  static func flush(_ pending: inout [UInt8], to socket: Int32) -> Bool {
    while !pending.isEmpty {
      let count = unsafe pending.withUnsafeBytes {
        unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return true }
      guard count > 0 else { return false }
      pending.removeFirst(count)
    }
    return true
  }

  /// Returns what has arrived: empty if the other side has closed, nil if nothing is there yet.
  static func receive(_ socket: Int32, atMost most: Int = 65536) -> [UInt8]? {
    var chunk = [UInt8](repeating: 0, count: most)
    while true {
      let count = unsafe recv(socket, &chunk, most, 0)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return nil }
      return Array(chunk[..<max(0, count)])
    }
  }

  /// Waits for one descriptor; returns false if the time is over.
  static func waitFor(_ descriptor: Int32, _ events: Int16, milliseconds: Int32) -> Bool {
    let end = ContinuousClock.now + .milliseconds(Int(milliseconds))
    while true {
      var entry = pollfd(fd: descriptor, events: events, revents: 0)
      let left = max(0, (end - ContinuousClock.now).wholeMilliseconds)
      let count = unsafe poll(&entry, 1, milliseconds < 0 ? -1 : Int32(clamping: left))
      if count > 0 { return true }
      if count < 0, errno == EINTR { continue }
      return false
    }
  }

  private static func make() throws(SandboxError) -> Descriptor {
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw systemError("making a socket") }
    return Descriptor(number)
  }

  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws(SandboxError) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count <= SandboxPaths.longestSocketPath else {
      throw SandboxError(.pathTooLong, "the path of a socket is too long: \(path)")
    }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}

extension Duration {
  /// The milliseconds, rounded up, so that a wait of this length is never too short.
  var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
  }
}
