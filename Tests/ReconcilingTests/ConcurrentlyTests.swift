import Synchronization
import Testing

@testable import Reconciling

/// Work on several threads, and on this one alone.
@Suite struct ConcurrentlyTests {
  @Test(arguments: [1, 2, 16]) func `each item is worked on once, and the results keep its order`(_ workers: Int) {
    #expect(concurrently(Array(0..<200), workers: workers) { $0 * 2 } == (0..<200).map { $0 * 2 })
  }

  @Test func `without threads this one does everything, one item after the other`() {
    let order = Mutex<[Int]>([])
    let results = concurrently(
      Array(0..<50), workers: 16,
      { item in
        order.withLock { $0.append(item) }
        return item
      }, starting: { _, _ in [] })
    #expect(results == Array(0..<50) && order.withLock { $0 } == results)
  }

  @Test func `two items are worked on at once, if threads can be made`() {
    let arrived = Atomic(0)
    // Each waits for the other. One thread alone would wait for ever.
    let met = concurrently([0, 1], workers: 2) { _ -> Bool in
      arrived.add(1, ordering: .sequentiallyConsistent)
      let deadline = ContinuousClock.now + .seconds(30)
      while arrived.load(ordering: .sequentiallyConsistent) < 2, .now < deadline {}
      return arrived.load(ordering: .sequentiallyConsistent) == 2
    }
    #expect(met == [true, true])
  }
}
