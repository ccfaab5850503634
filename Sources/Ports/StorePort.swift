package import XenProtocol

/// Reads and writes that belong to one commit.
package protocol StoreAccess: ~Copyable {
  /// Returns the node's value; nil if there is no node. Bytes that are not UTF-8 are replaced.
  borrowing func read(_ path: StorePath) throws(HostError) -> String?
  /// Returns the names of the node's children; nil if there is no node.
  borrowing func list(_ path: StorePath) throws(HostError) -> [String]?
  /// Sets the node's value. Creates the node and its parents if they are missing.
  borrowing func write(_ path: StorePath, _ value: String) throws(HostError)
  /// Creates an empty node with these permissions, which its children inherit.
  borrowing func makeDirectory(_ path: StorePath, _ permissions: StorePermissions) throws(HostError)
  /// Removes the node and everything below it; a missing node is no error.
  borrowing func remove(_ path: StorePath) throws(HostError)
}

/// What a transaction's body returns at its end.
package enum StoreDecision<Result> {
  case commit(Result)
  /// Everything that the body wrote is discarded.
  case abort(Result)
}

/// How a wait ended.
package enum WaitOutcome<Result> {
  case satisfied(Result)
  case timedOut
  /// The user asked the program to stop.
  case interrupted
}

/// The number of attempts of a transaction. A guest that keeps writing its nodes makes every attempt a conflict.
package enum Patience: Int, Sendable {
  /// The caller holds libxl's lock of the domain, for which other programs wait. The transaction is tried longer until
  /// half a second is over: a dozen programs working on other domains conflict at the nodes above.
  case underLock = 20
  /// Nobody waits for the caller. About two seconds.
  case unlocked = 200

  package var leastTime: Duration { self == .underLock ? .milliseconds(500) : .zero }
}

/// A connection to xenstored.
package protocol StorePort: Sendable {
  /// Runs `body` in a transaction, and again from its first read after each conflict.
  ///
  /// The body must decide only on values that it reads in this transaction. It must have no effect elsewhere, because
  /// it can run many times. Throws `conflict` when the attempts of `patience` are used up.
  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result

  /// Returns a node's value, read outside any transaction. The value is advisory: no decision may depend on it alone.
  func read(_ path: StorePath) throws(HostError) -> String?

  /// Returns the names of a node's children, read outside any transaction: advisory.
  func list(_ path: StorePath) throws(HostError) -> [String]?

  /// Evaluates `condition` now, after each change at or below `paths`, and once at the deadline.
  ///
  /// If the wait is interruptible, it returns `interrupted` when the user stops the program, and at once in every later
  /// call. The caller must hold neither a libxl lock nor a transaction.
  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant, isInterruptible: Bool,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result>
}

/// Opens connections. Each worker has its own, because one connection serves one request at a time.
package protocol StoreConnector: Sendable {
  func connect() throws(HostError) -> any StorePort
}
