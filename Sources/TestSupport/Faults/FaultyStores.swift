import Core
import Synchronization

private func mine(_ error: HostError) -> StoreError? { if case .store(let error) = error { error } else { nil } }

struct FaultyStores: StoreConnector {
  let inner: any StoreConnector
  let line: FaultLine

  func connect() throws(StoreError) -> any StorePort {
    let store = try line.pass(.connect, lost: nil, mine) { () throws(StoreError) in try inner.connect() }
    return FaultyStore(inner: store, line: line)
  }
}

/// One connection. After it has failed with `lost`, each of its later requests fails too.
private final class FaultyStore: StorePort {
  let inner: any StorePort
  let line: FaultLine
  private let isBroken = Mutex(false)

  init(inner: any StorePort, line: FaultLine) { (self.inner, self.line) = (inner, line) }

  fileprivate func pass<Value>(
    _ request: PortRequest, _ path: String, lost: Value? = nil, _ body: () throws(StoreError) -> Value
  ) throws(StoreError) -> Value {
    if isBroken.withLock({ $0 }) { throw StoreError(.lost, operation: request.rawValue) }
    do throws(StoreError) { return try line.pass(request, path, lost: lost, mine, body) } catch {
      if error.code == .lost { isBroken.withLock { $0 = true } }
      throw error
    }
  }

  func read(_ path: StorePath) throws(StoreError) -> String? {
    try pass(.read, path.text) { () throws(StoreError) in try inner.read(path) }
  }

  func list(_ path: StorePath) throws(StoreError) -> [String]? {
    try pass(.list, path.text) { () throws(StoreError) in try inner.list(path) }
  }

  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant,
    _ condition: () throws(StoreError) -> Result?
  ) throws(StoreError) -> WaitOutcome<Result> {
    switch line.next(.wait, paths.first?.text ?? "") {
    case .stalls: return .timedOut
    case .stops: return .interrupted
    case .fails(.store(let error)):
      if error.code == .lost { isBroken.withLock { $0 = true } }
      throw error
    default: return try inner.wait(watching: paths, until: deadline, condition)
    }
  }

  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(StoreError) -> StoreDecision<Result>
  ) throws(StoreError) -> Result {
    while true {
      try pass(.begin, "") { () throws(StoreError) in }
      let outcome: End<Result> = try inner.transaction(patience) { (access) throws(StoreError) in
        let decision = try lend(
          { (request) throws(StoreError) -> Reply in try self.perform(request, in: access) }, body)
        return end(decision)
      }
      switch outcome {
      case .value(let result): return result
      case .failed(let error):
        if error.code == .lost { isBroken.withLock { $0 = true } }
        throw error
      case .again: continue
      }
    }
  }

  private enum End<Result> {
    case value(Result), failed(StoreError), again
  }

  private func end<Result>(_ decision: StoreDecision<Result>) -> StoreDecision<End<Result>> {
    let fault = line.next(.commit, "")
    switch (fault, decision) {
    case (.fails(let error), _):
      if let error = mine(error) { return .abort(.failed(error)) }
    case (.conflicts, _): return .abort(.again)
    case (.isLost, .commit(let result)), (.isLost, .abort(let result)): return .abort(.value(result))
    case (.failsDone(let error), .commit): if let error = mine(error) { return .commit(.failed(error)) }
    case (.failsDone(let error), .abort): if let error = mine(error) { return .abort(.failed(error)) }
    default: break
    }
    switch decision {
    case .commit(let result): return .commit(.value(result))
    case .abort(let result): return .abort(.value(result))
    }
  }

  private func perform(
    _ request: AccessRequest, in access: borrowing any StoreAccess & ~Copyable
  ) throws(StoreError) -> Reply {
    // Written out, because a closure must not capture a borrowed value.
    let (kind, path) = request.subject
    if isBroken.withLock({ $0 }) { throw StoreError(.lost, operation: kind.rawValue) }
    switch line.next(kind, path.text) {
    case .fails(let error):
      if let error = mine(error) {
        if error.code == .lost { isBroken.withLock { $0 = true } }
        throw error
      }
    case .isLost: return .nothing
    default: break
    }
    switch request {
    case .read(let path): return .value(try access.read(path))
    case .list(let path): return .names(try access.list(path))
    case .write(let path, let value): try access.write(path, value)
    case .makeDirectory(let path, let permissions): try access.makeDirectory(path, permissions)
    case .remove(let path): try access.remove(path)
    }
    return .nothing
  }
}

private enum AccessRequest {
  case read(StorePath)
  case list(StorePath)
  case write(StorePath, String)
  case makeDirectory(StorePath, StorePermissions)
  case remove(StorePath)

  var subject: (PortRequest, StorePath) {
    switch self {
    case .read(let path): (.read, path)
    case .list(let path): (.list, path)
    case .write(let path, _): (.write, path)
    case .makeDirectory(let path, _): (.makeDirectory, path)
    case .remove(let path): (.remove, path)
    }
  }
}

private enum Reply {
  case value(String?)
  case names([String]?)
  case nothing
}

/// Passes `body` an access that does everything through `perform`, because a borrowed access cannot be stored in a
/// value.
private func lend<Result>(
  _ perform: (AccessRequest) throws(StoreError) -> Reply,
  _ body: (borrowing any StoreAccess & ~Copyable) throws(StoreError) -> Result
) throws(StoreError) -> Result {
  try withoutActuallyEscaping(perform) { (perform) throws(StoreError) -> Result in
    try body(FaultyAccess(perform: perform))
  }
}

private struct FaultyAccess: ~Copyable, StoreAccess {
  let perform: (AccessRequest) throws(StoreError) -> Reply

  init(perform: @escaping (AccessRequest) throws(StoreError) -> Reply) { self.perform = perform }

  borrowing func read(_ path: StorePath) throws(StoreError) -> String? {
    if case .value(let value) = try perform(.read(path)) { value } else { nil }
  }
  borrowing func list(_ path: StorePath) throws(StoreError) -> [String]? {
    if case .names(let names) = try perform(.list(path)) { names } else { nil }
  }
  borrowing func write(_ path: StorePath, _ value: String) throws(StoreError) { _ = try perform(.write(path, value)) }
  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(StoreError) {
    _ = try perform(.makeDirectory(path, permissions))
  }
  borrowing func remove(_ path: StorePath) throws(StoreError) { _ = try perform(.remove(path)) }
}
