/// What a domain was granted with a device, and what the device was then. It is on disk before the grant.
///
/// A right is revoked from this record: the card may be gone by then, or another one may be at its address.
package struct GrantRecord: Hashable, Sendable {
  package var device: PCIAddress
  /// The domain's number at that time. Its rights end with it: a domain that starts again has another number.
  package var domain: DomainID
  /// Nil if sysfs did not show it.
  package var identity: DeviceIdentity?
  /// Nil if nobody recorded what the domain was granted, and the card is gone.
  package var grants: DeviceGrants?
  package var options: DeviceOptions

  package init(
    device: PCIAddress, domain: DomainID, identity: DeviceIdentity?, grants: DeviceGrants?,
    options: DeviceOptions = DeviceOptions()
  ) {
    self.device = device
    self.domain = domain
    self.identity = identity
    self.grants = grants
    self.options = options
  }
}

extension GrantRecord: Codable {
  private enum Key: String, CodingKey { case device, domain, identity, resources, interrupt, options }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    device = try values.decode(PCIAddress.self, forKey: .device)
    domain = try values.decode(DomainID.self, forKey: .domain)
    identity = try values.decodeIfPresent(DeviceIdentity.self, forKey: .identity)
    grants = try values.decodeIfPresent([DeviceResource].self, forKey: .resources).map {
      DeviceGrants(resources: $0, interrupt: try values.decodeIfPresent(UInt32.self, forKey: .interrupt))
    }
    options = try values.decodeIfPresent(RecordedOptions.self, forKey: .options)?.options ?? DeviceOptions()
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(device, forKey: .device)
    try values.encode(domain, forKey: .domain)
    try values.encodeIfPresent(identity, forKey: .identity)
    try values.encodeIfPresent(grants?.resources, forKey: .resources)
    try values.encodeIfPresent(grants?.interrupt, forKey: .interrupt)
    if options != DeviceOptions() { try values.encode(RecordedOptions(options: options), forKey: .options) }
  }
}

/// Options in a record. Those that are libxl's defaults are left out, so that an option can be added later.
private struct RecordedOptions: Codable {
  private enum Key: String, CodingKey { case permissive, msiTranslate, powerManagement, rdmPolicy, virtualSlot }
  var options: DeviceOptions

  init(options: DeviceOptions) { self.options = options }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    options = DeviceOptions()
    options.permissive = try values.decodeIfPresent(Bool.self, forKey: .permissive) ?? options.permissive
    options.msiTranslate = try values.decodeIfPresent(Bool.self, forKey: .msiTranslate) ?? options.msiTranslate
    options.powerManagement = try values.decodeIfPresent(Bool.self, forKey: .powerManagement) ?? options.powerManagement
    if let policy = try values.decodeIfPresent(String.self, forKey: .rdmPolicy) {
      options.rdmPolicy = RDMPolicy(rawValue: policy) ?? options.rdmPolicy
    }
    options.virtualSlot = try values.decodeIfPresent(UInt8.self, forKey: .virtualSlot)
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    let usual = DeviceOptions()
    if options.permissive != usual.permissive { try values.encode(options.permissive, forKey: .permissive) }
    if options.msiTranslate != usual.msiTranslate { try values.encode(options.msiTranslate, forKey: .msiTranslate) }
    if options.powerManagement != usual.powerManagement {
      try values.encode(options.powerManagement, forKey: .powerManagement)
    }
    if options.rdmPolicy != usual.rdmPolicy { try values.encode(options.rdmPolicy.rawValue, forKey: .rdmPolicy) }
    try values.encodeIfPresent(options.virtualSlot, forKey: .virtualSlot)
  }
}
