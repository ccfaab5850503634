import Model
import Ports

/// What Berth remembers of what qemu-traditional said, since nobody can ask it again.
extension DomainWorker {
  /// What became of a device that QEMU was asked for; nil where another toolstack attached it, or another QEMU ran then.
  func fate(of device: PCIAddress) throws(Stop) -> EmulationRecord? {
    do throws(HostError) {
      let records = try host.ownership.records().filter { $0.uuid == key.uuid }
      return records.flatMap(\.emulations).last { $0.device == device && $0.domain == busID }
    } catch {
      throw .failed(error)
    }
  }

  /// Writes down what became of a device; nil where nothing is known of it. `text` is what the parameter node says then.
  func note(_ fate: EmulationRecord.Fate?, of device: PCIAddress, at text: String? = nil) throws(Stop) {
    try note(fate, of: [device], at: text)
  }

  func note(_ fate: EmulationRecord.Fate?, of devices: [PCIAddress], at text: String? = nil) throws(Stop) {
    guard !devices.isEmpty else { return }
    let fates = fate.map { fate in devices.map { EmulationRecord($0, in: busID, fate, at: text) } } ?? []
    let (uuid, name) = (key.uuid, name)
    do throws(HostError) {
      try host.ownership.update(uuid) { record in
        if record == nil, fates.isEmpty { return }
        var changed = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
        changed.emulations.removeAll { devices.contains($0.device) }
        changed.emulations += fates
        changed.emulations.sort { $0.device < $1.device }
        record = changed.devices.isEmpty && changed.emulations.isEmpty ? nil : changed
      }
    } catch {
      throw .failed(error)
    }
  }

  /// The devices of what runs of Berth began on this domain that have ended since, and that no other is at work on.
  func devicesOfDeadRuns() throws(Stop) -> Set<PCIAddress> {
    do throws(HostError) {
      let intents = try intents().filter { $0.domain == key && !ownIntents.contains($0.identifier) }
      let live = Set(intents.filter(\.isLive).flatMap(\.devices))
      return Set(intents.filter { !$0.isLive }.flatMap(\.devices)).subtracting(live)
    } catch {
      throw .failed(error)
    }
  }
}

extension EmulationRecord {
  /// `text` is `0x20`, slot and function, in the parameter node after an insertion. Where it is not, the place is unknown.
  init(_ device: PCIAddress, in domain: DomainID, _ fate: Fate, at text: String?) {
    let number = text.flatMap { $0.hasPrefix("0x") ? hexadecimal($0.dropFirst(2), digits: 1...2) : nil } ?? 0
    self.init(device: device, domain: domain, fate: fate, place: fate == .shown ? UInt8(number) : 0)
  }
}
