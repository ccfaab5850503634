import Model
import Ports
import XenProtocol

/// xenstore as it is recorded, or as it was. `live` is nil for a snapshot.
struct SnapshotStores: StoreConnector {
  let book: AnswerBook
  let live: (any StoreConnector)?

  func connect() throws(HostError) -> any StorePort {
    guard let live else {
      let missing = HostError.store(unanswered("connect"))
      _ = try book.answer(\.store.connection, or: missing)
      return SnapshotStore(book: book, live: nil)
    }
    var opened: (any StorePort)?
    _ = try book.answer(\.store.connection, or: .store(unanswered("connect")), live) { (live) throws(HostError) in
      opened = try live.connect()
      return true
    }
    if let opened { return SnapshotStore(book: book, live: opened) }
    return SnapshotStore(book: book, live: try live.connect())
  }
}

struct SnapshotStore: StorePort {
  let book: AnswerBook
  let live: (any StorePort)?

  func read(_ path: StorePath) throws(HostError) -> String? {
    try book.value(path, live)
  }

  func list(_ path: StorePath) throws(HostError) -> [String]? {
    try book.names(path, live)
  }

  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant, isInterruptible: Bool,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> { throw refusal(of: "wait") }

  /// Runs `body` on one consistent view. What the transaction read replaces what was read without one.
  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result {
    guard let live else {
      let decision = try body(SnapshotAccess { (request) throws(HostError) in try played(request) })
      guard case .abort(let result) = decision else { throw refusal(of: "commit") }
      return result
    }
    var seen: [(StorePath, AccessReply)] = []
    let result: Result = try live.transaction(patience) { (access) throws(HostError) -> StoreDecision<Result> in
      // A transaction that conflicted is tried again, from its first read.
      seen = []
      let decision = try lend(
        { (request) throws(HostError) -> AccessReply in
          let reply = try self.perform(request, in: access)
          seen.append((request.path, reply))
          return reply
        }, body)
      guard case .abort(let result) = decision else { throw refusal(of: "commit") }
      return .abort(result)
    }
    for (path, reply) in seen {
      switch reply {
      case .value(let value): book.note(path, value: value)
      case .names(let names): book.note(path, names: names)
      }
    }
    return result
  }

  private func played(_ request: AccessRequest) throws(HostError) -> AccessReply {
    switch request {
    case .read(let path): .value(try book.value(path, nil))
    case .list(let path): .names(try book.names(path, nil))
    }
  }

  private func perform(
    _ request: AccessRequest, in access: borrowing any StoreAccess & ~Copyable
  ) throws(HostError) -> AccessReply {
    switch request {
    case .read(let path): .value(try access.read(path))
    case .list(let path): .names(try access.list(path))
    }
  }

  /// Passes `body` an access that does everything through `perform`, because a borrowed access cannot be stored in a
  /// value.
  private func lend<Result>(
    _ perform: (AccessRequest) throws(HostError) -> AccessReply,
    _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> StoreDecision<Result> {
    try withoutActuallyEscaping(perform) { (perform) throws(HostError) -> StoreDecision<Result> in
      try body(SnapshotAccess(perform))
    }
  }
}

private enum AccessRequest {
  case read(StorePath)
  case list(StorePath)

  var path: StorePath {
    switch self {
    case .read(let path), .list(let path): path
    }
  }
}

private enum AccessReply {
  case value(String?)
  case names([String]?)
}

/// Reads of one transaction. Each write is refused.
private struct SnapshotAccess: ~Copyable, StoreAccess {
  let perform: (AccessRequest) throws(HostError) -> AccessReply

  init(_ perform: @escaping (AccessRequest) throws(HostError) -> AccessReply) { self.perform = perform }

  borrowing func read(_ path: StorePath) throws(HostError) -> String? {
    if case .value(let value) = try perform(.read(path)) { value } else { nil }
  }
  borrowing func list(_ path: StorePath) throws(HostError) -> [String]? {
    if case .names(let names) = try perform(.list(path)) { names } else { nil }
  }
  borrowing func write(_ path: StorePath, _ value: String) throws(HostError) { throw refusal(of: "write") }
  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(HostError) {
    throw refusal(of: "mkdir")
  }
  borrowing func remove(_ path: StorePath) throws(HostError) { throw refusal(of: "remove") }
}
