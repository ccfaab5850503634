import CXenStore
import Glibc
import Model
import Ports
import Synchronization
import XenProtocol

/// Owns one `xs_handle`. Only its destruction closes the handle.
///
/// `@unchecked Sendable`: libxenstore serialises the requests of a handle by a mutex of its own (`xs_talkv`,
/// tools/libs/store/xs.c, Xen 4.17), and the pointer never changes.
@safe final class XenStoreHandle: @unchecked Sendable {
  /// The largest value, in bytes, that is accepted from a node. xenstored's own messages end at 4096.
  static let longestValue = 64 * 1024

  private let raw: OpaquePointer
  let counters: StoreCounters

  /// Connects to the daemon at `socket`; for nil, to the daemon that libxenstore finds.
  init(socket: String?, counters: StoreCounters) throws(HostError) {
    ignoreBrokenPipes
    let (handle, failure) = unsafe socketVariable.withLock { unsafe $0.open(socket) }
    guard let handle = unsafe handle else {
      // Every failure to connect, except missing rights, means that no daemon answers.
      let code: StoreCode = StoreCode(errno: failure) == .notPermitted ? .notPermitted : .unreachable
      throw .store(StoreError(code, operation: "connect", errno: failure))
    }
    unsafe raw = handle
    self.counters = counters
  }

  deinit { unsafe xs_close(raw) }

  // MARK: Requests; `XBT_NULL` as the transaction means none

  func read(_ path: String, in transaction: xs_transaction_t) throws(HostError) -> String? {
    counters.requests.count()
    var length: UInt32 = 0
    guard let bytes = unsafe xs_read(raw, transaction, path, &length) else {
      let failure = errno
      if failure == ENOENT { return nil }
      throw .store(StoreError(errno: failure, operation: "read", place: path))
    }
    defer { unsafe free(bytes) }
    guard length <= Self.longestValue else {
      throw .store(StoreError(.refused, operation: "read", place: path, errno: E2BIG))
    }
    return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: Int(length)), as: UTF8.self)
  }

  func list(_ path: String, in transaction: xs_transaction_t) throws(HostError) -> [String]? {
    counters.requests.count()
    var count: UInt32 = 0
    guard let names = unsafe xs_directory(raw, transaction, path, &count) else {
      let failure = errno
      if failure == ENOENT { return nil }
      throw .store(StoreError(errno: failure, operation: "list", place: path))
    }
    defer { unsafe free(names) }
    var result: [String] = []
    result.reserveCapacity(Int(count))
    for index in 0..<Int(count) {
      if let name = unsafe names[index] { unsafe result.append(String(cString: name)) }
    }
    return result
  }

  func write(_ path: String, _ value: String, in transaction: xs_transaction_t) throws(HostError) {
    counters.requests.count()
    counters.writes.count()
    var value = value
    let failure: Int32 = value.withUTF8 { bytes in
      unsafe xs_write(raw, transaction, path, bytes.baseAddress, UInt32(bytes.count)) ? 0 : errno
    }
    if failure != 0 { throw .store(StoreError(errno: failure, operation: "write", place: path)) }
  }

  func makeDirectory(
    _ path: String, _ permissions: StorePermissions, in transaction: xs_transaction_t
  ) throws(HostError) {
    counters.requests.count()
    counters.writes.count()
    guard unsafe xs_mkdir(raw, transaction, path) else {
      throw .store(StoreError(errno: errno, operation: "make-directory", place: path))
    }
    var entries = [
      xs_permissions(id: permissions.owner.rawValue, perms: UInt32(XS_PERM_NONE))
    ]
    if let reader = permissions.reader {
      entries.append(xs_permissions(id: reader.rawValue, perms: UInt32(XS_PERM_READ)))
    }
    counters.requests.count()
    counters.writes.count()
    guard unsafe xs_set_permissions(raw, transaction, path, &entries, UInt32(entries.count)) else {
      throw .store(StoreError(errno: errno, operation: "set-permissions", place: path))
    }
  }

  func remove(_ path: String, in transaction: xs_transaction_t) throws(HostError) {
    counters.requests.count()
    counters.writes.count()
    guard unsafe xs_rm(raw, transaction, path) else {
      let failure = errno
      // A missing leaf is no error to xenstored; ENOENT means that its parent is missing too.
      if failure == ENOENT { return }
      throw .store(StoreError(errno: failure, operation: "remove", place: path))
    }
  }

  // MARK: Transactions

  func startTransaction() throws(HostError) -> xs_transaction_t {
    counters.requests.count()
    let transaction = unsafe xs_transaction_start(raw)
    guard transaction != 0 else { throw .store(StoreError(errno: errno, operation: "start-transaction")) }
    counters.transactions.count()
    return transaction
  }

  /// Ends a transaction; returns false if it met a conflict. Its number is invalid afterwards.
  func commit(_ transaction: xs_transaction_t) throws(HostError) -> Bool {
    counters.requests.count()
    if unsafe xs_transaction_end(raw, transaction, false) { return true }
    let failure = errno
    guard failure == EAGAIN else { throw .store(StoreError(errno: failure, operation: "commit")) }
    counters.conflicts.count()
    return false
  }

  /// Aborts a transaction. A failure is dropped on purpose: the caller's own error or result matters more, and the
  /// transaction ends with its connection at the latest.
  func abort(_ transaction: xs_transaction_t) {
    counters.requests.count()
    _ = unsafe xs_transaction_end(raw, transaction, true)
  }

  // MARK: Watches

  /// Watches a node and everything below it. The daemon immediately sends one event for the watch.
  func watch(_ path: String, token: String) throws(HostError) {
    counters.requests.count()
    guard unsafe xs_watch(raw, path, token) else {
      throw .store(StoreError(errno: errno, operation: "watch", place: path))
    }
  }

  func unwatch(_ path: String, token: String) throws(HostError) {
    counters.requests.count()
    guard unsafe xs_unwatch(raw, path, token) else {
      throw .store(StoreError(errno: errno, operation: "unwatch", place: path))
    }
  }

  /// Readable while events are pending.
  func eventDescriptor() throws(HostError) -> Int32 {
    let descriptor = unsafe xs_fileno(raw)
    guard descriptor >= 0 else { throw .store(StoreError(errno: errno, operation: "watch")) }
    return descriptor
  }

  /// Returns the next pending event; nil if there is none.
  func nextEvent() throws(HostError) -> (path: String, token: String)? {
    guard let words = unsafe xs_check_watch(raw) else {
      let failure = errno
      if failure == EAGAIN { return nil }
      // The library's reader thread has ended: the call returns EINVAL from then on (`read_watch_internal`).
      throw .store(StoreError(.lost, operation: "watch", errno: failure))
    }
    defer { unsafe free(words) }
    guard let path = unsafe words[Int(XS_WATCH_PATH.rawValue)], let token = unsafe words[Int(XS_WATCH_TOKEN.rawValue)]
    else { throw .store(StoreError(.other, operation: "watch")) }
    return unsafe (String(cString: path), String(cString: token))
  }
}

