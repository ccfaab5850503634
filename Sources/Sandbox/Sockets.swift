import CLinux
import Glibc

/// Stream sockets in the file system.
enum Sockets {
  /// Connects. The error is `notRunning` if no program listens.
  static func connect(_ path: String) throws(SandboxError) -> Descriptor {
    let socket = try make()
    let result = try unsafe withAddress(path) { unsafe Glibc.connect(socket.number, $0, $1) }
    guard result == 0 else {
      let error = errno
      if error == ENOENT || error == ECONNREFUSED {
        throw SandboxError(.notRunning, "no program listens at \(path)", errno: error)
      }
      throw systemError("connecting to \(path)", error)
    }
    return socket
  }

  /// Listens at `path`, for this user alone. A stale socket there is replaced.
  static func listen(_ path: String) throws(SandboxError) -> Descriptor {
    try Files.remove(path)
    let socket = try make()
    guard try unsafe withAddress(path, { unsafe Glibc.bind(socket.number, $0, $1) }) == 0 else {
      throw systemError("binding \(path)")
    }
    guard unsafe chmod(path, 0o600) == 0 else { throw systemError("protecting \(path)") }
    guard Glibc.listen(socket.number, 128) == 0 else { throw systemError("listening at \(path)") }
    return socket
  }

  /// Listens at a name in a directory whose path may have any length.
  ///
  /// A socket's address has room for 107 bytes, so it names the directory by its descriptor, `/proc/self/fd/N`
  /// (proc(5)). The working directory is not changed, because all threads share it.
  static func listen(_ name: String, in directory: String) throws(SandboxError) -> Descriptor {
    let folder = try Files.open(directory, O_RDONLY | O_DIRECTORY)
    let socket = try listen("/proc/self/fd/\(folder.number)/\(name)")
    // The directory must be open up to here.
    _ = consume folder
    return socket
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
