import Glibc
import Synchronization

/// Runs `body` for each of `items` on up to `workers` threads, this one among them, and returns when all are done.
///
/// A thread that cannot be made is one worker fewer. If none can be made, this thread works on one item after the other:
/// slower, but to the end. The bodies block in locks and waits, so they are not on Swift's cooperative pool. They are not
/// on Dispatch's threads either: if Dispatch can make no thread, its work never begins, and nobody is told.
package func concurrently<Item: Sendable, Result: Sendable>(
  _ items: [Item], workers: Int, _ body: @escaping @Sendable (Item) -> Result
) -> [Result] {
  concurrently(items, workers: workers, body, starting: startThreads)
}

/// Does the same. `starting` makes the threads.
func concurrently<Item: Sendable, Result: Sendable>(
  _ items: [Item], workers: Int, _ body: @escaping @Sendable (Item) -> Result,
  starting: (Int, @escaping @Sendable () -> Void) -> [pthread_t]
) -> [Result] {
  guard items.count > 1, workers > 1 else { return items.map(body) }
  let shared = Shared<Result>(count: items.count)
  let work: @Sendable () -> Void = {
    while let index = shared.next() { shared.put(body(items[index]), at: index) }
  }
  let threads = starting(min(workers, items.count) - 1, work)
  work()
  for thread in threads { _ = pthread_join(thread, nil) }
  return shared.results()
}

/// Starts up to `count` threads, and returns those that could be made. The caller must join each of them.
///
/// Signals are left to the threads that were there before, as Dispatch leaves them.
private func startThreads(_ count: Int, _ work: @escaping @Sendable () -> Void) -> [pthread_t] {
  var (all, before) = (sigset_t(), sigset_t())
  unsafe sigfillset(&all)
  unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
  defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
  var attributes = pthread_attr_t()
  guard unsafe pthread_attr_init(&attributes) == 0 else { return [] }
  defer { unsafe pthread_attr_destroy(&attributes) }
  // The usual 8 MiB each would use up a limit of the address space. If the size is refused, the usual one is taken.
  _ = unsafe pthread_attr_setstacksize(&attributes, threadStackSize)
  var threads: [pthread_t] = []
  for _ in 0..<count {
    let body = unsafe Unmanaged.passRetained(Body(work))
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, &attributes,
      { pointer in
        if let pointer = unsafe pointer { unsafe Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().work() }
        return nil
      }, unsafe body.toOpaque())
    guard status == 0 else {
      unsafe body.release()
      break
    }
    threads.append(thread)
  }
  return threads
}

/// Many times what the deepest nested input needs: 64 levels of JSON.
private let threadStackSize = 2 << 20

private final class Body {
  let work: @Sendable () -> Void
  init(_ work: @escaping @Sendable () -> Void) { self.work = work }
}

/// What the workers share: the next item's number and the results so far.
private final class Shared<Result: Sendable>: Sendable {
  private let state: Mutex<(next: Int, results: [Result?])>

  init(count: Int) { state = Mutex((0, Array(repeating: nil, count: count))) }

  func next() -> Int? {
    state.withLock { state in
      guard state.next < state.results.count else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  func put(_ result: Result, at index: Int) { state.withLock { $0.results[index] = result } }

  func results() -> [Result] { state.withLock { $0.results.compactMap(\.self) } }
}