/// Ignores SIGPIPE for the whole process, once. libxenstore ignores it during each request and then restores what it
/// found, which two simultaneous threads would get wrong (`xs_talkv`, Xen 4.17).
private let ignoreBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

/// `XENSTORED_PATH`, the only way to give libxenstore a socket (`xenstore_daemon_path`, Xen 4.17; later releases use it
/// for the device that they try second). The environment is the whole process's, so it is changed only if necessary.
private struct SocketVariable {
  /// The value with which the program was started.
  private let inherited = unsafe getenv("XENSTORED_PATH").map { unsafe String(cString: $0) }
  private var current: String?

  init() { current = inherited }

  mutating func open(_ socket: String?) -> (OpaquePointer?, errno: Int32) {
    let wanted = socket ?? inherited
    if wanted != current {
      if let wanted { _ = unsafe setenv("XENSTORED_PATH", wanted, 1) } else { _ = unsafe unsetenv("XENSTORED_PATH") }
      current = wanted
    }
    if let handle = unsafe xs_open(0) { return unsafe (handle, 0) }
    var failure = errno
    // The library then tries Xen's device and reports why that failed. The relevant error is that of the socket.
    if let path = unsafe xs_daemon_socket(), unsafe access(path, F_OK) == 0, unsafe access(path, W_OK) != 0 {
      failure = errno
    }
    return (nil, failure)
  }
}

private let socketVariable = Mutex(SocketVariable())
