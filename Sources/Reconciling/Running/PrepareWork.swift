import Model
import Planning
import Ports

/// Takes one device from its driver, and gives the device to pciback.
///
/// ```
/// look ─► record on disk ─► libxl's note ─► override pciback ─► unbind ─► bind to pciback ─► remove override ─►
/// quarantine ─► record "prepared"
/// ```
///
/// From the override on, no other driver can take the device. A run that ends anywhere leaves the record, and the next
/// run goes on from what the device is then.
struct PrepareWork {
  let work: DriverWork
  let step: DriverStep
  /// The functions that the run takes, this one among them.
  let taken: Set<FunctionName>
  /// The set of manifests for which the device is recorded.
  let set: String

  /// What became of the step.
  struct Run {
    let outcome: DriverOutcome
    /// Whether pciback got the device from this run, and has it still as far as the run knows.
    let hasTaken: Bool
  }

  /// Carries the step out.
  func run() -> Run {
    var hasTaken = false
    do throws(DriverStop) {
      guard let evidence = try prepare(&hasTaken) else {
        let evidence = try work.evidence()
        return Run(
          outcome: DriverOutcome(step, .unchanged, OutcomeDetail(.alreadySo), evidence: evidence), hasTaken: false)
      }
      return Run(outcome: DriverOutcome(step, .done, evidence: evidence), hasTaken: hasTaken)
    } catch {
      return Run(outcome: DriverOutcome(step, error), hasTaken: hasTaken)
    }
  }

  /// Returns what stands against the step now; nil if nothing does. Nothing is changed.
  func obstruction() -> DriverStop? {
    do throws(DriverStop) {
      try check(try work.identity())
      let binding = try work.binding()
      if binding.driver != DriverBinding.pciback { try check(binding) }
      return nil
    } catch { return error }
  }

  /// Returns what was read back; nil if the device was prepared already. Says in `hasTaken` whether pciback has got the
  /// device.
  private func prepare(_ hasTaken: inout Bool) throws(DriverStop) -> [String]? {
    let identity = try work.identity()
    try check(identity)
    let before = try work.ask { () throws(HostError) in try work.held.read() }
    let known = before.flatMap { $0.identity.mayBe(identity) ? $0 : nil }
    let binding = try work.look()
    guard binding.driver != DriverBinding.pciback else {
      guard let known, known.phase != .prepared else { return nil }
      return try finish(known)
    }
    try check(binding)
    let record = try record(of: identity, binding, known: known)
    try work.ask { () throws(HostError) in try work.held.write(record) }
    if let driver = record.driver { try work.noteDriverPath(driver) }
    try work.setOverride(DriverBinding.pciback)
    // From here on the host can begin nothing new with another driver. What it began in the meantime counts.
    do throws(DriverStop) { try checkInterlocks() } catch {
      let back = putBack(record, after: error)
      throw back.isUndone ? DriverStop(result: error.result, detail: error.detail, obstacle: error.obstacle) : back
    }
    try take(record, from: binding)
    hasTaken = true
    return try finish(record)
  }

  // MARK: What stands against it

  /// Throws if the device is not the planned one.
  private func check(_ identity: DeviceIdentity) throws(DriverStop) {
    if let planned = step.deviceID, planned != identity.id {
      throw .blocked(OutcomeDetail(.identityChanged, "\(planned)", "\(identity.id)"))
    }
    if let planned = step.serial, planned != identity.serial {
      let found = identity.serial.map { "serial \($0)" } ?? "one whose serial number is not known"
      throw .blocked(OutcomeDetail(.identityChanged, "serial \(planned)", found))
    }
  }

  /// Throws if somebody reserved the device, or if something stands on it.
  private func check(_ binding: DriverBinding) throws(DriverStop) {
    if binding.isOverrideUnknown { throw .blocked(.interlockUnknown, DriverBinding.unknownOverride) }
    if binding.isReserved { throw .reserved(binding) }
    guard try work.ask({ () throws(HostError) in try work.host.tree.hasPCIBack() }) else {
      throw .blocked(.pcibackNotLoaded, "dom0's kernel has not loaded pciback")
    }
    if let driver = binding.driver, step.driver != driver {
      throw .blocked(.notAssignable, "\(step.driver ?? "no driver") was planned to lose it, but \(driver) has it now")
    }
    try checkInterlocks()
  }

