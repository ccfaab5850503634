import Model
import Planning
import Ports
import XenProtocol

/// Takes devices out of the record of any domain, living or not.
struct RecordCare {
  let host: Host

  /// Removes a device that the domain no longer has from the domain's record.
  ///
  /// Another run may have begun to attach the device since this run looked. The other run's intent is on disk before
  /// the run changes the record, and until the entry is in the back end. So this function looks for both before and
  /// after the removal, and restores what the other run relies on.
  func forget(_ device: PCIAddress, of uuid: DomainUUID) throws(HostError) {
    guard try !isInUse(device, by: uuid) else { return }
    let (living, facts) = (try number(of: uuid), try host.tree.facts(of: device))
    var name: Name?
    var exports: [ExportRecord] = []
    var emulations: [EmulationRecord] = []
    var (grants, sets): ([GrantRecord], [DeviceSet]) = ([], [])
    try host.ownership.update(uuid) { record in
      name = record?.name
      exports = record?.exports.filter { $0.device == device } ?? []
      emulations = record?.emulations.filter { $0.device == device } ?? []
      sets = record?.sets.filter { $0.device == device } ?? []
      record?.devices.removeAll { $0 == device }
      record?.sets.removeAll { $0.device == device }
      // Another device has the place of this one in the guest, or will get it.
      record?.exports.removeAll { $0.device == device }
      record?.emulations.removeAll { $0.device == device }
      grants = record?.grants.filter { $0.device == device } ?? []
      // Who detached the device revoked what sysfs showed. That is not what was granted if the card is another one.
      record?.grants.removeAll { grant in
        guard grant.device == device else { return false }
        if grant.domain != living { return true }
        return grant.grants != nil && facts.map { grant.identity?.fits($0) ?? true } == true
      }
      if record?.isEmpty == true { record = nil }
    }
    guard let name, try isInUse(device, by: uuid) else { return }
    try host.ownership.update(uuid) { record in
      var restored = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
      restored.devices = Set(restored.devices).union([device]).sorted()
      if !restored.exports.contains(where: { $0.device == device }) { restored.exports += exports }
      if !restored.emulations.contains(where: { $0.device == device }) { restored.emulations += emulations }
      if !restored.sets.contains(where: { $0.device == device }) { restored.sets += sets }
      for grant in grants where !restored.grants.contains(grant) { restored.grants.append(grant) }
      record = restored
    }
  }

  /// Records what sysfs shows of a device as granted to the domain that has it, if nothing is on record.
  ///
  /// The domain has the device: its back end lists the device as exported, and Xen says that a guest has it. Xen and
  /// pciback drop a card that is pulled, so no other card is in its place.
  func recordGrant(of device: PCIAddress, to uuid: DomainUUID) throws(HostError) {
    guard let domain = try number(of: uuid), let card = try Card(at: device, on: host), card.facts.isOnPCIBack,
      let entry = try entry(of: device, in: domain), entry.isExported,
      try host.hypervisor.probe(device, for: nil) == .takenOrUnknown
    else { return }
    let grant = GrantRecord(
      device: device, domain: domain, identity: card.identity, grants: try host.tree.grants(for: device),
      options: entry.options)
    try host.ownership.update(uuid) { record in
      // Another run may have detached the device in the meantime.
      guard record?.devices.contains(device) == true,
        record?.grants.contains(where: { $0.device == device && $0.domain == domain }) == false
      else { return }
      record?.grants.removeAll { $0.device == device }
      record?.grants.append(grant)
    }
  }

  /// Returns the domain's number; nil if there is no such domain.
  private func number(of uuid: DomainUUID) throws(HostError) -> DomainID? {
    try host.hypervisor.domains().first { $0.uuid == uuid }?.id
  }

  /// Returns whether a run intends to give the device to the domain, or the domain's back end lists it.
  private func isInUse(_ device: PCIAddress, by uuid: DomainUUID) throws(HostError) -> Bool {
    // The intents are read first: an intent that has ended in the meantime left its entry.
    let found = try host.intents.readIntents()
    if found.contents.contains(where: { $0.domain.uuid == uuid && $0.devices.contains(device) }) { return true }
    guard let domain = try number(of: uuid) else { return false }
    _ = try found.contents(for: DomainKey(id: domain, uuid: uuid))
    return try entry(of: device, in: domain) != nil
  }

  /// Returns the device's entry on the domain's bus; nil if there is none.
  private func entry(of device: PCIAddress, in domain: DomainID) throws(HostError) -> BackEndEntry? {
    try host.stores.connect().transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<BackEndEntry?> in
      // An HVM guest's devices may be on its stub domain's bus.
      let stub = try access.read(.stubDomain(of: domain)).flatMap { decimal($0) }.map { DomainID(UInt32($0)) }
      for domain in [domain, stub].compactMap(\.self) where domain != .zero {
        let bus = try BusReader(domain: domain).read { (path) throws(HostError) in try access.read(path) }
        if let entry = bus.entry(for: device) { return .abort(entry) }
      }
      return .abort(nil)
    }
  }
}
