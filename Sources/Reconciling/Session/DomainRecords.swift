import Model
import Planning
import Ports
import XenProtocol

/// Berth's record of one domain: what is attached, where the guest sees it, and what qemu-traditional said of it.
struct DomainRecords {
  let session: DomainSession

  /// Returns the record of this domain; nil if there is none.
  func own() throws(HostError) -> OwnershipRecord? { try session.host.ownership.record(of: session.key.uuid) }

  /// Changes the record of this domain, and reads it back.
  ///
  /// `change` runs again on what is read back, and must find nothing to change: other runs may change other parts of the
  /// record. A run that keeps another domain's records may have removed the change for a moment (`RecordCare.forget`). So
  /// the change is made again before it counts as lost.
  func change(_ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    for _ in 0..<3 {
      try session.host.ownership.update(session.key.uuid, change)
      let found = try own()
      var expected = found
      change(&expected)
      if found == expected { return }
    }
    throw .record(RecordError(.unproven, operation: "update", place: "the record of \(session.name)"))
  }

  // MARK: Devices

  /// Returns the devices on record.
  func devices() throws(HostError) -> [PCIAddress] { try own()?.devices ?? [] }

  /// Records devices as Berth's, and as owned by the run's set.
  func add(_ devices: [PCIAddress]) throws(EngineError) {
    try update(owning: Set(devices)) { $0.formUnion(devices) }
  }

  /// Takes devices that are not attached out of Berth's record, and grants of devices that are `revoked`.
  ///
  /// A grant that nobody recorded in time stays on record: it can never be revoked.
  func forget(_ steps: [some DeviceWork], revoked: Set<PCIAddress> = []) throws(EngineError) {
    guard !steps.isEmpty || !revoked.isEmpty else { return }
    let devices = Set(steps.map(\.device))
    try update(revoked: revoked) { $0.subtract(devices) }
    // Nobody can ask qemu-traditional again, so what it said is on record.
    if session.route.deviceModel == .traditional { try note(nil, of: devices.sorted()) }
  }

  /// Takes a device that another toolstack has detached out of the record, unless another run is about to list it.
  func forgetDetached(_ device: PCIAddress) throws(HostError) {
    try RecordCare(host: session.host).forget(device, of: session.key.uuid)
  }

  /// Changes the devices on record. The run's set owns those of `owned` from then on.
  private func update(
    owning owned: Set<PCIAddress> = [], revoked: Set<PCIAddress> = [], _ edit: (inout Set<PCIAddress>) -> Void
  ) throws(EngineError) {
    let (uuid, name, set) = (session.key.uuid, session.name, session.options.set)
    do throws(HostError) {
      try change { record in
        var devices = Set(record?.devices ?? [])
        edit(&devices)
        if record == nil, devices.isEmpty { return }
        var changed = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
        changed.devices = devices.sorted()
        changed.exports.removeAll { !devices.contains($0.device) }
        changed.sets.removeAll { !devices.contains($0.device) || owned.contains($0.device) }
        changed.sets += owned.map { DeviceSet(device: $0, set: set) }
        changed.sets.sort { $0.device < $1.device }
        changed.refusals.removeAll { owned.contains($0.device) }
        changed.grants.removeAll { revoked.contains($0.device) && $0.grants != nil }
        let isUseless = changed.devices.isEmpty && changed.grants.isEmpty && changed.refusals.isEmpty
        record = isUseless ? nil : changed
      }
    } catch {
      throw .host(error)
    }
  }

  // MARK: Exports

  /// Returns where the guest saw a device when Berth looked last; nil if Berth never saw it there.
  func lastExport(of device: PCIAddress) throws(HostError) -> ExportRecord? {
    try own()?.exports.last { $0.device == device && $0.domain == session.busID }
  }

  /// Records where the guest sees its devices. If somebody overwrites an entry, it can then be put back.
  func recordExports(_ entries: [BackEndEntry]) throws(EngineError) {
    let domain = session.busID
    let exports = entries.compactMap { entry in
      entry.device.flatMap { device in
        entry.virtualAddress.map { ExportRecord(device: device, domain: domain, slot: $0.device) }
      }
    }
    do throws(HostError) {
      try change { record in
        let devices = Set(exports.map(\.device))
        record?.exports.removeAll { devices.contains($0.device) || $0.domain != domain }
        record?.exports += exports
        record?.exports.sort { $0.device < $1.device }
      }
    } catch {
      throw .host(error)
    }
  }

