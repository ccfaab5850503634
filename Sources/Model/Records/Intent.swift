/// What a Berth process is about to do to one domain, written before it is done.
package struct Intent: Hashable, Sendable, Codable {
  package enum Operation: String, Sendable, Codable {
    case attach, detach
    /// Has pciback release a device and take it again. The device has no driver in between.
    case rebind
  }
  /// The name of the file, unique on the host: see `IntentName`.
  package var identifier: String
  package var domain: DomainKey
  package var operation: Operation
  package var devices: [PCIAddress]
  /// Whether the writer of a `rebind` reserves the device for pciback, and nothing reserved it before. Whoever finds the
  /// intent removes the reservation. A reservation that was there before stays.
  package var reserves = false
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

/// What the name of an intent's file says, also if the file is damaged.
package struct IntentName: Hashable, Sendable {
  package var domain: DomainID
  /// Nil in the name of a file from an earlier release.
  package var uuid: DomainUUID?
  package var operation: Intent.Operation

  /// Returns a name that no other intent has: `7-<uuid>-attach-3f2a…`.
  package static func make(for domain: DomainKey, _ operation: Intent.Operation) -> String {
    "\(domain.id)-\(domain.uuid)-\(operation.rawValue)-\(String(UInt64.random(in: 0...UInt64.max), radix: 16))"
  }

  /// Reads such a name, or one of an earlier release, which has no UUID; returns nil for any other name.
  package init?(_ identifier: String) {
    let parts = identifier.split(separator: "-", omittingEmptySubsequences: false)
    // A UUID has five parts.
    guard parts.count == 3 || parts.count == 8, let number = decimal(parts[0]),
      let operation = Intent.Operation(rawValue: String(parts[parts.count - 2]))
    else { return nil }
    domain = DomainID(UInt32(number))
    self.operation = operation
    guard parts.count == 8 else { return }
    guard let uuid = DomainUUID(parts[1...5].joined(separator: "-")) else { return nil }
    self.uuid = uuid
  }
}
