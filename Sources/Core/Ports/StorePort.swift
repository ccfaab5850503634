/// A path in xenstore, absolute, made only of characters xenstored accepts.
///
/// Paths are built from domain values, never read from nodes that a guest can write.
package struct StorePath: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package var description: String { text }

  private init(_ text: String) { self.text = text }

  /// A node below this one. `name` must consist of letters, digits and `-_@`; it is a mistake in the program otherwise.
  package func child(_ name: String) -> StorePath { StorePath(text + "/" + name) }

  package static let libxl = StorePath("/libxl")
  package static let claims = StorePath("/libxl/pci")
  package static let domains = StorePath("/local/domain")
  package static let backEnds = StorePath("/local/domain/0/backend/pci")

  /// `/local/domain/<domid>`, guest-readable; its owner is dom0.
  package static func home(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)") }
  /// `/libxl/<domid>`, dom0's own.
  package static func toolstack(_ domain: DomainID) -> StorePath { StorePath("/libxl/\(domain)") }
  /// The PCI back end's directory. libxl fixes back-end domain 0 and device 0 (`libxl__device_from_pci`).
  package static func backEnd(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/backend/pci/\(domain)/0")
  }
  /// The directory of all of a domain's PCI back ends; there is only device 0 in it.
  package static func backEndHome(_ domain: DomainID) -> StorePath { backEnds.child("\(domain)") }
  /// The directory of all of a domain's PCI front ends.
  package static func frontEndHome(_ domain: DomainID) -> StorePath { home(domain).child("device").child("pci") }
  /// The PCI front end's directory: owned and writable by the guest.
  package static func frontEnd(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)/device/pci/0") }
  /// The node by which toolstacks reserve a device.
  package static func claim(_ device: PCIAddress) -> StorePath { StorePath("/libxl/pci/\(device.storeKey)/domid") }
  /// The number of an HVM guest's stub domain.
  package static func stubDomain(of guest: DomainID) -> StorePath {
    home(guest).child("image").child("device-model-domid")
  }
  /// The directory of what pciback complained of, by domain.
  package static let backEndErrors = StorePath("/local/domain/0/error/backend/pci")
  /// Where the kernel leaves pciback's error text for a domain (`xenbus_va_dev_error`, Linux
  /// drivers/xen/xenbus/xenbus_client.c).
  package static func backEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/error/backend/pci/\(domain)/0/error")
  }
  /// Where a guest's kernel leaves pcifront's error text. The guest writes it.
  package static func frontEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/\(domain)/error/device/pci/0/error")
  }
}

/// Who may do what with a node: the owner, what others may do, and one domain that may read.
package struct StorePermissions: Hashable, Sendable {
  package let owner: DomainID
  package let reader: DomainID?
  package init(owner: DomainID, reader: DomainID?) { (self.owner, self.reader) = (owner, reader) }
}

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
