package import XenProtocol

/// Reads and writes that belong to one commit.
package protocol StoreAccess: ~Copyable {
  /// The node's value; nil where there is no node. Bytes that are not UTF-8 are replaced.
  borrowing func read(_ path: StorePath) throws(HostError) -> String?
  /// The names of the node's children; nil where there is no node.
  borrowing func list(_ path: StorePath) throws(HostError) -> [String]?
  /// Sets the node's value, and makes it and its parents where they are missing.
  borrowing func write(_ path: StorePath, _ value: String) throws(HostError)
  /// Makes an empty node, with these permissions; children inherit them.
  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(HostError)
  /// Removes the node and all below it; a missing node is no error.
  borrowing func remove(_ path: StorePath) throws(HostError)
}

/// What a transaction's body asks for at its end.
package enum StoreDecision<Result> {
  case commit(Result)
  /// Nothing the body wrote is kept.
  case abort(Result)
}

/// How a wait ended.
package enum WaitOutcome<Result> {
  case satisfied(Result)
  case timedOut
  /// The user asked the program to stop.
  case interrupted
}

/// How often a transaction is tried: a guest that writes its nodes for ever makes every attempt a conflict.
package enum Patience: Int, Sendable {
  /// The caller holds libxl's lock of the domain, which others wait for. Some more where half a second is not over: a dozen
  /// programs at work on other domains meet at the nodes above.
  case underLock = 20
  /// Nobody waits for the caller. Some two seconds.
  case unlocked = 200

  package var leastTime: Duration { self == .underLock ? .milliseconds(500) : .zero }
}

/// A connection to xenstored.
package protocol StorePort: Sendable {
  /// Runs `body` in a transaction, again from its first read after each conflict.
  ///
  /// The body must take every value it decides on from the transaction it is lent, and must have no effect
  /// elsewhere: it can run many times. Throws `conflict` when the attempts of `patience` are used up.
  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result

  /// One read outside any transaction: advisory, nothing may be decided on it alone.
  func read(_ path: StorePath) throws(HostError) -> String?

  /// One listing outside any transaction: advisory.
  func list(_ path: StorePath) throws(HostError) -> [String]?

  /// Evaluates `condition` now, after each change at or below `paths`, and once at the deadline.
  ///
  /// The caller must hold no lock and no transaction.
  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result>
}

/// Makes connections: each worker has its own, since one connection serves one request at a time.
package protocol StoreConnector: Sendable {
  func connect() throws(HostError) -> any StorePort
}
