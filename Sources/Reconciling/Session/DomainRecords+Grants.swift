import Model
import Ports

/// What the domain was granted, on record before it is granted and until it is revoked.
extension DomainRecords {
  /// Returns what the domain was granted, the newest last.
  func grants() throws(HostError) -> [GrantRecord] { try own()?.grants ?? [] }

  /// Records what the domain is about to be granted. An earlier grant of another card at the same address stays on
  /// record, because its rights are not revoked yet.
  func addGrants(_ grants: [GrantRecord]) throws(HostError) {
    let (uuid, name) = (session.key.uuid, session.name)
    try change { record in
      var changed = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
      for grant in grants where changed.grants.last(where: { $0.device == grant.device }) != grant {
        changed.grants.removeAll { old in
          // A domain's rights end with it, and so does what was recorded of its earlier numbers.
          old.hasSameRights(as: grant) || (old.device == grant.device && old.domain != grant.domain)
        }
        changed.grants.append(grant)
      }
      record = changed
    }
  }

  /// Removes grants that are revoked.
  func removeGrants(_ isRevoked: (GrantRecord) -> Bool) throws(HostError) {
    try change { record in
      record?.grants.removeAll(where: isRevoked)
      if record?.isEmpty == true { record = nil }
    }
  }
}

extension GrantRecord {
  /// Whether both are the same grant: of one device at one address to one domain.
  func hasSameRights(as other: GrantRecord) -> Bool {
    device == other.device && domain == other.domain && identity == other.identity && grants == other.grants
  }
}
