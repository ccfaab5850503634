/// One transaction of a model store, by the rule of either daemon.
package final class ModelTransaction {
  private enum Request {
    case read(String)
    case list(String)
    case set(String, String)
    case remove(String)
  }
  private enum Reply: Equatable {
    case value(String?)
    case names([String]?)
    case isDone(Bool)
  }

  private let store: ModelStore
  private let rule: ModelStore.Rule
  private var touched: [String: Int] = [:]
  private var requests: [(Request, Reply)] = []
  /// The copy of the state that oxenstored gives a transaction at its begin.
  private var own: ModelStore.State
  /// The change count of the state that `own` is a copy of.
  private var base: Int

  init(store: ModelStore, rule: ModelStore.Rule, state: ModelStore.State) {
    (self.store, self.rule, own, base) = (store, rule, state, state.clock)
  }

  package func read(_ path: String) -> String? {
    if case .value(let value) = perform(.read(path)) { value } else { nil }
  }
  package func list(_ path: String) -> [String]? {
    if case .names(let names) = perform(.list(path)) { names } else { nil }
  }
  package func write(_ path: String, _ value: String) { _ = perform(.set(path, value)) }
  package func remove(_ path: String) { _ = perform(.remove(path)) }

  /// The nodes that it writes, with nil for those that it removes, in order.
  package var edits: [(path: String, value: String?)] {
    requests.compactMap { request, _ in
      switch request {
      case .set(let path, let value): (path, value)
      case .remove(let path): (path, nil)
      case .read, .list: nil
      }
    }
  }

  /// Returns the trace's text for its end.
  package func summary(_ isDone: Bool) -> String {
    guard isDone else { return "commit: EAGAIN" }
    // The nodes by which libxl and pciback decide. The others would make the trace unreadable.
    let telling = ["dev-", "state", "vdev-", "num_devs", "online", "domid"]
    let texts = edits.compactMap { edit -> String? in
      let name = ModelStore.State.name(of: edit.path)
      guard telling.contains(where: name.hasPrefix) || name == "0" && edit.value == nil else { return nil }
      return edit.value.map { "\(name)=\($0)" } ?? (name == "0" ? "no bus" : "no \(name)")
    }
    return texts.isEmpty ? "commit: nothing" : "commits " + texts.joined(separator: " ")
  }

  /// Makes its writes visible to all. Returns false on a conflict, without a write.
  package func commit() -> Bool {
    store.commit { state in
      guard mayCommit(to: state) else { return nil }
      for (path, value) in edits {
        if let value { state.set(path, value) } else { state.remove(path) }
      }
      return edits.count
    }
  }

  /// Ends without a write. Returns whether every read would give the same value again.
  func abort() -> Bool { store.peek { mayCommit(to: $0) } }

  /// Returns whether it may commit. C: no touched node has changed since
  /// (tools/xenstore/xenstored_transaction.c:finalize_transaction). oxenstored: a transaction that only reads always
  /// may; otherwise all requests are made again, and every reply must be the same
  /// (tools/ocaml/xenstored/process.ml:transaction_replay). Both Xen 4.17.
  private func mayCommit(to state: ModelStore.State) -> Bool {
    switch rule {
    case .c: return touched.allSatisfy { state.versions[$0.key] ?? 0 == $0.value }
    case .ocaml:
      guard state.clock != base, !edits.isEmpty else { return true }
      var trial = state
      return requests.allSatisfy { request, reply in answer(request, &trial) == reply }
    }
  }

  private func perform(_ request: Request) -> Reply {
    if rule == .c {
      // The C daemon reads a node at its first request, which is later than the begin.
      let live = store.peek { $0 }
      if live.clock != base {
        (own, base) = (live, live.clock)
        for (path, value) in edits {
          if let value { own.set(path, value) } else { own.remove(path) }
        }
      }
      touch(request)
    }
    let reply = answer(request, &own)
    requests.append((request, reply))
    return reply
  }

  private func answer(_ request: Request, _ state: inout ModelStore.State) -> Reply {
    switch request {
    case .read(let path): return .value(state.nodes[path])
    case .list(let path): return .names(state.children(of: path))
    case .set(let path, let value):
      state.set(path, value)
      return .isDone(true)
    case .remove(let path):
      // Removing a missing node succeeds, unless its parent is missing too.
      let isDone = state.nodes[ModelStore.State.parent(of: path)] != nil
      state.remove(path)
      return .isDone(isDone)
    }
  }

  /// Records the touched nodes: a write reads the node first, a new child changes its parent, and a removal reads
  /// everything it removes.
  private func touch(_ request: Request) {
    switch request {
    case .read(let path), .list(let path): touch(path)
    case .set(let path, _):
      var path = path
      touch(path)
      while own.nodes[path] == nil, !path.isEmpty {
        path = ModelStore.State.parent(of: path)
        touch(path)
      }
    case .remove(let path):
      touch(path)
      touch(ModelStore.State.parent(of: path))
      for node in own.nodes.keys where node.hasPrefix(path + "/") { touch(node) }
    }
  }

  private func touch(_ path: String) {
    if touched[path] == nil { touched[path] = store.version(path) }
  }
}
