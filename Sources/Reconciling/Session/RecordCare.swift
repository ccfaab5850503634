import Model
import Planning
import Ports
import XenProtocol

/// Takes devices out of the record of any domain, living or not.
struct RecordCare {
  let host: Host

  /// Takes a device that the domain no longer has out of its record.
  ///
  /// Another run may be attaching it since this one looked. That run has its intent on disk before it touches the
  /// record and until the entry is in the back end. So this looks for both before and after, and puts back what the run
  /// needs.
  func forget(_ device: PCIAddress, of uuid: DomainUUID) throws(HostError) {
    guard try !isInUse(device, by: uuid) else { return }
    var name: String?
    var exports: [ExportRecord] = []
    var emulations: [EmulationRecord] = []
    try host.ownership.update(uuid) { record in
      name = record?.name
      exports = record?.exports.filter { $0.device == device } ?? []
      emulations = record?.emulations.filter { $0.device == device } ?? []
      record?.devices.removeAll { $0 == device }
      // Another device has the place of this one in the guest, or will get it.
      record?.exports.removeAll { $0.device == device }
      record?.emulations.removeAll { $0.device == device }
      if record?.devices.isEmpty == true, record?.emulations.isEmpty == true { record = nil }
    }
    guard let name, try isInUse(device, by: uuid) else { return }
    try host.ownership.update(uuid) { record in
      var mended = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
      mended.devices = Set(mended.devices).union([device]).sorted()
      if !mended.exports.contains(where: { $0.device == device }) { mended.exports += exports }
      if !mended.emulations.contains(where: { $0.device == device }) { mended.emulations += emulations }
      record = mended
    }
  }

  /// Returns whether a run means to give the device to the domain, or the domain's back end lists it.
  private func isInUse(_ device: PCIAddress, by uuid: DomainUUID) throws(HostError) -> Bool {
    // The intents are read first: an intent that has ended in the meantime left its entry.
    let intents = try host.intents.intents()
    if intents.contains(where: { $0.domain.uuid == uuid && $0.devices.contains(device) }) { return true }
    let domains = try host.hypervisor.domains()
    guard let domain = domains.first(where: { $0.uuid == uuid })?.id else { return false }
    return try host.stores.connect().transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Bool> in
      // An HVM guest's devices may be on its stub domain's bus.
      let stub = try access.read(.stubDomain(of: domain)).flatMap { decimal($0) }.map { DomainID(UInt32($0)) }
      for domain in [domain, stub].compactMap(\.self) where domain != .zero {
        let bus = try BusReader(domain: domain).read { (path) throws(HostError) in try access.read(path) }
        if bus.entry(for: device) != nil { return .abort(true) }
      }
      return .abort(false)
    }
  }
}
