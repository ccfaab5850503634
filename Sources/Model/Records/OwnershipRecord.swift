/// What Berth owns in one domain, recorded under its state directory.
package struct OwnershipRecord: Hashable, Sendable, Codable {
  package var uuid: DomainUUID
  /// The domain's name at that time; for people.
  package var name: Name
  package var devices: [PCIAddress]
  /// The set of manifests that owns each device. A device that an earlier release recorded has none: it belongs to the
  /// first set that declares it, and until then to the default set.
  package var sets: [DeviceSet]
  /// The exports to the domain that Berth saw in pciback's log. An overwritten entry can be written again only from
  /// them.
  package var exports: [ExportRecord]
  /// What qemu-traditional answered about devices. It cannot list its devices.
  package var emulations: [EmulationRecord]
  /// What the domain was granted with devices. A device that is no longer in `devices` has rights left there.
  package var grants: [GrantRecord]
  /// Why the last attach of a device failed, if the cause does not go away by itself.
  package var refusals: [RefusalRecord]
  /// When the domain was first found to be gone, in seconds since 1970; nil while the domain exists.
  package var goneSince: Int64?

  package init(
    uuid: DomainUUID, name: Name, devices: [PCIAddress], sets: [DeviceSet] = [], exports: [ExportRecord] = [],
    emulations: [EmulationRecord] = [], grants: [GrantRecord] = [], refusals: [RefusalRecord] = [],
    goneSince: Int64? = nil
  ) {
    self.refusals = refusals
    self.grants = grants
    self.exports = exports
    self.emulations = emulations
    self.uuid = uuid
    self.name = name
    self.devices = devices
    self.sets = sets
    self.goneSince = goneSince
  }
}

/// The set of manifests that owns a device.
package struct DeviceSet: Hashable, Sendable, Codable {
  package var device: PCIAddress
  package var set: String
  package init(device: PCIAddress, set: String) {
    self.device = device
    self.set = set
  }
}

extension OwnershipRecord {
  /// Whether nothing is recorded, so that no file is needed.
  package var isEmpty: Bool { devices.isEmpty && emulations.isEmpty && grants.isEmpty && refusals.isEmpty }
}

/// Why an attach failed, in the words of its outcome.
package struct RefusalRecord: Hashable, Sendable, Codable {
  package var device: PCIAddress
  /// The domain's number at that time. A domain that has started again may accept the device.
  package var domain: DomainID
  package var words: String
  package init(device: PCIAddress, domain: DomainID, words: String) {
    (self.device, self.domain, self.words) = (device, domain, words)
  }
}

/// The state of one request to qemu-traditional for a device.
package struct EmulationRecord: Hashable, Sendable, Codable {
  package enum Fate: String, Sendable, Codable {
    /// Not requested yet, refused, or released.
    case gone
    /// Requested, and not answered yet.
    case asked
    case shown
  }
  package var device: PCIAddress
  /// The domain whose bus the device is on. Another stub domain means another QEMU.
  package var domain: DomainID
  package var fate: Fate
  /// Slot and function at which the guest sees the device, as one number; 0 if unknown.
  package var place: UInt8
  package init(device: PCIAddress, domain: DomainID, fate: Fate, place: UInt8 = 0) {
    self.device = device
    self.domain = domain
    self.fate = fate
    self.place = place
  }
}
