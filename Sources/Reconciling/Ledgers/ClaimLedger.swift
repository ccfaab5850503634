import Model
import Planning
import Ports
import XenProtocol

/// How claiming one device ended.
enum ClaimResult {
  case held(ClaimedDevice)
  case blocked(Reason, OutcomeDetail)
  case failed(HostError)
}

/// The devices that this run has taken for the domain: assigned by Xen, and granted.
final class ClaimLedger {
  let session: DomainSession
  let report: RunReport
  let intents: IntentLog
  let removals: RemovalLedger
  let records: DomainRecords
  let hardware: Hardware
  private let exports: PriorExports
  /// Devices this run has assigned or granted to the domain, whether or not the bus lists them yet.
  private(set) var holding: Set<PCIAddress> = []
  /// Devices this run took and could not return.
  private var stuck: Set<PCIAddress> = []

  init(
    session: DomainSession, report: RunReport, intents: IntentLog, removals: RemovalLedger, records: DomainRecords,
    exports: PriorExports
  ) {
    self.session = session
    self.report = report
    self.intents = intents
    self.removals = removals
    self.records = records
    hardware = Hardware(session: session)
    self.exports = exports
  }

  /// Closes an attach's intent, unless this run could not return what it took. Then only the intent shows whose the
  /// device is.
  func close(_ intent: consuming OpenedIntent) throws(EngineError) {
    if stuck.isEmpty { try intent.close() }
  }

  /// Removes devices that this run no longer holds.
  func remove(_ devices: [PCIAddress]) { holding.subtract(devices) }

  /// Records that a device could not be returned; the first such failure is reported.
  func noteStuck(_ device: PCIAddress, _ error: HostError) {
    stuck.insert(device)
    report.failed(OutcomeDetail(.returningFailed, "\(device)", error))
  }

  // MARK: Claiming

  /// Takes the device for the domain. Nothing is reset or granted yet.
  ///
  /// The assignment comes first: it is the only atomic claim Xen has.
  /// No lock is held: the longer libxl's lock is kept, the staler is what a waiting xl acts on.
  func claim(_ step: Addition) -> ClaimResult {
    do throws(HostError) {
      let result = try take(step)
      guard case .held(let held) = result else { return result }
      holding.insert(step.device)
      guard held.isAssignedHere, let refusal = refusalOfRelease(held) else { return result }
      release([held])
      try leaveToHost(step.device)
      return refusal
    } catch {
      // Xen may still assign it. Then only the intent shows whose the device is.
      if error.isWithoutAnswer { stuck.insert(step.device) }
      return .failed(error)
    }
  }

  /// Returns why the device is not kept: a run of Berth returns it to its driver, or ended on the way. Nil if none does.
  ///
  /// That run records it before it asks Xen whether the device is free, and this run asks for the record after Xen has
  /// assigned the device. So one of the two sees the other.
  private func refusalOfRelease(_ held: ClaimedDevice) -> ClaimResult? {
    do throws(HostError) {
      guard let record = try session.host.preparations.preparation(of: held.step.device), record.phase == .releasing,
        held.identity.map(record.identity.mayBe) ?? true
      else { return nil }
      return .blocked(.obstacle(.notAssignable), OutcomeDetail(.beingReleased))
    } catch { return .failed(error) }
  }

  /// Takes a device out of the quarantine if a driver of dom0 has it by now: Xen quarantines what a guest returns.
  private func leaveToHost(_ device: PCIAddress) throws(HostError) {
    guard let facts = try session.host.tree.facts(of: device), facts.driver != nil, !facts.isOnPCIBack else { return }
    do throws(HostError) { try session.host.hypervisor.deassign(device, from: .quarantine) } catch {
      if error.hypervisorCode != .notOwner { throw error }
    }
  }

  /// Grants the domain what devices that it holds need. Returns why it was not granted some of them; those are Xen's
  /// again.
  ///
  /// What is granted, and what each device is, is on disk before the first grant: a card that is pulled takes both from
  /// sysfs with it.
  func grant(_ held: [ClaimedDevice]) -> [PCIAddress: OutcomeDetail] {
    guard !held.isEmpty else { return [:] }
    var failures: [PCIAddress: OutcomeDetail] = [:]
    do throws(HostError) {
      let earlier = try records.grants()
      try records.addGrants(held.map { $0.grantRecord(for: session.key.id) })
      for device in held {
        var failure: OutcomeDetail?
        do throws(HostError) { failure = try grant(device, after: earlier) } catch { failure = OutcomeDetail(error) }
        guard let failure else { continue }
        release([device])
        failures[device.step.device] = failure
        try leaveToHost(device.step.device)
      }
    } catch {
      release(held)
      for device in held { failures[device.step.device] = OutcomeDetail(error) }
    }
    return failures
  }

