package import Ports
package import Synchronization
import XenProtocol

/// xenstore in memory, with either daemon's rule for a failing commit.
///
/// Time does not pass. A wait times out if nothing can make its condition true any more. After every change `react`
/// runs, one step at a time, until it changes nothing: the kernels and guests of a model host.
package final class ModelStore: StoreConnector, Sendable {
  /// The daemon's rule. The C daemon fails a commit if a node that it touched has changed, oxenstored if a reply would
  /// differ.
  package enum Rule: Sendable, CaseIterable { case c, ocaml }

  // Size 5/8: one xenstore in memory.
  struct State: Sendable {
    var nodes: [String: String] = ["": ""]
    var versions: [String: Int] = [:]
    var clock = 0
    var requests = 0
    var commits = 0
    var writes = 0
    /// The paths that the code under test wrote or removed.
    var touched: Set<String> = []
    /// The paths that changed, in order, while a pacer paces the runs.
    var changes: [String] = []
  }

  private let rule: Rule
  private let state = Mutex(State())
  /// Runs before each request of the code under test, so that a test can act as another program there.
  package let beforeRequest = Hook<ModelStore, Void>()
  /// Does one step of a part that reacts to the store; returns false if nothing is left to do.
  package let react = Hook<ModelStore, Bool>()
  /// Whether the process under test has been killed. Then none of its requests has an effect.
  let isCut = Hook<Void, Bool>()
  /// Called before each commit that changes something. Returns whether the process is killed before the commit.
  package let takesStep = Hook<Void, Bool>()
  /// Runs when a wait would time out: makes the next event elsewhere happen. Returns false if there is none.
  package let whenIdle = Hook<ModelStore, Bool>()

  /// The pacer that gives turns to several interleaved runs.
  package let pacer = Mutex<(any Pacer)?>(nil)

  package init(rule: Rule = .c) { self.rule = rule }

  /// Lets the next thing happen that happens only while everybody waits; false if there is none.
  func answerWhenIdle() -> Bool {
    guard whenIdle(self) == true else { return false }
    settle()
    return true
  }

  package func connect() -> any StorePort { ModelConnection(store: self) }

  /// Begins a transaction of another program, such as libxl. It is no request of the code under test.
  package func begin() -> ModelTransaction {
    ModelTransaction(store: self, rule: rule, state: peek { $0 })
  }

  var turns: (any Pacer)? { pacer.withLock { $0 } }
  func peek<Value>(_ body: (State) -> Value) -> Value { state.withLock { body($0) } }
  func restore(_ old: State) { state.withLock { $0 = old } }

  /// Returns whether a path at or below one of `paths` has changed after the first `count` changes.
  func hasChanged(at paths: [String], since count: Int) -> Bool {
    state.withLock { state in
      state.changes.dropFirst(count).contains { change in
        paths.contains { change == $0 || change.hasPrefix($0 + "/") || $0.hasPrefix(change + "/") }
      }
    }
  }

  package var commits: Int { state.withLock(\.commits) }
  package var writes: Int { state.withLock(\.writes) }
  package var requests: Int { state.withLock(\.requests) }
  /// Every path that the code under test has written or removed.
  package var touched: Set<String> { state.withLock(\.touched) }

  // MARK: As another program

  package subscript(path: String) -> String? {
    get { state.withLock { $0.nodes[path] } }
    set {
      state.withLock { state in
        if let newValue { state.set(path, newValue) } else { state.remove(path) }
      }
    }
  }

  package func children(of path: String) -> [String]? { state.withLock { $0.children(of: path) } }

  /// Lets kernels and guests take all possible steps.
  package func settle() {
    let step = react.function
    for _ in 0..<10_000 where step?(self) != true { return }
  }

  // MARK: As the code under test

  func request() throws(HostError) {
    if isCut() == true { throw .store(StoreError(.lost, operation: "request")) }
    state.withLock { $0.requests += 1 }
    beforeRequest(self)
  }

  func note(_ paths: [String]) { state.withLock { $0.touched.formUnion(paths) } }

  func version(_ path: String) -> Int { state.withLock { $0.versions[path] ?? 0 } }

  /// Lets `body` make its writes at once and return their number; nil for a conflict.
  func commit(_ body: (inout State) -> Int?) -> Bool {
    let isDone = state.withLock { state -> Bool in
      guard let writes = body(&state) else { return false }
      if writes > 0 { state.commits += 1 }
      state.writes += writes
      return true
    }
    if isDone { settle() }
    return isDone
  }
}

extension ModelStore.State {
  static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

  static func parent(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  mutating func set(_ path: String, _ value: String) {
    clock += 1
    changes.append(path)
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
    changes.append(path)
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

  func read(_ path: StorePath) throws(HostError) -> String? {
    store.turns?.turn(.store)
    try store.request()
    let value = store[path.text]
    store.turns?.note("reads \(path.text): \(value ?? "none")")
    return value
  }

  func list(_ path: StorePath) throws(HostError) -> [String]? {
    store.turns?.turn(.store)
    try store.request()
    store.turns?.note("lists \(path.text)")
    return store.children(of: path.text)
  }

  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result {
    for _ in 0..<patience.rawValue {
      store.turns?.turn(.store)
      try store.request()
      store.turns?.note("reads the bus in a transaction")
      let transaction = store.begin()
      let decision = try body(ModelAccess(store: store, transaction: transaction))
      // If it wrote nothing, it has read everything at one moment, so its end is not visible.
      if case .commit = decision, !transaction.edits.isEmpty { store.turns?.turn(.store) }
      try store.request()
      switch decision {
      case .abort(let result):
        if transaction.abort() { return result }
      case .commit(let result):
        if !transaction.edits.isEmpty, store.takesStep() == true {
          throw .store(StoreError(.lost, operation: "commit"))
        }
        let isDone = transaction.commit()
        store.turns?.note(transaction.summary(isDone))
        if isDone {
          store.note(transaction.edits.map(\.path))
          return result
        }
      }
    }
    throw .store(StoreError(.conflict, operation: "commit"))
  }

  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant, isInterruptible: Bool,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    while true {
      let seen = store.peek(\.changes.count)
      if let result = try condition() { return .satisfied(result) }
      if let pacer = store.turns {
        let left = ContinuousClock.now.duration(to: deadline)
        let texts = paths.map(\.text)
        if pacer.wait(for: left, until: { [store] in store.hasChanged(at: texts, since: seen) }) {
          pacer.note("wakes")
          continue
        }
        pacer.note("has waited long enough")
        // The adapter checks the condition once more at the deadline.
        if let result = try condition() { return .satisfied(result) }
        return .timedOut
      }
      guard store.answerWhenIdle() else { return .timedOut }
    }
  }
}

private struct ModelAccess: ~Copyable, StoreAccess {
  let store: ModelStore
  let transaction: ModelTransaction

  init(store: ModelStore, transaction: ModelTransaction) { (self.store, self.transaction) = (store, transaction) }

  borrowing func read(_ path: StorePath) throws(HostError) -> String? {
    try store.request()
    return transaction.read(path.text)
  }

  borrowing func list(_ path: StorePath) throws(HostError) -> [String]? {
    try store.request()
    return transaction.list(path.text)
  }

  borrowing func write(_ path: StorePath, _ value: String) throws(HostError) {
    try store.request()
    transaction.write(path.text, value)
  }

  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(HostError) {
    try write(path, "")
  }

  borrowing func remove(_ path: StorePath) throws(HostError) {
    try store.request()
    transaction.remove(path.text)
  }
}
