/// An absolute path in xenstore, made only of characters that xenstored accepts.
///
/// Paths are built from domain values, never read from nodes that a guest can write.
package struct StorePath: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package var description: String { text }

  private init(_ text: String) { self.text = text }

  /// Returns a node below this one. `name` must consist of letters, digits and `-_@`; anything else is a mistake in
  /// the program.
  package func child(_ name: String) -> StorePath { StorePath(text + "/" + name) }

  package static let libxl = StorePath("/libxl")
  package static let claims = StorePath("/libxl/pci")
  package static let domains = StorePath("/local/domain")
  package static let backEnds = StorePath("/local/domain/0/backend/pci")

  /// `/local/domain/<domid>`. The guest can read it; its owner is dom0.
  package static func home(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)") }
  /// `/libxl/<domid>`, which belongs to dom0.
  package static func toolstack(_ domain: DomainID) -> StorePath { StorePath("/libxl/\(domain)") }
  /// The PCI back end's directory. libxl fixes back-end domain 0 and device 0 (`libxl__device_from_pci`).
  package static func backEnd(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/backend/pci/\(domain)/0")
  }
  /// The directory of all PCI back ends of a domain; it contains only device 0.
  package static func backEndHome(_ domain: DomainID) -> StorePath { backEnds.child("\(domain)") }
  /// The directory of all of a domain's PCI front ends.
  package static func frontEndHome(_ domain: DomainID) -> StorePath { home(domain).child("device").child("pci") }
  /// The PCI front end's directory, which the guest owns and can write.
  package static func frontEnd(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)/device/pci/0") }
  /// The node by which toolstacks reserve a device.
  package static func claim(_ device: PCIAddress) -> StorePath { StorePath("/libxl/pci/\(device.storeKey)/domid") }
  /// The node that holds the number of an HVM guest's stub domain.
  package static func stubDomain(of guest: DomainID) -> StorePath {
    home(guest).child("image").child("device-model-domid")
  }
  /// The directory of pciback's error texts, by domain.
  package static let backEndErrors = StorePath("/local/domain/0/error/backend/pci")
  /// The node for pciback's error text about a domain (`xenbus_va_dev_error`, Linux
  /// drivers/xen/xenbus/xenbus_client.c).
  package static func backEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/error/backend/pci/\(domain)/0/error")
  }
  /// The node for pcifront's error text. The guest writes it.
  package static func frontEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/\(domain)/error/device/pci/0/error")
  }
}

/// The permissions of a node: its owner, what other domains may do, and one domain that may read.
package struct StorePermissions: Hashable, Sendable {
  package let owner: DomainID
  package let reader: DomainID?
  package init(owner: DomainID, reader: DomainID?) { (self.owner, self.reader) = (owner, reader) }
}

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
  /// The caller must hold neither a libxl lock nor a transaction.
  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result>
}

/// Opens connections. Each worker has its own, because one connection serves one request at a time.
package protocol StoreConnector: Sendable {
  func connect() throws(HostError) -> any StorePort
}