  /// Grants the domain what one device needs. Returns why nothing was granted; nil if everything was.
  private func grant(_ held: ClaimedDevice, after earlier: [GrantRecord]) throws(HostError) -> OutcomeDetail? {
    let device = held.step.device
    guard try hardware.isMeant(device, held.identity) else { return OutcomeDetail(.anotherDevice) }
    if try isUnlisted(held), let stay = try endPermissive(held) { return stay }
    try revokeEarlier(earlier.filter { $0.device == device && $0.domain == session.key.id }, than: held)
    // Best effort: many devices have no reset (the file is absent), and the kernel resets at bind and release.
    if held.isAssignedHere { report.reset(device, try hardware.reset(device)) }
    try grant(held.grants)
    if held.step.options.permissive { try session.host.tree.setPermissive(device) }
    return nil
  }

  /// Returns whether nobody but this run is about to list the device, and pciback holds it for no domain.
  ///
  /// That is so if this run assigned the device: Xen gives no toolstack a device that is assigned. It is also so if an
  /// ended run was returning the device to Xen: it takes the export off the record once the guest has released the
  /// device.
  private func isUnlisted(_ held: ClaimedDevice) throws(HostError) -> Bool {
    guard held.exportedAt == nil else { return false }
    if held.isAssignedHere { return true }
    guard try records.lastExport(of: held.step.device) == nil else { return false }
    return try intents.all().contains { intent in
      !intent.isLive && intent.operation == .detach && intent.devices.contains(held.step.device)
    }
  }

  /// Ends a permission that pciback keeps from an earlier attach. Returns why it stays; nil if it has ended.
  private func endPermissive(_ held: ClaimedDevice) throws(HostError) -> OutcomeDetail? {
    let device = held.step.device
    let first = try hardware.checkPermission(held.step)
    guard case .needsRebind = first else { return first.refusal }
    // A run that prepares or returns the device must not meet it between two of the writes.
    let work: DriverWork
    do throws(DriverStop) {
      work = try DriverWork(holding: device, on: session.host, within: session.options.lockTimeout)
    } catch { return error.detail }
    defer { work.held.release() }
    let planned = try hardware.checkPermission(held.step)
    guard case .needsRebind(let reserves) = planned else { return planned.refusal }
    let intent = try intents.openRebind(of: device, reserves: reserves)
    // The write may have taken its time, and another toolstack may have used it.
    let check = try hardware.checkPermission(held.step)
    guard try session.view() != nil else {
      try intent.end()
      return report.describe(.domainGone)
    }
    guard check == planned else {
      try intent.end()
      guard case .needsRebind = check else { return check.refusal }
      return OutcomeDetail(.refused, Obstacle.driverReserved.rawValue, "its driver_override changed meanwhile")
    }
    switch hardware.rebind(work, reserves: reserves) {
    case .done:
      try intent.end()
      return nil
    case .failed(let why):
      try intent.end()
      return why
    // The intent is left, so that the next run finishes it.
    case .unfinished(let why): return why
    }
  }

  /// Assigns the device to the domain, or finds it assigned to the domain already. Nothing else is changed yet.
  private func take(_ step: Addition) throws(HostError) -> ClaimResult {
    guard let card = try Card(at: step.device, on: session.host) else {
      return .blocked(.obstacle(.deviceMissing), OutcomeDetail(.deviceMissing, "\(step.device)"))
    }
    guard card.facts.isOnPCIBack else {
      return .blocked(.obstacle(.notAssignable), OutcomeDetail(.driverIsOther, card.facts.driver ?? "none"))
    }
    if let planned = step.id, let found = card.identity?.id, planned != found {
      return .blocked(.obstacle(.identityMismatch), OutcomeDetail(.identityChanged, "\(planned)", "\(found)"))
    }
    // What cannot be read now is not the device either.
    if let planned = step.serial, planned != card.identity?.serial {
      let found = card.identity?.serial.map { "serial \($0)" } ?? "one whose serial number is not known"
      return .blocked(.obstacle(.identityMismatch), OutcomeDetail(.identityChanged, "serial \(planned)", found))
    }
    var held = ClaimedDevice(
      step: step, isAssignedHere: true, grants: try session.host.tree.grants(for: step.device),
      identity: card.identity, isVirtualFunction: card.facts.isVirtualFunction)
    // libxl's removal does not make pciback release an HVM guest's device. Requested again, it would end the bus.
    // Asked before the assignment: if this fails, there is nothing to undo.
    var address: PCIAddress?
    if !session.route.hasFrontEndDriver, case .at(let place) = try exports.find(step.device) { address = place }
    switch try assign(step.device, relaxed: step.options.rdmPolicy == .relaxed) {
    case .assigned:
      held.exportedAt = address
      return .held(held)
    case .already:
      held.isAssignedHere = false
      switch try exports.find(step.device) {
      case .none: return .held(held)
      case .at(let address):
        held.exportedAt = address
        return .held(held)
      case .unknown:
        return .blocked(
          .drift(.overwritten),
          OutcomeDetail(.claimedWithoutEntry))
      }
    case .refused(let obstacle, let evidence): return .blocked(.obstacle(obstacle), evidence)
    }
  }

