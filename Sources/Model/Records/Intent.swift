/// What a Berth process is about to do to one domain, written before it is done.
package struct Intent: Hashable, Sendable, Codable {
  package enum Operation: String, Sendable, Codable { case attach, detach }
  /// The name of the file, unique on the host.
  package var identifier: String
  package var domain: DomainKey
  package var operation: Operation
  package var devices: [PCIAddress]
  /// Whether the process that wrote the intent is still at work and so holds the file's lock.
  package var isLive: Bool

  package init(
    identifier: String, domain: DomainKey, operation: Operation, devices: [PCIAddress], isLive: Bool = false
  ) {
    self.identifier = identifier
    self.domain = domain
    self.operation = operation
    self.devices = devices
    self.isLive = isLive
  }
}
