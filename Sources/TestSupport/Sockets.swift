import Glibc

/// A socket that takes connections at a path, not blocking its callers longer than they ask.
package func listeningSocket(_ path: String) throws -> Int32 {
  let number = try makeSocket()
  let status = try unsafe withAddress(path) { address, length in unsafe bind(number, address, length) }
  guard status == 0, listen(number, 8) == 0 else {
    defer { close(number) }
    throw Command.Failure(description: "cannot listen at \(path): \(errno)")
  }
  return number
}

/// Whether something takes connections at a path.
package func canConnect(to path: String) throws -> Bool {
  let number = try makeSocket()
  defer { close(number) }
  return try unsafe withAddress(path) { address, length in unsafe connect(number, address, length) } == 0
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
