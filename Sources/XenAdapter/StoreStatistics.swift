import Synchronization

/// The requests to xenstored, counted over all connections of one connector.
package struct StoreStatistics: Hashable, Sendable {
  /// Requests sent, including the starts and ends of transactions, watches and their removal.
  package var requests = 0
  /// Requests that change nodes: writes, new directories, permissions, removals.
  package var writes = 0
  /// Transactions started, including those that met a conflict.
  package var transactions = 0
  /// Transactions that wrote and were committed.
  package var commits = 0
  /// Transactions refused with `EAGAIN`.
  package var conflicts = 0

  package init() {}
}

/// The counters behind `StoreStatistics`. Adding to them takes no lock.
final class StoreCounters: Sendable {
  let requests = Atomic(0)
  let writes = Atomic(0)
  let transactions = Atomic(0)
  let commits = Atomic(0)
  let conflicts = Atomic(0)

  var values: StoreStatistics {
    var values = StoreStatistics()
    values.requests = requests.load(ordering: .relaxed)
    values.writes = writes.load(ordering: .relaxed)
    values.transactions = transactions.load(ordering: .relaxed)
    values.commits = commits.load(ordering: .relaxed)
    values.conflicts = conflicts.load(ordering: .relaxed)
    return values
  }
}

extension Atomic where Value == Int {
  /// Adds one. The counters impose no memory ordering.
  borrowing func count() { add(1, ordering: .relaxed) }
}
