import Glibc
import Synchronization

/// Runs blocking work on a thread of its own, so that it occupies no thread of other tests.
package func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await ThreadWork(body).value()
}

/// Blocking work on a thread of its own. The work has begun when this object is made.
///
/// A task would begin only when the pool has a free thread; tests that compute for long would delay it.
package final class ThreadWork<Value: Sendable>: Sendable {
  private enum State {
    case running
    case awaited(CheckedContinuation<Value, any Error>)
    case ended(Result<Value, any Error>)
  }
  private let state = Mutex(State.running)

  package init(_ body: @escaping @Sendable () throws -> Value) throws {
    let work = unsafe Unmanaged.passRetained(Body { self.end(Result { try body() }) })
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { pointer in
        if let pointer = unsafe pointer { unsafe Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run() }
        return nil
      }, unsafe work.toOpaque())
    guard status == 0 else {
      unsafe work.release()
      throw Command.Failure(description: "pthread_create: \(status)")
    }
    pthread_detach(thread)
  }

  /// Waits for the work's end and returns its result. It must be called once.
  package func value() async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      let result: Result<Value, any Error>? = state.withLock { state in
        if case .ended(let result) = state { return result }
        state = .awaited(continuation)
        return nil
      }
      if let result { continuation.resume(with: result) }
    }
  }

  private func end(_ result: Result<Value, any Error>) {
    let waiter: CheckedContinuation<Value, any Error>? = state.withLock { state in
      if case .awaited(let continuation) = state { return continuation }
      state = .ended(result)
      return nil
    }
    waiter?.resume(with: result)
  }
}

private final class Body {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
