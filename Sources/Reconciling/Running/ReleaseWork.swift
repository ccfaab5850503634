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
      return DriverOutcome(step, error)
    }
  }

  /// Returns what was read back; nil if nothing is left to do.
  private func release() throws(DriverStop) -> [String]? {
    let identity = try work.identity()
    let before = try work.ask { () throws(HostError) in try work.held.read() }
    guard var record = try record(of: identity, before) else {
      // What was planned by a record that is gone, another run has done.
      return step.isRecorded ? nil : try repairUnrecorded()
    }
    // What stays if the device stays with pciback: nothing if nobody had recorded it.
    let old = before.flatMap { $0.identity.mayBe(identity) ? $0 : nil }
    var wasQuarantined = false
    if let driver = record.driver { try load(driver, record.module) }
    if try work.binding().driver == DriverBinding.pciback {
      try work.checkUnused()
      record.phase = .releasing
      try work.ask { () throws(HostError) in try work.held.write(record) }
      do throws(DriverStop) {
        wasQuarantined = try work.leaveQuarantine()
        // An attach may have been faster than the record.
        try work.checkUnused()
      } catch {
        try stay(old)
        throw error
      }
      try work.unbind(from: DriverBinding.pciback)
      try giveBackIfTaken(old)
    }
    try forgetSlot()
    if try work.binding().driverOverride != record.driverOverride { try work.setOverride(record.driverOverride) }
    try restore(record)
    try stayIfTakenAgain(old, wasQuarantined)
    try work.removeDriverPath()
    try work.ask { () throws(HostError) in try work.held.remove() }
    return try work.evidence()
  }

  /// Returns the record to go on with; nil if another run has finished, or if nothing was to be done.
  private func record(
    of identity: DeviceIdentity, _ before: PreparationRecord?
  ) throws(DriverStop) -> PreparationRecord? {
    guard let before, step.isRecorded || before.identity.mayBe(identity) else {
      return step.isRecorded ? nil : try unrecorded(identity)
    }
    guard before.identity.mayBe(identity) else {
      throw .blocked(OutcomeDetail(.identityChanged, "\(before.identity.id)", "\(identity.id)"))
    }
    // A run that was at work when this one was planned has finished.
    if step.isResumed, before.phase == .prepared { return nil }
    return before
  }

  /// Returns a record of a device that another tool gave to pciback, or that another tool left half-way; nil if the device
  /// is neither.
  private func unrecorded(_ identity: DeviceIdentity) throws(DriverStop) -> PreparationRecord? {
    let driver = try work.notedDriver()
    switch try work.binding().driver {
    case DriverBinding.pciback?: break
    case nil:
      // `xl pci-assignable-remove -r` keeps its note if the driver refuses the device, for example because of an override.
      guard driver != nil else { return nil }
      try work.checkUnused()
    case _?: return nil
    }
    var record = PreparationRecord(
      device: work.device, phase: .releasing, identity: identity, driver: driver, since: work.host.wallClock())
    record.isDriverKnown = driver != nil
    return record
  }

  /// Repairs a device that hands gave to its driver while Xen had it in quarantine; returns nil if it was not there.
  ///
  /// Such a driver looks as if it worked, and sends nothing. The driver keeps the device: dom0 may be using it.
  private func repairUnrecorded() throws(DriverStop) -> [String]? {
    guard let driver = try work.binding().driver, driver != DriverBinding.pciback, try work.leaveQuarantine() else {
      return nil
    }
    try work.removeDriverPath()
    return try work.evidence() + ["it was in quarantine"]
  }

  /// Leaves the device on pciback, as it was.
  private func stay(_ old: PreparationRecord?) throws(DriverStop) {
    try work.ask { () throws(HostError) in
      guard var record = old else { return try work.held.remove() }
      if record.phase == .releasing { record.phase = .prepared }
      try work.held.write(record)
    }
  }

  // MARK: The device

  /// Gives the device back to pciback if a domain has got it since the last look: xl looks at a device, and takes it later.
  private func giveBackIfTaken(_ old: PreparationRecord?) throws(DriverStop) {
    do throws(DriverStop) { try work.checkUnused() } catch {
      try work.setOverride(DriverBinding.pciback)
      try work.bind(to: DriverBinding.pciback)
      try work.setOverride(nil)
      try stay(old)
      throw error
    }
  }

  /// Throws if pciback took the device again when all drivers were offered it, and leaves the device there as it was.
  ///
  /// pciback takes everything behind a bridge that it claims (`pcistub_match_one`, Linux
  /// drivers/xen/xen-pciback/pci_stub.c, 6.1).
  private func stayIfTakenAgain(_ old: PreparationRecord?, _ wasQuarantined: Bool) throws(DriverStop) {
    guard try work.binding().driver == DriverBinding.pciback else { return }
    if wasQuarantined {
      try work.ask { () throws(HostError) in
        try work.host.hypervisor.assign(work.device, to: .quarantine, relaxed: true)
      }
    }
    try stay(old)
    throw DriverStop(result: .failed, detail: OutcomeDetail(.pcibackTookAgain), isUndone: true)
  }

  private func forgetSlot() throws(DriverStop) {
    guard try work.ask({ () throws(HostError) in try work.drivers.slots().contains(work.device) }) else { return }
    try work.ask { () throws(HostError) in try work.drivers.removeSlot(work.device) }
  }

  /// Gives the device to the recorded driver, or to whichever driver takes it if that one does not, or is not known.
  private func restore(_ record: PreparationRecord) throws(DriverStop) {
    try work.leaveQuarantine()
    guard try work.binding().driver == nil else { return }
    guard let driver = record.driver else {
      // Nobody knows what had a device that was hidden at boot.
      if !record.isDriverKnown { _ = try offer() }
      return
    }
    do throws(DriverStop) { try work.bindToHost(driver) } catch {
      guard error.result == .failed, try work.binding().driver == nil else { throw error }
      guard let found = try offer(), found != DriverBinding.pciback else { throw error }
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
      let why = module == nil ? "its module is not recorded" : "this run may not load modules"
      throw .blocked(OutcomeDetail(.moduleMissing, driver, why))
    }
    do throws(HostError) { try work.drivers.loadModule(module, until: .now + DriverWork.patience) } catch {
      throw .failed(OutcomeDetail(.moduleMissing, driver, OutcomeDetail(error)))
    }
  }
}
