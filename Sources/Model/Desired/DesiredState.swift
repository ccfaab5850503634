/// What the manifests declare, checked: what should be true of one host.
package struct DesiredState: Hashable, Sendable, Codable {
  package var policy: Policy
  /// In order of name.
  package var domains: [DesiredDomain]
  package init(policy: Policy = Policy(), domains: [DesiredDomain] = []) {
    self.policy = policy
    self.domains = domains
  }
}

/// What may be removed.
package struct Policy: Hashable, Sendable, Codable {
  /// What happens to attached devices that nobody declares.
  package enum Prune: String, Sendable, Codable, CaseIterable {
    /// Nothing is ever detached for not being declared.
    case never
    /// What Berth attached or adopted is detached.
    case owned
    /// Everything undeclared is detached, in every domain.
    case all
  }
  package var prune: Prune
  /// A plan that detaches more devices is refused; nil sets no bound.
  package var maxRemovals: Int?

  package init(prune: Prune = .owned, maxRemovals: Int? = nil) {
    self.prune = prune
    self.maxRemovals = maxRemovals
  }
}

/// A domain and the devices it should have.
package struct DesiredDomain: Hashable, Sendable, Codable {
  package var name: String
  /// Where given, the domain of that name must have it.
  package var uuid: DomainUUID?
  package var devices: [DesiredDevice]
  package init(name: String, uuid: DomainUUID? = nil, devices: [DesiredDevice]) {
    self.name = name
    self.uuid = uuid
    self.devices = devices
  }
}

/// A device a domain should have.
package struct DesiredDevice: Hashable, Sendable, Codable {
  package var address: PCIAddress
  /// What the device must be; a mismatch blocks the assignment.
  package var id: DeviceID?
  /// The name it has in the manifest's `devices`.
  package var label: String?
  package var options: DeviceOptions
  /// Whether a missing device makes the run fail rather than be shown.
  package var isRequired: Bool

  package init(
    address: PCIAddress, id: DeviceID? = nil, label: String? = nil, options: DeviceOptions = DeviceOptions(),
    isRequired: Bool = true
  ) {
    self.address = address
    self.id = id
    self.label = label
    self.options = options
    self.isRequired = isRequired
  }
}
