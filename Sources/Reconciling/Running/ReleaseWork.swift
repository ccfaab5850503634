import Model
import Planning
import Ports
import XenProtocol

/// Takes one device from pciback, and returns the device to its driver: the mirror of `PrepareWork`.
///
/// ```
/// look ─► record "releasing" ─► out of the quarantine ─► ask Xen once more ─► unbind ─► remove the slot ─►
/// override as before ─► module ─► bind ─► remove libxl's note and the record
/// ```
///
/// The device leaves the quarantine before a driver gets it. A driver whose device is quarantined looks as if it worked,
/// and sends nothing.
struct ReleaseWork {
  let work: DriverWork
  let step: DriverStep
  /// Whether a module of the kernel may be loaded.
  let loadsModules: Bool

  /// Returns what became of the step.
  func outcome() -> DriverOutcome {
    do throws(DriverStop) {
      guard let evidence = try release() else {
        return DriverOutcome(step, .unchanged, OutcomeDetail(.alreadySo), evidence: try work.evidence())
      }
      return DriverOutcome(step, .done, evidence: evidence)
    } catch {
      return DriverOutcome(step, error.result, error.detail, obstacle: error.obstacle, isUndone: error.isUndone)
    }
  }

  /// Returns what was read back; nil if neither pciback nor an ended run has anything to do with the device.
  private func release() throws(DriverStop) -> [String]? {
    let identity = try work.identity()
    let before = try work.ask { () throws(HostError) in try work.held.read() }
    if let before, before.identity != identity {
      throw .blocked(OutcomeDetail(.identityChanged, "\(before.identity.id)", "\(identity.id)"))
    }
    let binding = try work.binding()
    var record: PreparationRecord
    if let before {
      record = before
    } else {
      guard binding.driver == DriverBinding.pciback else { return nil }
      record = try unrecorded(identity)
    }
    if binding.driver == DriverBinding.pciback {
      try checkUnused()
      let old = record.phase
      record.phase = .releasing
      try work.ask { () throws(HostError) in try work.held.write(record) }
      try leaveQuarantine(record, was: old)
      try work.unbind(from: DriverBinding.pciback)
    }
    try forgetSlot()
    if try work.binding().driverOverride != record.driverOverride { try work.setOverride(record.driverOverride) }
    // Nobody knows what had a device that was hidden at boot, so that whichever driver wants it gets it.
    if before == nil, record.driver == nil { _ = try offer() } else { try restore(record) }
    try work.removeDriverPath()
    try work.ask { () throws(HostError) in try work.held.remove() }
    return try work.evidence()
  }

  /// Returns a record of a device that another tool gave to pciback.
  private func unrecorded(_ identity: DeviceIdentity) throws(DriverStop) -> PreparationRecord {
    let driver = try work.notedDriver()
    return PreparationRecord(
      device: work.device, phase: .releasing, identity: identity, driver: driver, since: work.host.wallClock())
  }

  // MARK: What stands against it

  /// Throws if a domain has the device, or is about to get it.
  private func checkUnused() throws(DriverStop) {
    let store = try work.ask { () throws(HostError) in try work.host.stores.connect() }
    let user = try work.ask { () throws(HostError) -> String? in
      let domains = (try store.list(.backEnds) ?? []).compactMap { decimal($0) }.map { DomainID(UInt32($0)) }
      return try store.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<String?> in
        if let claim = try access.read(.claim(work.device)) { return .abort(claim) }
        for domain in domains {
          let bus = try BusReader(domain: domain).read { (path) throws(HostError) in try access.read(path) }
          if (bus.entries + bus.orphans).contains(where: { $0.device == work.device }) {
            return .abort("\(domain)")
          }
        }
        return .abort(nil)
      }
    }
    if let user { throw .blocked(OutcomeDetail(.heldByDomain, user)) }
    try checkFree()
  }

  private func checkFree() throws(DriverStop) {
    let answer = try work.ask { () throws(HostError) in try work.host.hypervisor.probe(work.device, for: nil) }
    if answer == .takenOrUnknown { throw .blocked(OutcomeDetail(.anotherGuestHasIt)) }
  }

  /// Takes the device out of the quarantine, and asks Xen once more whether a guest has it.
  private func leaveQuarantine(_ record: PreparationRecord, was old: PreparationRecord.Phase) throws(DriverStop) {
    do throws(HostError) { try work.host.hypervisor.deassign(work.device, from: .quarantine) } catch {
      switch error.hypervisorCode {
      // It was never quarantined, as a device that was hidden at boot; or there is no IOMMU.
      case .notOwner, .noIOMMU, .invalid: break
      default: throw .failed(error)
      }
    }
    do throws(DriverStop) { try checkFree() } catch {
      // A guest was faster, so that the device stays where it is.
      var record = record
      record.phase = old == .releasing ? .prepared : old
      try work.ask { () throws(HostError) in try work.held.write(record) }
      throw error
    }
  }

  // MARK: The device

  private func forgetSlot() throws(DriverStop) {
    guard try work.ask({ () throws(HostError) in try work.drivers.slots().contains(work.device) }) else { return }
    try work.ask { () throws(HostError) in try work.drivers.removeSlot(work.device) }
  }

  /// Gives the device to the recorded driver, or to whichever driver takes it if that one does not.
  private func restore(_ record: PreparationRecord) throws(DriverStop) {
    guard try work.binding().driver == nil else { return }
    guard let driver = record.driver else { return }
    try load(driver, record.module)
    do throws(DriverStop) { try work.bind(to: driver) } catch {
      guard error.result == .failed, try work.binding().driver == nil else { throw error }
      _ = try work.ask { () throws(HostError) in try work.drivers.offer(work.device, until: .now + DriverWork.patience)
      }
      guard let found = try work.binding().driver, found != DriverBinding.pciback else { throw error }
      if found != driver { throw .failed(OutcomeDetail(.otherDriverTook, found, driver)) }
    }
  }

  /// Offers the device to all drivers, and returns the one that took it; nil if none did.
  private func offer() throws(DriverStop) -> String? {
    _ = try work.ask { () throws(HostError) in try work.drivers.offer(work.device, until: .now + DriverWork.patience) }
    return try work.binding().driver
  }

  private func load(_ driver: String, _ module: String?) throws(DriverStop) {
    guard try !work.ask({ () throws(HostError) in try work.drivers.isLoaded(driver) }) else { return }
    guard let module, loadsModules else {
      throw .failed(OutcomeDetail(.moduleMissing, driver, "this run may not load modules"))
    }
    do throws(HostError) { try work.drivers.loadModule(module, until: .now + DriverWork.patience) } catch {
      throw .failed(OutcomeDetail(.moduleMissing, driver, OutcomeDetail(error)))
    }
  }
}
