/// What Berth recorded as its own in one domain, under its state directory.
package struct OwnershipRecord: Hashable, Sendable, Codable {
  package var uuid: DomainUUID
  /// The name the domain had; for people.
  package var name: String
  package var devices: [PCIAddress]
  /// What pciback was seen to export to the domain: the only way to put an entry back that was overwritten.
  package var exports: [ExportRecord]
  /// What qemu-traditional, which cannot be asked what it has, said of devices.
  package var emulations: [EmulationRecord]
  /// Seconds since 1970 when the domain was first found gone; nil while it lives.
  package var goneSince: Int64?

  package init(
    uuid: DomainUUID, name: String, devices: [PCIAddress], exports: [ExportRecord] = [],
    emulations: [EmulationRecord] = [], goneSince: Int64? = nil
  ) {
    self.exports = exports
    self.emulations = emulations
    self.uuid = uuid
    self.name = name
    self.devices = devices
    self.goneSince = goneSince
  }
}

/// What became of a device that qemu-traditional was asked for, or not yet.
package struct EmulationRecord: Hashable, Sendable, Codable {
  package enum Fate: String, Sendable, Codable {
    /// Not asked for yet, refused, or let go.
    case gone
    /// Asked for, and not answered.
    case asked
    case shown
  }
  package var device: PCIAddress
  /// The domain whose bus the device is on: with another stub domain there is another QEMU.
  package var domain: DomainID
  package var fate: Fate
  /// Slot and function that the guest sees it at, as one number; 0 where it is not known.
  package var place: UInt8
  package init(device: PCIAddress, domain: DomainID, fate: Fate, place: UInt8 = 0) {
    self.device = device
    self.domain = domain
    self.fate = fate
    self.place = place
  }
}
