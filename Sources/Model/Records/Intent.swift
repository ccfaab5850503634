/// What a Berth process is about to do to one domain, written before it is done.
package struct Intent: Hashable, Sendable, Codable {
  package enum Operation: String, Sendable, Codable {
    case attach, detach
    /// Has pciback release a device and take it again. The device has no driver in between.
    case rebind
  }
  /// The name of the file, unique on the host.
  package var identifier: String
  package var domain: DomainKey
  package var operation: Operation
  package var devices: [PCIAddress]
  /// When the intent was written, in seconds since 1970; nil in a file of an earlier release.
  package var since: Int64?
  /// Whether the process that wrote the intent is still at work and so holds the file's lock.
  package var isLive: Bool

  package init(
    identifier: String, domain: DomainKey, operation: Operation, devices: [PCIAddress], since: Int64? = nil,
    isLive: Bool = false
  ) {
    self.identifier = identifier
    self.domain = domain
    self.operation = operation
    self.devices = devices
    self.since = since
    self.isLive = isLive
  }
}
