package import Core
package import Synchronization

/// xenstore in memory, with the rule of the C daemon: a commit fails where any node it touched has changed.
///
/// Time stands still: a wait whose condition nothing can bring about any more has timed out. After every change
/// `react` runs, one step at a time, until it changes nothing: the kernels and guests of a model host.
package final class ModelStore: StoreConnector, Sendable {
  struct State {
    var nodes: [String: String] = ["": ""]
    var versions: [String: Int] = [:]
    var clock = 0
    var requests = 0
    var commits = 0
    var writes = 0
  }

  private let state = Mutex(State())
  /// Runs before each request of the code under test; a test can act for somebody else there.
  package let beforeRequest = Mutex<(@Sendable (ModelStore) -> Void)?>(nil)
  /// Does one step of whatever reacts to the store; false where nothing is left to do.
  package let react = Mutex<(@Sendable (ModelStore) -> Bool)?>(nil)
  /// Whether the process under test has been killed: it gets no further request through.
  let isCut = Mutex<(@Sendable () -> Bool)?>(nil)
  /// Asked before each commit that changes something: whether the process is killed before it.
  let takesStep = Mutex<(@Sendable () -> Bool)?>(nil)
  /// Runs when a wait would time out: the next thing to happen elsewhere; false where there is none.
  package let whenIdle = Mutex<(@Sendable (ModelStore) -> Bool)?>(nil)

  package init() {}

  package func connect() -> any StorePort { ModelConnection(store: self) }

  package var commits: Int { state.withLock(\.commits) }
  package var writes: Int { state.withLock(\.writes) }
  package var requests: Int { state.withLock(\.requests) }

  // MARK: As everybody else

  package subscript(path: String) -> String? {
    get { state.withLock { $0.nodes[path] } }
    set {
      state.withLock { state in
        if let newValue { state.set(path, newValue) } else { state.remove(path) }
      }
    }
  }

  package func children(of path: String) -> [String]? { state.withLock { $0.children(of: path) } }

  /// Lets kernels and guests do all they can.
  package func settle() {
    let step = react.withLock { $0 }
    for _ in 0..<10_000 where step?(self) != true { return }
  }

  // MARK: As the code under test

  func request() throws(StoreError) {
    if isCut.withLock({ $0 })?() == true { throw StoreError(.lost, operation: "request") }
    state.withLock { $0.requests += 1 }
    let hook = beforeRequest.withLock { $0 }
    hook?(self)
  }

  func version(_ path: String) -> Int { state.withLock { $0.versions[path] ?? 0 } }

  /// Commits where nothing that was touched has changed.
  func commit(_ edits: [ModelEdit], touched: [String: Int]) -> Bool {
    let isDone = state.withLock { state -> Bool in
      for (path, version) in touched where state.versions[path] ?? 0 != version { return false }
      for edit in edits {
        switch edit {
        case .set(let path, let value): state.set(path, value)
        case .remove(let path): state.remove(path)
        }
      }
      if !edits.isEmpty { state.commits += 1 }
      state.writes += edits.count
      return true
    }
    if isDone { settle() }
    return isDone
  }
}

enum ModelEdit {
  case set(String, String)
  case remove(String)
}

extension ModelStore.State {
  mutating func set(_ path: String, _ value: String) {
    clock += 1
    var parent = path
    while let slash = parent.lastIndex(of: "/") {
      parent = String(parent[..<slash])
      if nodes[parent] != nil { break }
      nodes[parent] = ""
      versions[parent] = clock
    }
    if nodes[path] == nil { versions[parent] = clock }
    nodes[path] = value
    versions[path] = clock
  }

  mutating func remove(_ path: String) {
    clock += 1
    for node in nodes.keys where node == path || node.hasPrefix(path + "/") {
      nodes[node] = nil
      versions[node] = clock
    }
    if let slash = path.lastIndex(of: "/") { versions[String(path[..<slash])] = clock }
  }

  func children(of path: String) -> [String]? {
    guard nodes[path] != nil else { return nil }
    let prefix = path + "/"
    return nodes.keys.filter { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains("/") }
      .map { String($0.dropFirst(prefix.count)) }.sorted()
  }
}

/// One connection of the code under test.
private struct ModelConnection: StorePort {
  let store: ModelStore

  func read(_ path: StorePath) throws(StoreError) -> String? {
    try store.request()
    return store[path.text]
  }

  func list(_ path: StorePath) throws(StoreError) -> [String]? {
    try store.request()
    return store.children(of: path.text)
  }

  func transaction<Result>(
    _ body: (borrowing any StoreAccess & ~Copyable) throws(StoreError) -> StoreDecision<Result>
  ) throws(StoreError) -> Result {
    for _ in 0..<200 {
      try store.request()
      let log = ModelLog()
      let decision = try body(ModelAccess(store: store, log: log))
      try store.request()
      switch decision {
      case .abort(let result):
        if store.commit([], touched: log.touched) { return result }
      case .commit(let result):
        if !log.edits.isEmpty, store.takesStep.withLock({ $0 })?() == true {
          throw StoreError(.lost, operation: "commit")
        }
        if store.commit(log.edits, touched: log.touched) { return result }
      }
    }
    throw StoreError(.conflict, operation: "commit")
  }

  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant,
    _ condition: () throws(StoreError) -> Result?
  ) throws(StoreError) -> WaitOutcome<Result> {
    while true {
      if let result = try condition() { return .satisfied(result) }
      let next = store.whenIdle.withLock { $0 }
      guard next?(store) == true else { return .timedOut }
      store.settle()
    }
  }
}

private final class ModelLog {
  var edits: [ModelEdit] = []
  var touched: [String: Int] = [:]
}

private struct ModelAccess: ~Copyable, StoreAccess {
  let store: ModelStore
  let log: ModelLog

  init(store: ModelStore, log: ModelLog) { (self.store, self.log) = (store, log) }

  /// The value this transaction sees: its own writes over the store's.
  private func value(_ path: String) -> String? {
    for edit in log.edits.reversed() {
      switch edit {
      case .set(path, let value): return value
      case .set(let other, _) where other.hasPrefix(path + "/"): return store[path] ?? ""
      case .remove(let removed) where path == removed || path.hasPrefix(removed + "/"): return nil
      default: continue
      }
    }
    return store[path]
  }

  private func touch(_ path: String) {
    if log.touched[path] == nil { log.touched[path] = store.version(path) }
  }

  borrowing func read(_ path: StorePath) throws(StoreError) -> String? {
    try store.request()
    touch(path.text)
    return value(path.text)
  }

  borrowing func list(_ path: StorePath) throws(StoreError) -> [String]? {
    try store.request()
    touch(path.text)
    return store.children(of: path.text)
  }

  borrowing func write(_ path: StorePath, _ value: String) throws(StoreError) {
    try store.request()
    touch(path.text)
    log.edits.append(.set(path.text, value))
  }

  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(StoreError) {
    try write(path, "")
  }

  borrowing func remove(_ path: StorePath) throws(StoreError) {
    try store.request()
    touch(path.text)
    log.edits.append(.remove(path.text))
  }
}
