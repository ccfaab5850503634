import Model
import XenProtocol

/// What a domain was granted with a device that it no longer has.
struct LeftRights {
  /// What is on record of the device, the newest last.
  let records: [GrantRecord]

  /// Whether the record says what to revoke.
  var isKnown: Bool { records.contains { $0.grants != nil } }

  /// `memory 0xa1000000-0xa101ffff, interrupt 17 of 8086:1533`.
  var evidence: String {
    let known = records.compactMap { record -> String? in
      record.grants.map { grants in "\(grants)\(record.identity.map { " of \($0.id)" } ?? "")" }
    }
    guard !known.isEmpty else {
      return "the card was gone at the detach, and no record says which memory and interrupt it had"
    }
    return "the guest may still reach " + known.joined(separator: " and ")
  }
}

extension Planner {
  /// Returns what Berth recorded that the domain was granted with a device, in this life of the domain.
  func grants(of device: PCIAddress, in domain: Guest) -> [GrantRecord] {
    domain.recorded.grants.filter { $0.device == device && $0.domain == domain.id }
  }

  /// Returns what a device was when the domain was granted it, in this life; nil if that is not on record.
  func recordedIdentity(of device: PCIAddress, in domain: Guest) -> DeviceIdentity? {
    grants(of: device, in: domain).last { $0.grants != nil }?.identity
  }

  /// Returns what is at a device's address instead of the recorded device: nil if that device is there, or if nothing
  /// is on record. A device that was not looked at is there.
  func replacement(of device: PCIAddress, in domain: Guest) -> String? {
    guard let identity = recordedIdentity(of: device, in: domain), let found = index.devices[device] else { return nil }
    guard let facts = found.facts else { return "the host has no such device" }
    guard !identity.fits(facts) else { return nil }
    return "\(identity.id) was attached, but the device there is \(facts.id?.description ?? "unknown") now"
  }

  /// Whether a domain has a device, and nobody recorded what it was granted in this life. libxl attached the device when
  /// the domain started again, or a Berth that kept no such record did. While the device is in its place, sysfs says it.
  func lacksGrant(of device: PCIAddress, in domain: Guest) -> Bool {
    guard let found = index.devices[device], found.facts?.isOnPCIBack == true, found.facts?.id != nil,
      found.claim == domain.id, found.assignment == .assigned, index.intended[domain.key]?.contains(device) != true
    else { return false }
    return domain.entry(for: device)?.isExported == true && grants(of: device, in: domain).isEmpty
  }

  /// Returns the rights that a domain has to devices that neither its bus lists nor a run or a claim explains.
  ///
  /// A device in Berth's record that is still in its place is none: its rights went with it when another toolstack
  /// detached it.
  func rightsLeft(in domain: Guest) -> [PCIAddress: LeftRights] {
    let records = domain.recorded.grants.filter { $0.domain == domain.id }
    guard !records.isEmpty else { return [:] }
    return Dictionary(grouping: records, by: \.device).filter { device, _ in
      guard !domain.lists(device), index.devices[device]?.claim != domain.id,
        index.intended[domain.key]?.contains(device) != true, index.remnants[domain.id]?[device] == nil
      else { return false }
      return !domain.recorded.owned.contains(device) || replacement(of: device, in: domain) != nil
    }.mapValues { LeftRights(records: $0) }
  }

  /// Returns what a person can do about a device that is not on pciback; nil if the catalogue's words say it.
  ///
  /// A device that a driver of the host has may be the host's own disk: no command is given that takes it away.
  func remedy(forTaking device: PCIAddress, orDetachingFrom domain: Guest? = nil) -> String? {
    guard let found = index.devices[device] else { return nil }
    let detach = domain.map { ", or detach it from \($0.title)" } ?? ""
    guard let facts = found.facts else { return "check that the device is powered\(detach)" }
    guard let driver = facts.driver, !facts.isOnPCIBack else { return nil }
    return "\(driver) drives it now, so something of the host may use it: check the address\(detach). "
      + "If the host can do without the device, hide it at boot with xen-pciback.hide"
  }
}