  /// Throws if something stands on the device now.
  private func checkInterlocks() throws(DriverStop) {
    let (use, index) = try work.ask { () throws(HostError) -> (HostUse, ObservationIndex) in
      // The devices that guests have: dom0 may reach its network by one of them.
      let index = ObservationIndex(try Observer(host: work.host).observe(desired: nil))
      return (try work.host.hostUse(for: [work.device]), index)
    }
    let name = FunctionName(work.device)
    let function = use.inventory.functions.first { $0.name == name }
    if let children = function?.virtualisation.children, !children.isEmpty {
      throw .blocked(.hasVirtualFunctions, children.map(\.description).joined(separator: ", "))
    }
    let found = use.rules(index).interlocks(on: name, takenWith: taken, openings: use.openings[name] ?? [])
    guard let obstacle = found.obstacle(overriddenBy: step.override) else { return }
    throw .blocked(obstacle, found.refusals(overriddenBy: step.override).line)
  }

  // MARK: The record

  /// Returns the record of the device as it is now. The driver of an earlier run that ended is kept: the device has none
  /// any more.
  private func record(
    of identity: DeviceIdentity, _ binding: DriverBinding, known: PreparationRecord?
  ) throws(DriverStop) -> PreparationRecord {
    if binding.driver == nil, var known {
      known.phase = .preparing
      known.set = set
      known.override = step.override ?? known.override
      return known
    }
    let name = FunctionName(work.device)
    let inventory = try work.ask { () throws(HostError) in
      try work.host.inventory.inventory(of: [.interfaces, .nvme])
    }
    let function = inventory.functions.first { $0.name == name }
    // An ended run may have written the override already. What was there before it is in its record.
    let wasOurs = binding.driverOverride == DriverBinding.pciback
    return PreparationRecord(
      device: work.device, identity: identity, driver: binding.driver, module: binding.module,
      driverOverride: wasOurs ? known?.driverOverride : binding.driverOverride,
      interfaces: function?.interfaces ?? [], controllers: function?.nvme ?? [], set: set,
      override: step.override, since: work.host.wallClock())
  }

  // MARK: The device

  /// Takes the device from its driver, and binds it to pciback. What fails is undone, unless the driver does not answer.
  private func take(_ record: PreparationRecord, from binding: DriverBinding) throws(DriverStop) {
    do throws(DriverStop) {
      if let driver = binding.driver { try work.unbind(from: driver) }
      try work.bind(to: DriverBinding.pciback)
    } catch {
      guard error.result == .failed else { throw error }
      throw putBack(record, after: error)
    }
  }

  /// Returns the device to the driver that had it, and says how that ended.
  private func putBack(_ record: PreparationRecord, after stop: DriverStop) -> DriverStop {
    let driver = record.driver
    do throws(DriverStop) {
      try work.setOverride(record.driverOverride)
      if let driver, try work.binding().driver != driver { try work.bindToHost(driver) }
      try work.removeDriverPath()
      try work.ask { () throws(HostError) in try work.held.remove() }
    } catch {
      return .failed(OutcomeDetail(.notPutBack, stop.detail, seen()))
    }
    return DriverStop(
      result: .failed, detail: OutcomeDetail(.putBack, stop.detail, driver ?? "no driver"), isUndone: true)
  }

  /// Returns how the device is bound now, for people.
  private func seen() -> String {
    do throws(DriverStop) { return try work.evidence().joined(separator: ", ") } catch {
      return "its driver is not known"
    }
  }

  /// Finishes what is left once pciback has the device. Returns what was read back.
  private func finish(_ record: PreparationRecord) throws(DriverStop) -> [String] {
    // pciback keeps the device without it, and `xl pci-assignable-remove -r` fails with it.
    if try work.binding().driverOverride != nil { try work.setOverride(nil) }
    let quarantine = try quarantine()
    var record = record
    record.phase = .prepared
    record.set = set
    try work.ask { () throws(HostError) in try work.held.write(record) }
    return try work.evidence() + [quarantine]
  }

  /// Gives the device to the domain that can use nothing, so that nobody's DMA reaches memory until a guest has it.
  private func quarantine() throws(DriverStop) -> String {
    do throws(HostError) {
      try work.host.hypervisor.assign(work.device, to: .quarantine, relaxed: true)
      return "Xen quarantined it"
    } catch {
      switch error.hypervisorCode {
      // A guest got it in the meantime, by another toolstack.
      case .busy: return "a guest has it"
      case .noIOMMU: return "Xen has no IOMMU to quarantine it with"
      default: throw .failed(OutcomeDetail(.quarantineFailed, error))
      }
    }
  }
}
