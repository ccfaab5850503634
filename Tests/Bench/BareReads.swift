import CXenStore
import Glibc

/// The reads of an observation, done only by libxenstore's calls: one connection, one loop.
final class BareReads {
  enum Kind { case read, list }
  struct Request {
    let kind: Kind
    let path: String
  }

  private let requests: [(kind: Kind, path: [CChar])]
  private let socket: String

  init(_ requests: [Request], socket: String) {
    self.requests = requests.map { ($0.kind, Array($0.path.utf8CString)) }
    self.socket = socket
  }

  var count: Int { requests.count }

  /// Makes all reads. Returns the time in milliseconds, including the connection's start and end.
  func run() throws(BenchError) -> Double {
    _ = unsafe setenv("XENSTORED_PATH", socket, 1)
    let start = ContinuousClock.now
    guard let handle = unsafe xs_open(0) else { throw BenchError("cannot connect to \(socket): errno \(errno)") }
    defer { unsafe xs_close(handle) }
    for (kind, path) in requests {
      var length: UInt32 = 0
      switch kind {
      case .read:
        let value = unsafe xs_read(handle, 0, path, &length)
        if unsafe value == nil, errno != ENOENT { throw BenchError("xs_read: errno \(errno)") }
        unsafe free(value)
      case .list:
        let names = unsafe xs_directory(handle, 0, path, &length)
        if unsafe names == nil, errno != ENOENT { throw BenchError("xs_directory: errno \(errno)") }
        unsafe free(names)
      }
    }
    return (ContinuousClock.now - start).milliseconds
  }
}
