import Synchronization

/// Admits a limited number of callers at once; the others wait for their turn.
package final class Places: Sendable {
  /// The places for sandboxes, of all tests together. Each uses one of the 128 inotify instances that Debian gives a
  /// user, and has two processes that need a processor.
  package static let forSandboxes = Places(16)

  private struct State {
    var free: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state: Mutex<State>

  init(_ count: Int) { state = Mutex(State(free: count)) }

  package func take() async {
    await withCheckedContinuation { continuation in
      let isIn = state.withLock { state in
        guard state.free > 0 else { state.waiting.append(continuation); return false }
        state.free -= 1
        return true
      }
      if isIn { continuation.resume() }
    }
  }

  package func free() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard !state.waiting.isEmpty else { state.free += 1; return nil }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }
}
