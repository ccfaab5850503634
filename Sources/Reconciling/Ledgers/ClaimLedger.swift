import Model
import Planning
import Ports
import XenProtocol

/// How claiming one device ended.
enum ClaimResult {
  case held(ClaimedDevice)
  case blocked(Reason, String)
  case failed(HostError)
}

/// The devices that this run has taken for the domain: assigned by Xen, and granted.
final class ClaimLedger {
  let session: DomainSession
  let report: RunReport
  let intents: IntentLog
  let removals: RemovalLedger
  private let exports: PriorExports
  /// Devices this run has assigned or granted to the domain, whether or not the bus lists them yet.
  private(set) var holding: Set<PCIAddress> = []
  /// Devices this run took and could not return.
  private var stuck: Set<PCIAddress> = []

  init(
    session: DomainSession, report: RunReport, intents: IntentLog, removals: RemovalLedger, exports: PriorExports
  ) {
    self.session = session
    self.report = report
    self.intents = intents
    self.removals = removals
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
    report.failed("returning \(device): \(error)")
  }

  // MARK: Claiming

  /// Takes the device for the domain, and grants what it needs. If a step fails, the earlier ones are undone.
  ///
  /// The assignment comes first: it is the only atomic claim Xen has, so nothing is reset or granted before it.
  /// No lock is held: the longer libxl's lock is kept, the staler is what a waiting xl acts on.
  func claim(_ step: Addition) -> ClaimResult {
    let held: ClaimedDevice
    do throws(HostError) {
      switch try take(step) {
      case .held(let device): held = device
      case let refusal: return refusal
      }
    } catch {
      return .failed(error)
    }
    holding.insert(step.device)
    do throws(HostError) {
      // Best effort: many devices have no reset (the file is absent), and the kernel resets at bind and release.
      if held.isAssignedHere { report.reset(step.device, try session.host.tree.reset(step.device)) }
      try grant(held.grants)
      if step.options.permissive { try session.host.tree.setPermissive(step.device) }
      return .held(held)
    } catch {
      release([held])
      return .failed(error)
    }
  }

  /// Assigns the device to the domain, or finds it assigned to the domain already. Nothing else is changed yet.
  private func take(_ step: Addition) throws(HostError) -> ClaimResult {
    let facts = try session.host.tree.facts(of: step.device)
    guard facts != nil else { return .blocked(.obstacle(.deviceMissing), "sysfs has no device at \(step.device)") }
    let grants = try session.host.tree.grants(for: step.device)
    // libxl's removal does not make pciback release an HVM guest's device. Requested again, it would end the bus.
    // Asked before the assignment: if this fails, there is nothing to undo.
    var address: PCIAddress?
    if !session.route.hasFrontEndDriver, case .at(let place) = try exports.find(step.device) { address = place }
    switch try assign(step.device, relaxed: step.options.rdmPolicy == .relaxed) {
    case .assigned:
      return .held(ClaimedDevice(step: step, isAssignedHere: true, grants: grants, exportedAt: address))
    case .already:
      switch try exports.find(step.device) {
      case .none: return .held(ClaimedDevice(step: step, isAssignedHere: false, grants: grants))
      case .at(let address):
        return .held(ClaimedDevice(step: step, isAssignedHere: false, grants: grants, exportedAt: address))
      case .unknown:
        return .blocked(
          .drift(.overwritten),
          "it is claimed for the domain, but its entry is gone; no store says whether the guest still has it. "
            + "A restart of the domain settles that")
      }
    case .refused(let obstacle, let evidence): return .blocked(.obstacle(obstacle), evidence)
    }
  }

  private enum AssignResult {
    case assigned, already
    case refused(Obstacle, String)
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
        case .elsewhere: return .refused(.assignedElsewhere, "Xen says that another guest has it")
        }
      case .noIOMMU: return .refused(.domainWithoutIOMMU, "the domain was created without passthrough")
      case .notOwner: return .refused(.deviceMissing, "Xen does not know the device")
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
      return .refused(.assignedElsewhere, "Xen says that another guest has it")
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
