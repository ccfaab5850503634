import Core
import Synchronization

/// What others can see of a step.
package enum StepKind: Sendable, CaseIterable {
  case store, hypercall, lock
  /// libxl's saved configuration, and sysfs.
  case file
  /// Berth's own files, which no other toolstack reads.
  case record
}

/// Lets one of several runs go on at a time: the ports of a model host ask it before each step that others can see.
package protocol Pacer: Sendable {
  /// Returns when it is the caller's turn to take one step.
  func turn(_ kind: StepKind)
  /// Says what the caller did in its turn.
  func note(_ text: @autoclosure () -> String)
  /// Returns true when `isReady` holds and it is the caller's turn, false when nothing else can happen any more
  /// before `duration` is over. Without a duration it is a wait for ever, and false means a deadlock.
  func wait(for duration: Duration?, until isReady: @escaping @Sendable () -> Bool) -> Bool
}

extension ModelHost {
  /// Takes libxl's lock as `flock` does; false when it could not be had in time. Forever where no time is given.
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

  /// One step of pciback or a guest; what it did, nil where there is nothing to do.
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

  /// Whether pciback or a guest has anything to do; nothing is changed.
  func haveKernelsWork() -> Bool {
    let (own, nodes) = (state.withLock { $0 }, store.peek { $0 })
    let haveWork = step(store)
    state.withLock { $0 = own }
    store.restore(nodes)
    return haveWork
  }

  /// Whether pciback and the guests take their steps at once, after every change, or in their own time.
  func setKernelsSettle(_ settle: Bool) {
    store.react.withLock { react in
      if settle { react = { [unowned self] store in self.step(store) } } else { react = nil }
    }
  }
}