  /// Removes from the record that the guest has these devices. This comes before their entries go: if the entries are
  /// gone and no export is recorded, the guest has released the devices.
  func forgetExports(_ devices: Set<PCIAddress>) throws(EngineError) {
    do throws(HostError) {
      try change { $0?.exports.removeAll { devices.contains($0.device) } }
    } catch {
      throw .host(error)
    }
  }

  // MARK: QEMU

  /// Records where QEMU shows devices: in the saved configuration, and in the guest's own back end, as libxl does.
  func recordPlaces(_ places: [PCIAddress: EmulatedDevice], of held: [ClaimedDevice]) throws(EngineError) {
    guard !places.isEmpty else { return }
    _ = try session.locked { (lock) throws(HostError) in
      let listed = try lock.decide { view -> ([PCIAddress: BackEndEntry], [StoreEdit]) in
        var listed: [PCIAddress: BackEndEntry] = [:]
        var edits: [StoreEdit] = []
        for (device, place) in places.sorted(by: { $0.key < $1.key }) {
          guard let entry = view.backEnd.entry(for: device) else { continue }
          listed[device] = entry
          guard !session.route.hasFrontEndDriver, entry.options.virtualSlot != place.slot else { continue }
          edits.append(
            .write(
              StorePath.backEnd(session.busID).child("\(EntryNode.vdevfn.rawValue)-\(entry.index)"),
              String(UInt64(place.slot) << 3 | UInt64(place.function), radix: 16)))
        }
        return (listed, edits)
      }
      guard let listed, case .present(let saved) = try lock.savedConfiguration() else { return }
      let devices = held.compactMap { held -> SavedDevice? in
        guard let place = places[held.step.device], listed[held.step.device] != nil else { return nil }
        var options = held.step.options
        options.virtualSlot = place.slot
        return SavedDevice(address: held.step.device, options: options)
      }
      let new = try saved.with(devices)
      try lock.replace(saved, with: new)
    }
  }

  /// Returns what became of a device that QEMU was asked for; nil if another toolstack attached it, or another QEMU ran
  /// then.
  func fate(of device: PCIAddress) throws(EngineError) -> EmulationRecord? {
    do throws(HostError) {
      return try own()?.emulations.last { $0.device == device && $0.domain == session.busID }
    } catch {
      throw .host(error)
    }
  }

  /// Records what became of a device; nil if nothing is known of it. `text` is what the parameter node says then.
  func note(_ fate: EmulationRecord.Fate?, of device: PCIAddress, at text: String? = nil) throws(EngineError) {
    try note(fate, of: [device], at: text)
  }

  func note(_ fate: EmulationRecord.Fate?, of devices: [PCIAddress], at text: String? = nil) throws(EngineError) {
    guard !devices.isEmpty else { return }
    let fates = fate.map { fate in devices.map { EmulationRecord($0, in: session.busID, fate, at: text) } } ?? []
    let (uuid, name) = (session.key.uuid, session.name)
    do throws(HostError) {
      try change { record in
        if record == nil, fates.isEmpty { return }
        var changed = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
        changed.emulations.removeAll { devices.contains($0.device) }
        changed.emulations += fates
        changed.emulations.sort { $0.device < $1.device }
        record = changed.isEmpty ? nil : changed
      }
    } catch {
      throw .host(error)
    }
  }
}

extension EmulationRecord {
  /// `text` is `0x20`, slot and function, in the parameter node after an insertion. Any other text gives no place.
  init(_ device: PCIAddress, in domain: DomainID, _ fate: Fate, at text: String?) {
    let number = text.flatMap { $0.hasPrefix("0x") ? hexadecimal($0.dropFirst(2), digits: 1...2) : nil } ?? 0
    self.init(device: device, domain: domain, fate: fate, place: fate == .shown ? UInt8(number) : 0)
  }
}
