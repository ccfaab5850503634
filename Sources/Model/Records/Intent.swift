/// What a Berth process is about to do to one domain, written down before it does it.
package struct Intent: Hashable, Sendable, Codable {
  package enum Operation: String, Sendable, Codable { case attach, detach }
  /// Names the file; unique on the host.
  package var identifier: String
  package var domain: DomainKey
  package var operation: Operation
  package var devices: [PCIAddress]
  /// Whether the process that wrote it is still at work (it holds the file's lock).
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
