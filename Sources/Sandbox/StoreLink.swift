import Glibc
package import Model
package import Ports
package import XenProtocol

/// The simulator's connection to the private xenstored.
///
/// Not safe for several threads; each has its own.
package final class StoreLink: SimulatorStore {
  private let wire: StoreWire
  /// The transaction's number; 0 outside transactions.
  private let transactionID: UInt32

  /// Connects to the xenstored that listens at `path`.
  package convenience init(path: String) throws(StoreError) {
    self.init(wire: try StoreWire(path: path), transactionID: 0)
  }

  private init(wire: StoreWire, transactionID: UInt32) {
    self.wire = wire
    self.transactionID = transactionID
  }

  /// Connects to another daemon. The watches of the earlier connection are gone.
  func reconnect(path: String) throws(StoreError) { try wire.reconnect(path: path) }

  /// The descriptor to poll for reading; then call `takeEvents`.
  package var descriptor: Int32 { wire.descriptor }
  /// Returns whether events have already arrived.
  package func hasEvents() throws(StoreError) -> Bool { try wire.hasEvents() }
  /// Returns the paths whose watches fired, in order.
  package func takeEvents() throws(StoreError) -> [String] { try wire.takeEvents() }

  /// Requests an event for each change at or below `path`. One event comes at once.
  package func watch(_ path: String) throws(StoreError) { _ = try wire.ask(.watch, [path, path]) }

  /// Introduces a domain to xenstored, as a toolstack does with `xs_introduce_domain`.
  package func introduce(_ domain: DomainID) throws(StoreError) {
    _ = try wire.ask(.introduce, ["\(domain)", "1", "\(1000 + domain.rawValue)"])
  }

  package func read(_ path: String) throws(StoreError) -> String? {
    try ask(.read, [path]).map { String(decoding: $0, as: UTF8.self) }
  }

  package func list(_ path: String) throws(StoreError) -> [String]? {
    do {
      return try ask(.directory, [path])?.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    } catch  where error.errno == E2BIG {
      return try listInParts(path)
    }
  }

  package func write(_ path: String, _ value: String) throws(StoreError) {
    _ = try wire.ask(.write, [path], value: value, transaction: transactionID)
  }

  package func remove(_ path: String) throws(StoreError) { _ = try ask(.remove, [path]) }

  package func setPermissions(_ path: String, _ permissions: StorePermissions) throws(StoreError) {
    try setPermissions(path, letters: "n\(permissions.owner)" + (permissions.reader.map { ",r\($0)" } ?? ""))
  }

  /// Sets a node's permissions, given in xenstored's letters.
  func setPermissions(_ path: String, letters: String) throws(StoreError) {
    _ = try wire.ask(
      .setPermissions, [path] + letters.split(separator: ",").map(String.init), transaction: transactionID)
  }

  /// Returns a node's permissions in xenstored's letters, `n0,r5`; nil if there is no node.
  package func permissions(_ path: String) throws(StoreError) -> String? {
    try ask(.getPermissions, [path])?.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      .joined(separator: ",")
  }

  package func transaction(_ body: (any SimulatorStore) throws(StoreError) -> Bool) throws(StoreError) {
    while true {
      let reply = try wire.ask(.transactionStart, [""])
      guard let number = scanNumber(String(decoding: reply.prefix { $0 != 0 }, as: UTF8.self)) else {
        throw StoreError(.lost, operation: "transactionStart", errno: EPROTO)
      }
      let transaction = UInt32(truncatingIfNeeded: number)
      let isCommit: Bool
      do {
        isCommit = try body(StoreLink(wire: wire, transactionID: transaction))
      } catch {
        // The body's error is thrown. An error of the abort would add nothing.
        _ = try? wire.ask(.transactionEnd, ["F"], transaction: transaction)
        throw error
      }
      do {
        _ = try wire.ask(.transactionEnd, [isCommit ? "T" : "F"], transaction: transaction)
        return
      } catch  where error.errno == EAGAIN {
        continue
      }
    }
  }

  /// Returns the reply; nil if the node or its parent is missing.
  private func ask(_ kind: StoreMessage.Kind, _ words: [String]) throws(StoreError) -> [UInt8]? {
    do {
      return try wire.ask(kind, words, transaction: transactionID)
    } catch  where error.errno == ENOENT {
      return nil
    }
  }

  /// Returns a listing that is longer than one reply. It comes in pieces, each with the directory's generation before
  /// it.
  private func listInParts(_ path: String) throws(StoreError) -> [String]? {
    var bytes: [UInt8] = []
    var generation: [UInt8] = []
    while true {
      guard let reply = try ask(.directoryPart, [path, "\(bytes.count)"]) else { return nil }
      let current = Array(reply.prefix { $0 != 0 })
      if current != generation {
        if !bytes.isEmpty { (bytes, generation) = ([], []); continue }
        generation = current
      }
      let piece = reply.dropFirst(current.count + 1)
      bytes += piece
      // The last piece ends in one NUL more than its names need.
      if piece.isEmpty || piece.suffix(2).elementsEqual([0, 0]) || piece.elementsEqual([0]) { break }
    }
    return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }
}
