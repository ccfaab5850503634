import Dispatch
import Synchronization

/// Runs `body` for each of `items` on up to `workers` threads of its own, and returns when all are done.
///
/// Not on Swift's cooperative pool: the bodies block in locks and waits. A serial queue of its own gives each
/// worker a thread whatever the number of cores.
func concurrently<Item: Sendable, Result: Sendable>(
  _ items: [Item], workers: Int, _ body: @escaping @Sendable (Item) -> Result
) -> [Result] {
  guard items.count > 1, workers > 1 else { return items.map(body) }
  let shared = Shared<Result>(count: items.count)
  let group = DispatchGroup()
  for worker in 0..<min(workers, items.count) {
    DispatchQueue(label: "berth.worker.\(worker)").async(group: group) {
      while let index = shared.next() { shared.put(body(items[index]), at: index) }
    }
  }
  group.wait()
  return shared.results()
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
