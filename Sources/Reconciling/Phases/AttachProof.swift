import Model
import Planning
import Ports
import XenProtocol

/// What an attach says of devices in the end, by what it has read back.
struct AttachProof {
  let parts: DomainParts

  /// Reports devices that the guest has. Those that were `present` before, and that this run did not assign, are
  /// reported as unchanged: nothing was done for them.
  func concludeTaken(
    _ held: [ClaimedDevice], _ bus: BackEnd, at places: [PCIAddress: EmulatedDevice], present: Set<PCIAddress>
  ) throws(EngineError) {
    try parts.records.recordExports(held.compactMap { bus.entry(for: $0.step.device) })
    try RepairPhase(parts: parts).renewClaims(held.map(\.step))
    let permissive = try permissiveDevices()
    let free = try freeDevices(among: held)
    for held in held {
      let entry = bus.entry(for: held.step.device)
      let wasThere = present.contains(held.step.device) && !held.isAssignedHere
      let flaw: OutcomeDetail? =
        if free.contains(held.step.device) {
          OutcomeDetail(.notAssigned)
        } else if entry?.options.satisfies(held.step.options) != true {
          OutcomeDetail(.lacksOptions)
        } else if !held.step.options.permissive, permissive.contains(held.step.device) {
          OutcomeDetail(.keepsPermissive)
        } else {
          nil
        }
      parts.report.conclude(
        held.step, flaw != nil ? .failed : wasThere ? .unchanged : .done,
        flaw ?? (wasThere ? OutcomeDetail(.alreadySo) : nil),
        evidence: bus.evidence(for: entry),
        virtualAddress: places[held.step.device]?.guestAddress ?? entry?.virtualAddress)
    }
  }

  /// Returns the devices that Xen says no guest has. Any other device is this domain's: Xen gives a device to one domain,
  /// and the claim, which `renewClaims` has just seen, keeps other toolstacks from it. No call names an owner.
  private func freeDevices(among held: [ClaimedDevice]) throws(EngineError) -> Set<PCIAddress> {
    let devices = held.map(\.step.device)
    do throws(HostError) {
      let answers = try parts.session.host.hypervisor.probe(devices)
      return Set(zip(devices, answers).filter { $0.1 == .free }.map(\.0))
    } catch { throw .host(error) }
  }

  /// Returns the devices whose whole configuration space pciback lets their guests write. Returns none for a domain whose
  /// device model writes that space.
  private func permissiveDevices() throws(EngineError) -> Set<PCIAddress> {
    guard parts.session.route.hasFrontEndDriver else { return [] }
    do throws(HostError) { return try parts.session.host.tree.permissiveDevices() } catch { throw .host(error) }
  }

  /// Reports devices that another toolstack detached while this run waited for the guest.
  func concludeDetached(_ held: [ClaimedDevice]) throws(EngineError) {
    parts.claims.remove(held.map(\.step.device))
    try parts.records.forget(held.map(\.step))
    parts.report.conclude(held.map(\.step), .failed, OutcomeDetail(.detachedByOther))
  }

  /// Reports devices of a domain that has never run. It proves only that the entries stand, on a bus that the guest
  /// will find. Returns false if an entry does not: then only the intent shows whose the device is.
  func concludeCold(_ held: [ClaimedDevice]) throws(EngineError) -> Bool {
    try parts.buses.replaceBus(of: held) { $0.hasGoneUnnoticed && $0.frontEndState.isAbsent }
    let bus = try parts.session.look().backEnd
    // One that has begun to run meanwhile goes its own way with what is listed.
    let flaw: OutcomeDetail? =
      switch bus.condition {
      case .corrupt(let what): OutcomeDetail(.busFlawed, what)
      case .absent, .vanishing, .closing: OutcomeDetail(.busFlawed, bus.condition.description)
      case .connecting, .holding, .connected, .settling, .round, .torn, .halfRemoved:
        bus.awaitsGuest ? nil : OutcomeDetail(.busHidden)
      }
    try RepairPhase(parts: parts).renewClaims(held.map(\.step))
    let free = try freeDevices(among: held)
    for held in held {
      let entry = bus.entry(for: held.step.device)
      let isFree = free.contains(held.step.device)
      let flaw = entry == nil ? OutcomeDetail(.entryMissing) : isFree ? OutcomeDetail(.notAssigned) : flaw
      parts.report.conclude(
        held.step, flaw == nil ? .done : .failed, flaw, evidence: bus.evidence(for: entry),
        virtualAddress: entry?.virtualAddress)
    }
    return flaw == nil && free.isEmpty && held.allSatisfy { bus.entry(for: $0.step.device) != nil }
  }
}

extension BackEnd {
  /// Returns what was read back of an entry, as evidence.
  func evidence(for entry: BackEndEntry?) -> [String] {
    var lines = ["back end \(state)", "front end \(frontEndState)"]
    guard let entry else { return lines + ["no entry"] }
    lines += ["dev-\(entry.index) \(entry.device?.description ?? "missing")", "state-\(entry.index) \(entry.state)"]
    if let address = entry.virtualAddress { lines.append("vdev-\(entry.index) \(address.virtualText)") }
    return lines
  }
}
