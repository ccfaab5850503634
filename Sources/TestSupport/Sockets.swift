import Glibc

/// Returns a socket that accepts connections at a path. It does not block its callers longer than they ask.
package func listeningSocket(_ path: String) throws -> Int32 {
  let number = try makeSocket()
  let status = try unsafe withAddress(path) { address, length in unsafe bind(number, address, length) }
  guard status == 0, listen(number, 8) == 0 else {
    defer { close(number) }
    throw Command.Failure(description: "cannot listen at \(path): \(errno)")
  }
  return number
}

/// Returns whether a program accepts connections at a path.
package func canConnect(to path: String) throws -> Bool {
  guard let number = try connectedSocket(path) else { return false }
  close(number)
  return true
}

/// Connects to the program that listens at a path; returns nil if there is none.
package func connectedSocket(_ path: String) throws -> Int32? {
  let number = try makeSocket()
  do {
    let status = try unsafe withAddress(path) { address, length in unsafe connect(number, address, length) }
    if status == 0 { return number }
  } catch {
    close(number)
    throw error
  }
  close(number)
  return nil
}

/// Limits reading and writing on a socket to `limit` seconds. After that they fail with `EAGAIN`.
package func limitWaits(of number: Int32, to limit: Int) throws {
  var time = timeval(tv_sec: limit, tv_usec: 0)
  let length = socklen_t(MemoryLayout<timeval>.size)
  for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
    guard unsafe setsockopt(number, SOL_SOCKET, option, &time, length) == 0 else {
      throw Command.Failure(description: "setsockopt: \(errno)")
    }
  }
}

private func makeSocket() throws -> Int32 {
  let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  guard number >= 0 else { throw Command.Failure(description: "socket: \(errno)") }
  return number
}

private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) throws -> Int32 {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let bytes = Array(path.utf8)
  guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
    throw Command.Failure(description: "too long for a socket: \(path)")
  }
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
  return unsafe withUnsafePointer(to: &address) {
    unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
