import Ports
import Synchronization
import XenProtocol

struct FaultyStores: StoreConnector {
  let inner: any StoreConnector
  let line: FaultLine

  func connect() throws(HostError) -> any StorePort {
    let store = try line.pass(.connect, lost: nil) { () throws(HostError) in try inner.connect() }
    return FaultyStore(inner: store, line: line)
  }
}

/// One connection. After it has failed with `lost` or `timedOut`, each of its later requests fails too.
private final class FaultyStore: StorePort {
  let inner: any StorePort
  let line: FaultLine
  private let end = Mutex<StoreCode?>(nil)

  init(inner: any StorePort, line: FaultLine) { (self.inner, self.line) = (inner, line) }

  fileprivate func pass<Value>(
    _ request: PortRequest, _ path: String, lost: Value? = nil, _ body: () throws(HostError) -> Value
  ) throws(HostError) -> Value {
    if let code = end.withLock({ $0 }) { throw .store(StoreError(code, operation: request.rawValue)) }
    do throws(HostError) { return try line.pass(request, path, lost: lost, body) } catch {
      noteEnd(error)
      throw error
    }
  }

  private func noteEnd(_ error: HostError) {
    guard let code = error.storeCode, [.lost, .timedOut].contains(code) else { return }
    end.withLock { $0 = code }
  }

  func read(_ path: StorePath) throws(HostError) -> String? {
    try pass(.read, path.text) { () throws(HostError) in try inner.read(path) }
  }

  func list(_ path: StorePath) throws(HostError) -> [String]? {
    try pass(.list, path.text) { () throws(HostError) in try inner.list(path) }
  }

  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant, isInterruptible: Bool,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    switch line.next(.wait, paths.first?.text ?? "") {
    case .stalls: return .timedOut
    case .stops where isInterruptible: return .interrupted
    case .fails(let error):
      noteEnd(error)
      throw error
    default:
      // The signal stays: every later wait ends at once, and does not look at its condition.
      if isInterruptible, line.isStopped { return .interrupted }
      return try inner.wait(watching: paths, until: deadline, isInterruptible: isInterruptible, condition)
    }
  }

  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result {
    while true {
      try pass(.begin, "") { () throws(HostError) in }
      let outcome: End<Result> = try inner.transaction(patience) { (access) throws(HostError) in
        let decision = try lend(
          { (request) throws(HostError) -> Reply in try self.perform(request, in: access) }, body)
        return end(decision)
      }
      switch outcome {
      case .value(let result): return result
      case .failed(let error):
        noteEnd(error)
        throw error
      case .again: continue
      }
    }
  }

  private enum End<Result> {
    case value(Result), failed(HostError), again
  }

  private func end<Result>(_ decision: StoreDecision<Result>) -> StoreDecision<End<Result>> {
    let fault = line.next(.commit, "")
    switch (fault, decision) {
    case (.fails(let error), _), (.failsDone(let error), .abort): return .abort(.failed(error))
    case (.conflicts, _): return .abort(.again)
    case (.isLost, .commit(let result)), (.isLost, .abort(let result)): return .abort(.value(result))
    case (.failsDone(let error), .commit): return .commit(.failed(error))
    default: break
    }
    switch decision {
    case .commit(let result): return .commit(.value(result))
    case .abort(let result): return .abort(.value(result))
    }
  }

  private func perform(
    _ request: AccessRequest, in access: borrowing any StoreAccess & ~Copyable
  ) throws(HostError) -> Reply {
    // Written out, because a closure must not capture a borrowed value.
    let (kind, path) = request.subject
    if let code = end.withLock({ $0 }) { throw .store(StoreError(code, operation: kind.rawValue)) }
    switch line.next(kind, path.text) {
    case .fails(let error):
      noteEnd(error)
      throw error
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
  _ perform: (AccessRequest) throws(HostError) -> Reply,
  _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> Result
) throws(HostError) -> Result {
  try withoutActuallyEscaping(perform) { (perform) throws(HostError) -> Result in
    try body(FaultyAccess(perform: perform))
  }
}

private struct FaultyAccess: ~Copyable, StoreAccess {
  let perform: (AccessRequest) throws(HostError) -> Reply

  init(perform: @escaping (AccessRequest) throws(HostError) -> Reply) { self.perform = perform }

  borrowing func read(_ path: StorePath) throws(HostError) -> String? {
    if case .value(let value) = try perform(.read(path)) { value } else { nil }
  }
  borrowing func list(_ path: StorePath) throws(HostError) -> [String]? {
    if case .names(let names) = try perform(.list(path)) { names } else { nil }
  }
  borrowing func write(_ path: StorePath, _ value: String) throws(HostError) { _ = try perform(.write(path, value)) }
  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(HostError) {
    _ = try perform(.makeDirectory(path, permissions))
  }
  borrowing func remove(_ path: StorePath) throws(HostError) { _ = try perform(.remove(path)) }
}
