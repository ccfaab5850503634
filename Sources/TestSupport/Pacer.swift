import Model
import Synchronization

/// The parts of a step that others can see.
package enum StepKind: Sendable, CaseIterable {
  case store, hypercall, lock
  /// libxl's saved configuration, and sysfs.
  case file
  /// Berth's own files, which no other toolstack reads.
  case record
}

/// Lets one of several runs continue at a time. The ports of a model host call it before each visible step.
package protocol Pacer: Sendable {
  /// Returns when it is the caller's turn to take one step.
  func turn(_ kind: StepKind)
  /// Records what the caller did in its turn.
  func note(_ text: @autoclosure () -> String)
  /// Returns true when `isReady` holds and it is the caller's turn. Returns false when nothing else can happen before
  /// `duration` is over. Without a duration the wait has no limit, and false means a deadlock.
  func wait(for duration: Duration?, until isReady: @escaping @Sendable () -> Bool) -> Bool
}

extension ModelHost {
  /// Takes libxl's lock as `flock` does. Returns false if the lock was not free in time. Without a duration the wait
  /// has no limit.
  func takeLock(of domain: DomainID, waiting duration: Duration?) -> Bool {
    func take() -> Bool {
      state.withLock { state in
        guard !state.isLockBusy else { return false }
        return state.locks.insert(domain).inserted
      }
    }
    guard let pacer = store.turns else { return take() }
    pacer.turn(.lock)
    if take() {
      pacer.note("takes the lock")
      return true
    }
    pacer.note("waits for the lock")
    state.withLock { $0.lockWaiters += 1 }
    defer { state.withLock { $0.lockWaiters -= 1 } }
    while pacer.wait(
      for: duration, until: { [self] in state.withLock { !$0.isLockBusy && !$0.locks.contains(domain) } })
    {
      guard take() else { continue }
      pacer.note("takes the lock")
      return true
    }
    pacer.note("does not get the lock")
    return false
  }

  func releaseLock(of domain: DomainID) { _ = state.withLock { $0.locks.remove(domain) } }

  /// Does one step of pciback or a guest. Returns its text; nil if there is nothing to do.
  func stepKernels() -> String? {
    let before = store.peek(\.nodes)
    guard step(store) else { return nil }
    let after = store.peek(\.nodes)
    let changes = after.keys.sorted().filter { before[$0] != after[$0] }.map { path -> String in
      let side = path.hasPrefix("/local/domain/0/") ? "back end" : "front end"
      return "\(side) \(path.split(separator: "/").last ?? "")=\(after[path] ?? "")"
    }
    return changes.isEmpty ? "drops its object" : changes.joined(separator: ", ")
  }

  /// Returns whether pciback or a guest has anything to do. It changes nothing.
  func haveKernelsWork() -> Bool {
    let (own, nodes) = (state.withLock { $0 }, store.peek { $0 })
    let haveWork = step(store)
    state.withLock { $0 = own }
    store.restore(nodes)
    return haveWork
  }

  /// Sets whether pciback and the guests take their steps at once after every change, or in their own time.
  func setKernelsSettle(_ settle: Bool) {
    if settle {
      store.react.function = { [unowned self] store in self.step(store) }
    } else {
      store.react.function = nil
    }
  }
}
