import Glibc
package import Ports
import Synchronization
package import XenProtocol

/// Opens connections to one xenstored.
package struct XenStoreConnector: StoreConnector {
  private let place: StorePlace
  private let limit: AnswerLimit
  private let describe: @Sendable (Int32) -> String
  private let counters = StoreCounters()

  /// Each answer of the daemon must come within `limit`, whose descriptor also ends waits for guests early. `describe`
  /// returns a process and its state as text for people.
  package init(
    _ place: StorePlace, limit: AnswerLimit = AnswerLimit(),
    describe: @escaping @Sendable (Int32) -> String = { "process \($0)" }
  ) {
    (self.place, self.limit, self.describe) = (place, limit, describe)
  }

  package func connect() throws(HostError) -> any StorePort {
    XenStoreConnection(try handle(), watching: handle, limit.interruptDescriptor)
  }

  private func handle() throws(HostError) -> XenStoreHandle {
    try XenStoreHandle(place, limit: limit, counters: counters, describe: describe)
  }

  /// The requests of all connections of this connector so far.
  package var statistics: StoreStatistics { counters.values }
}

/// One connection to xenstored.
///
/// After one request fails with `lost` or `timedOut`, every later request does; the caller needs a new connection.
package final class XenStoreConnection: StorePort {
  /// Number of attempts made without a pause. A conflict is usually with one short transaction, which is over when this
  /// one fails. The caller may hold libxl's lock.
  private static let immediateAttempts = 4

  private let handle: XenStoreHandle
  private let makeHandle: @Sendable () throws(HostError) -> XenStoreHandle
  private let interruptDescriptor: Int32?
  /// The watcher is kept between waits. It has its own connection, so that the events of a busy guest never stand before
  /// the answer to a request.
  private let idleWatcher = Mutex<XenStoreWatcher?>(nil)

  init(
    _ handle: XenStoreHandle, watching makeHandle: @escaping @Sendable () throws(HostError) -> XenStoreHandle,
    _ interruptDescriptor: Int32?
  ) {
    (self.handle, self.makeHandle, self.interruptDescriptor) = (handle, makeHandle, interruptDescriptor)
  }

  package func read(_ path: StorePath) throws(HostError) -> String? {
    try handle.read(path.text, in: XenStoreHandle.noTransaction)
  }

  package func list(_ path: StorePath) throws(HostError) -> [String]? {
    try handle.list(path.text, in: XenStoreHandle.noTransaction)
  }

  /// C xenstored gives a transaction no snapshot: two reads can see two moments, and only the commit detects that. So a
  /// body that aborts without a write is committed anyway, and its result rests on proven reads.
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
    watching paths: [StorePath], until deadline: ContinuousClock.Instant, isInterruptible: Bool,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    let kept = idleWatcher.withLock { $0.take() }
    let watcher: XenStoreWatcher
    if let kept { watcher = kept } else { watcher = XenStoreWatcher(try makeHandle()) }
    // The token distinguishes this wait's events from those that an earlier wait may have left in the pipe.
    let token = watcher.nextToken()
    for path in paths { try watcher.watch(path: path.text, token: token) }
    let outcome = try wait(
      with: watcher, token: token, until: deadline, heeding: isInterruptible ? interruptDescriptor : nil, condition)
    for path in paths { try watcher.unwatch(path: path.text, token: token) }
    idleWatcher.withLock { $0 = watcher }
    return outcome
  }

  private func wait<Result>(
    with watcher: XenStoreWatcher, token: String, until deadline: ContinuousClock.Instant,
    heeding interruptDescriptor: Int32?,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    // The first look follows the event that reports the registration. A change causes an equal event: if the change
    // comes before that event is taken, xenstored sends one for both (add_event, XSA-326).
    while true {
      switch try watcher.nextEvents(until: deadline, interruptDescriptor: interruptDescriptor) {
      case .events(let events):
        guard events.contains(where: { $0.token == token }) else { continue }
        if let result = try condition() { return .satisfied(result) }
        // The wait must also end if a guest never stops writing.
        if ContinuousClock.now >= deadline { return .timedOut }
      case .timedOut:
        if let result = try condition() { return .satisfied(result) }
        return .timedOut
      case .interrupted: return .interrupted
      }
    }
  }

  /// Sleeps for a random time, so that two writers separate. The time is at most 1 ms at first, and its limit doubles
  /// each time, up to 20 ms.
  private func pause(_ earlierPauses: Int) {
    let longest = earlierPauses < 5 ? 1 << earlierPauses : 20
    var time = timespec(tv_sec: 0, tv_nsec: Int.random(in: 0...longest * 1_000_000))
    _ = unsafe nanosleep(&time, nil)
  }
}

/// Whether a request in a transaction would change a node.
private final class WriteMark { var isSet = false }

/// One transaction, valid only inside the closure it is lent to.
struct XenStoreTransaction: ~Copyable, StoreAccess {
  private let handle: XenStoreHandle
  private let number: UInt32
  private let mark: WriteMark

  fileprivate init(handle: XenStoreHandle, number: UInt32, mark: WriteMark) {
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
