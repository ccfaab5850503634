import CXenStore
import Glibc
package import Ports
import Synchronization
package import XenProtocol

/// Makes connections to one xenstored.
package struct XenStoreConnector: StoreConnector {
  private let socket: String?
  private let interruptDescriptor: Int32?
  private let counters = StoreCounters()

  /// `socket` names the daemon's socket; nil leaves the search to libxenstore (`XENSTORED_PATH`, its compiled-in
  /// path, Xen's device). Waits end early while `interruptDescriptor` is readable.
  package init(socket: String?, interruptDescriptor: Int32?) {
    self.socket = socket
    self.interruptDescriptor = interruptDescriptor
  }

  package func connect() throws(HostError) -> any StorePort {
    try XenStoreConnection(socket: socket, interruptDescriptor: interruptDescriptor, counters: counters)
  }

  /// What all connections of this connector have asked so far.
  package var statistics: StoreStatistics { counters.values }
}

/// One connection to xenstored.
///
/// Requests have no time limit: libxenstore waits for each answer. Once a request fails with `lost`, every later one
/// does; a new connection is the way on.
package final class XenStoreConnection: StorePort {
  /// So many attempts of a transaction come without a pause before: a conflict is usually with one short transaction, which
  /// is over when this one is told, and the caller may hold libxl's lock.
  private static let immediateAttempts = 4

  private let handle: XenStoreHandle
  private let socket: String?
  private let interruptDescriptor: Int32?
  /// Kept between waits. A connection of its own: the first watch starts a reader thread in the library, through which
  /// every later answer would take a detour (`xs_watch`, tools/libs/store/xs.c).
  private let idleWatcher = Mutex<XenStoreWatcher?>(nil)

  init(socket: String?, interruptDescriptor: Int32?, counters: StoreCounters) throws(HostError) {
    self.socket = socket
    self.interruptDescriptor = interruptDescriptor
    handle = try XenStoreHandle(socket: socket, counters: counters)
  }

  package func read(_ path: StorePath) throws(HostError) -> String? { try handle.read(path.text, in: noTransaction) }

  package func list(_ path: StorePath) throws(HostError) -> [String]? {
    try handle.list(path.text, in: noTransaction)
  }

  /// C xenstored gives a transaction no snapshot: two reads can see two moments, which only the commit finds out. So a
  /// body that aborts without having written is committed all the same, and its answer stands on proven reads.
  package func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result {
    let leastEnd = ContinuousClock.now + patience.leastTime
    for attempt in 0... {
      guard attempt < patience.rawValue || ContinuousClock.now < leastEnd else { break }
      if attempt >= Self.immediateAttempts { pause(attempt - Self.immediateAttempts) }
      let number = try handle.startTransaction()
      let mark = WriteMark()
      let decision: StoreDecision<Result>
      do throws(HostError) {
        decision = try body(XenStoreTransaction(handle: handle, number: number, mark: mark))
      } catch {
        handle.abort(number)
        throw error
      }
      switch decision {
      case .abort(let result) where mark.isSet:
        handle.abort(number)
        return result
      case .abort(let result), .commit(let result):
        guard try handle.commit(number) else { continue }
        if mark.isSet { handle.counters.commits.count() }
        return result
      }
    }
    throw .store(StoreError(.conflict, operation: "commit", errno: EAGAIN))
  }

  package func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    let kept = idleWatcher.withLock { $0.take() }
    let watcher: XenStoreWatcher
    if let kept { watcher = kept } else { watcher = try XenStoreWatcher(socket: socket, counters: handle.counters) }
    // The token sets this wait's events apart from what an earlier wait may have left in the pipe.
    let token = watcher.nextToken()
    for path in paths { try watcher.watch(path: path.text, token: token) }
    let outcome = try wait(with: watcher, token: token, until: deadline, condition)
    for path in paths { try watcher.unwatch(path: path.text, token: token) }
    idleWatcher.withLock { $0 = watcher }
    return outcome
  }

  private func wait<Result>(
    with watcher: XenStoreWatcher, token: String, until deadline: ContinuousClock.Instant,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    // The first look comes with the event that tells of the registration. That event cannot be told from a change's:
    // xenstored sends one for both where the change comes before it was taken (add_event, XSA-326).
    while true {
      switch try watcher.nextEvents(until: deadline, interruptDescriptor: interruptDescriptor) {
      case .events(let events):
        guard events.contains(where: { $0.token == token }) else { continue }
        if let result = try condition() { return .satisfied(result) }
        // A guest that never stops writing must not keep the wait from ending.
        if ContinuousClock.now >= deadline { return .timedOut }
      case .timedOut:
        if let result = try condition() { return .satisfied(result) }
        return .timedOut
      case .interrupted: return .interrupted
      }
    }
  }

  /// Sleeps at random so that two writers part ways: at most 1 ms the first time, twice as long each time, up to 20 ms.
  private func pause(_ earlierPauses: Int) {
    let longest = earlierPauses < 5 ? 1 << earlierPauses : 20
    var time = timespec(tv_sec: 0, tv_nsec: Int.random(in: 0...longest * 1_000_000))
    _ = unsafe nanosleep(&time, nil)
  }
}

/// `XBT_NULL`: a request outside any transaction.
private let noTransaction: xs_transaction_t = 0

/// Whether a request in a transaction would change a node.
private final class WriteMark { var isSet = false }

/// One transaction, valid only inside the closure it is lent to.
struct XenStoreTransaction: ~Copyable, StoreAccess {
  private let handle: XenStoreHandle
  private let number: xs_transaction_t
  private let mark: WriteMark

  fileprivate init(handle: XenStoreHandle, number: xs_transaction_t, mark: WriteMark) {
    (self.handle, self.number, self.mark) = (handle, number, mark)
  }

  borrowing func read(_ path: StorePath) throws(HostError) -> String? { try handle.read(path.text, in: number) }

  borrowing func list(_ path: StorePath) throws(HostError) -> [String]? { try handle.list(path.text, in: number) }

  borrowing func write(_ path: StorePath, _ value: String) throws(HostError) {
    mark.isSet = true
    try handle.write(path.text, value, in: number)
  }

  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(HostError) {
    mark.isSet = true
    try handle.makeDirectory(path.text, permissions, in: number)
  }

  borrowing func remove(_ path: StorePath) throws(HostError) {
    mark.isSet = true
    try handle.remove(path.text, in: number)
  }
}
