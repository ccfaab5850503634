import Glibc
import Model
import Ports
import Synchronization
import XenProtocol

/// A connection to xenstored: requests with their replies, and the events of watches.
///
/// Berth speaks the protocol itself, since libxenstore waits for an answer without a limit. It offers no way to end the
/// wait (`read_message`, tools/libs/store/xs.c, Xen 4.17).
///
/// After one request without an answer, or with a broken connection, every later request fails in the same way. So a
/// late answer is not taken for that of another request.
final class XenStoreHandle: Sendable {
  /// Outside any transaction (`XBT_NULL`).
  static let noTransaction: UInt32 = 0

  private let exchange: Mutex<StoreExchange>
  private let limit: AnswerLimit
  private let describe: @Sendable (Int32) -> String
  let counters: StoreCounters
  /// Readable if something has arrived.
  let descriptor: Int32

  /// Connects to a daemon. `describe` returns a process and its state as text for people.
  init(
    _ place: StorePlace, limit: AnswerLimit, counters: StoreCounters, describe: @escaping @Sendable (Int32) -> String
  ) throws(HostError) {
    var deadline = limit.deadline()
    let connected: StoreSocket
    do throws(StoreError) { connected = try StoreSocket.connect(to: place, until: &deadline) } catch {
      throw .store(error)
    }
    descriptor = connected.number
    exchange = Mutex(StoreExchange(connected))
    (self.limit, self.counters, self.describe) = (limit, counters, describe)
  }

  // MARK: Requests

  func read(_ path: String, in transaction: UInt32) throws(HostError) -> String? {
    try unlessMissing { () throws(HostError) in
      String(decoding: try ask(.read, [path], in: transaction).payload, as: UTF8.self)
    }
  }

  func list(_ path: String, in transaction: UInt32) throws(HostError) -> [String]? {
    do throws(HostError) {
      return try unlessMissing { () throws(HostError) in try ask(.directory, [path], in: transaction).words }
    } catch {
      guard case .store(let failure) = error, failure.errno == E2BIG else { throw error }
      return try unlessMissing { () throws(HostError) in try listInParts(path, in: transaction) }
    }
  }

  /// Returns a listing that is longer than one reply. Each part has the directory's generation before it, and a
  /// directory that has changed is read again from its start (`xs_directory_part`, tools/libs/store/xs.c, Xen 4.17).
  private func listInParts(_ path: String, in transaction: UInt32) throws(HostError) -> [String] {
    var bytes: [UInt8] = []
    var generation: [UInt8] = []
    // A directory that somebody keeps changing is given up.
    for _ in 0..<10_000 {
      let reply = try ask(.directoryPart, [path, "\(bytes.count)"], in: transaction).payload
      let current = Array(reply.prefix { $0 != 0 })
      let part = reply.dropFirst(current.count + 1)
      if current != generation, !bytes.isEmpty {
        (bytes, generation) = ([], [])
        continue
      }
      generation = current
      bytes += part
      // The last part ends in one NUL more than its names need.
      guard !part.isEmpty, part.count > 1, !part.suffix(2).elementsEqual([0, 0]) else {
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      }
    }
    throw .store(StoreError(.conflict, operation: "list", place: path, errno: EAGAIN))
  }

  func write(_ path: String, _ value: String, in transaction: UInt32) throws(HostError) {
    counters.writes.count()
    _ = try ask(.write, [path], value: value, in: transaction)
  }

  func makeDirectory(_ path: String, _ permissions: StorePermissions, in transaction: UInt32) throws(HostError) {
    counters.writes.count()
    _ = try ask(.makeDirectory, [path], in: transaction)
    // The owner has every right; `n` gives the others none, and `r` lets one domain read.
    let words = [path, "n\(permissions.owner)"] + (permissions.reader.map { ["r\($0)"] } ?? [])
    counters.writes.count()
    _ = try ask(.setPermissions, words, in: transaction)
  }

