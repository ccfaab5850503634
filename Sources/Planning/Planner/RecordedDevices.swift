import Model

/// What Berth recorded of the devices of one domain.
struct RecordedDevices {
  /// The devices that Berth owns there.
  let owned: Set<PCIAddress>
  /// The set that owns each device, for devices that are recorded with one.
  let sets: [PCIAddress: String]
  /// What the domain was granted, and of which cards.
  let grants: [GrantRecord]
  /// Where Berth saw devices exported to the domain.
  let exports: [ExportRecord]

  /// Nothing is on record.
  static let none = RecordedDevices(owned: [], sets: [:], grants: [], exports: [])

  /// Returns what is on record of each domain.
  static func byDomain(_ records: [OwnershipRecord]) -> [DomainUUID: RecordedDevices] {
    Dictionary(
      records.map { record in
        let sets = Dictionary(record.sets.map { ($0.device, $0.set) }, uniquingKeysWith: { first, _ in first })
        return (
          record.uuid,
          RecordedDevices(owned: Set(record.devices), sets: sets, grants: record.grants, exports: record.exports)
        )
      }, uniquingKeysWith: { $0.joined(with: $1) })
  }

  /// Returns what two records of one domain say. The sets of the first one count.
  private func joined(with other: RecordedDevices) -> RecordedDevices {
    RecordedDevices(
      owned: owned.union(other.owned), sets: sets, grants: grants + other.grants, exports: exports + other.exports)
  }
}