  private enum AssignResult {
    case assigned, already
    case refused(Obstacle, OutcomeDetail)
  }

  private func assign(_ device: PCIAddress, relaxed: Bool) throws(HostError) -> AssignResult {
    do throws(HostError) {
      try assignProven(device, relaxed: relaxed)
      return .assigned
    } catch {
      switch error.hypervisorCode {
      case .busy:
        switch try holder(of: device) {
        case .here: return .already
        case .endedRun: return try takeOver(device, relaxed: relaxed)
        case .elsewhere: return .refused(.assignedElsewhere, OutcomeDetail(.anotherGuestHasIt))
        }
      case .noIOMMU: return .refused(.domainWithoutIOMMU, OutcomeDetail(.createdWithoutPassthrough))
      case .notOwner: return .refused(.deviceMissing, OutcomeDetail(.unknownToXen))
      case .notPermitted:
        guard case .hypervisor(let refusal) = error else { throw error }
        let cause = ErrorNumber.text(of: refusal.errno)
        return .refused(.assignRefused, OutcomeDetail(.assignmentForbidden, cause))
      default: throw error
      }
    }
  }

  /// Assigns a device, and asks Xen whether the device is still free. If it is, Xen did not assign it.
  private func assignProven(_ device: PCIAddress, relaxed: Bool) throws(HostError) {
    try session.host.hypervisor.assign(device, to: session.key.id, relaxed: relaxed)
    let isFree: Bool
    // If Xen cannot be asked, its first answer counts. A device that it has assigned must be returned if the rest
    // fails.
    do throws(HostError) { isFree = try session.host.hypervisor.probe(device, for: nil) == .free } catch {
      isFree = false
    }
    if isFree { throw .hypervisor(HypervisorError(.unproven, operation: "xc_assign_device")) }
  }

  /// Who has a device that Xen says some guest has.
  private enum Holder {
    case here, elsewhere
    /// An ended run meant to take it for this domain, and may have.
    case endedRun
  }

  /// Takes a device that an ended run may have assigned. Only the owner can return it, so an attempt shows whose it is.
  ///
  /// The guest has not been offered it: the entry and the claim come in one commit, and neither is there.
  private func takeOver(_ device: PCIAddress, relaxed: Bool) throws(HostError) -> AssignResult {
    do throws(HostError) {
      try session.host.hypervisor.deassign(device, from: session.key.id)
      try assignProven(device, relaxed: relaxed)
      return .assigned
    } catch {
      guard error.hypervisorCode == .notOwner || error.hypervisorCode == .busy else { throw error }
      return .refused(.assignedElsewhere, OutcomeDetail(.anotherGuestHasIt))
    }
  }

  /// Returns who has a device that some guest has. No call names the owner, so the stores must.
  ///
  /// Another Berth at work on the same domain is waited for: its entry will show.
  private func holder(of device: PCIAddress) throws(HostError) -> Holder {
    func isListedOrClaimed() throws(HostError) -> Bool {
      let view = try session.view(claimsOn: [device])
      return view?.backEnd.entry(for: device) != nil || view?.claims[device] == session.key.id
    }
    if try isListedOrClaimed() { return .here }
    let intents = try self.intents.all().filter { $0.operation == .attach && $0.devices.contains(device) }
    // This run's own intent is live as well. Another one means that its run is about to publish the device.
    guard intents.count(where: \.isLive) > 1 else {
      return intents.contains { !$0.isLive } ? .endedRun : .elsewhere
    }
    let deadline = session.answerDeadline()
    let outcome = try session.waitForPorts(until: deadline, watching: [.backEnd(session.busID)]) {
      () throws(HostError) -> Void? in
      try isListedOrClaimed() ? () : nil
    }
    if case .satisfied = outcome { return .here }
    return .elsewhere
  }

  /// Grants ranges and interrupt. Repeating is harmless.
  func grant(_ grants: DeviceGrants) throws(HostError) {
    for domain in grantees {
      for resource in grants.resources {
        switch resource.space {
        case .ports: try session.host.hypervisor.setPorts(resource.range, of: domain, allowed: true)
        case .memory: try session.host.hypervisor.setFrames(resource.frames, of: domain, allowed: true)
        }
      }
      if let interrupt = grants.interrupt {
        // Mapped first: the permission is given by dom0's number, which must exist.
        try session.host.hypervisor.mapInterrupt(interrupt, in: domain)
        try session.host.hypervisor.setInterrupt(interrupt, of: domain, allowed: true)
      }
    }
  }

  /// Who must be able to reach a device: the guest, and the stub domain that drives it for the guest, which Xen assigns
  /// nothing to.
  var grantees: [DomainID] { session.busID == session.key.id ? [session.key.id] : [session.busID, session.key.id] }
}