  func remove(_ path: String, in transaction: UInt32) throws(HostError) {
    counters.writes.count()
    // A missing leaf is no error to xenstored; ENOENT means that its parent is missing too.
    _ = try unlessMissing { () throws(HostError) in try ask(.remove, [path], in: transaction) }
  }

  // MARK: Transactions

  func startTransaction() throws(HostError) -> UInt32 {
    let reply = try ask(.transactionStart, [""], in: Self.noTransaction)
    guard let number = UInt32(reply.firstWord), number != Self.noTransaction else {
      throw .store(StoreError(.lost, operation: "start-transaction", errno: EPROTO))
    }
    counters.transactions.count()
    return number
  }

  /// Ends a transaction; returns false if it met a conflict. Its number is invalid afterwards.
  func commit(_ transaction: UInt32) throws(HostError) -> Bool {
    do throws(HostError) {
      _ = try ask(.transactionEnd, ["T"], in: transaction)
      return true
    } catch {
      guard case .store(let failure) = error, failure.errno == EAGAIN else { throw error }
      counters.conflicts.count()
      return false
    }
  }

  /// Aborts a transaction. A failure is dropped on purpose: the caller's own error or result matters more, and the
  /// transaction ends with its connection at the latest.
  func abort(_ transaction: UInt32) {
    do throws(HostError) { _ = try ask(.transactionEnd, ["F"], in: transaction) } catch {}
  }

  // MARK: Watches

  /// Watches a node and everything below it. The daemon immediately sends one event for the watch.
  func watch(_ path: String, token: String) throws(HostError) {
    _ = try ask(.watch, [path, token], in: Self.noTransaction)
  }

  func unwatch(_ path: String, token: String) throws(HostError) {
    _ = try ask(.unwatch, [path, token], in: Self.noTransaction)
  }

  /// Returns the events that have arrived, at most `most`, in their order.
  func events(atMost most: Int) throws(HostError) -> [XenStoreWatcher.Event] {
    do throws(StoreError) {
      return try exchange.withLock { (exchange) throws(StoreError) in try exchange.takeEvents(atMost: most) }
    } catch { throw .store(error) }
  }

  // MARK: -

  private func ask(
    _ kind: StoreMessage.Kind, _ words: [String], value: String? = nil, in transaction: UInt32
  ) throws(HostError) -> StoreMessage {
    counters.requests.count()
    do throws(StoreError) {
      return try exchange.withLock { (exchange) throws(StoreError) in
        try exchange.ask(kind, words, value: value, in: transaction, limit)
      }
    } catch {
      let place = kind.isAboutNode ? words.first : nil
      throw .store(named(error, kind.operation, place))
    }
  }

  /// Returns the failure of a request, with what was tried, and who did not answer.
  private func named(_ error: StoreError, _ operation: String, _ place: String?) -> StoreError {
    StoreError(
      error.code, operation: operation, place: place, errno: error.errno,
      detail: error.code == .timedOut ? exchange.withLock { $0.listener }.map(describe) : nil)
  }

  /// Returns nil if a node, or its parent, is missing.
  private func unlessMissing<Value>(_ body: () throws(HostError) -> Value) throws(HostError) -> Value? {
    do throws(HostError) { return try body() } catch {
      guard case .store(let failure) = error, failure.errno == ENOENT else { throw error }
      return nil
    }
  }
}

extension StoreMessage.Kind {
  /// What an error says was tried.
  fileprivate var operation: String {
    switch self {
    case .directory, .directoryPart: "list"
    case .transactionStart: "start-transaction"
    case .transactionEnd: "commit"
    case .makeDirectory: "make-directory"
    case .setPermissions: "set-permissions"
    default: "\(self)"
    }
  }

  /// Whether the first word of a request is a node.
  fileprivate var isAboutNode: Bool {
    switch self {
    case .transactionStart, .transactionEnd: false
    default: true
    }
  }
}
