import Model
import Planning
import Ports
import XenProtocol

/// A device this run holds for the domain, and what it did to get there.
struct Held {
  var step: Addition
  /// Whether this run assigned it, rather than finding it assigned to this domain already.
  var isAssignedHere: Bool
  var grants: DeviceGrants
  /// The address the guest sees, where pciback exported the device to it before.
  var exportedAt: PCIAddress?

  var wanted: Wanted {
    Wanted(device: step.device, options: step.options, exportedAt: exportedAt)
  }
}

/// How claiming one device ended.
enum ClaimResult {
  case held(Held)
  case blocked(Reason, String)
  case failed(HostError)
}

extension DomainWorker {
  /// Takes the device for the domain and grants what it needs; undone in reverse where a step fails.
  ///
  /// The assignment comes first: it is the only atomic claim Xen has, so nothing is reset or granted before it.
  /// No lock is held: the longer libxl's lock is kept, the staler is what a waiting xl acts on.
  func claim(_ step: Addition) -> ClaimResult {
    let held: Held
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
      if held.isAssignedHere { _ = try host.tree.reset(step.device) }
      try grant(held.grants)
      if step.options.permissive { try host.tree.setPermissive(step.device) }
      return .held(held)
    } catch {
      release([held])
      return .failed(error)
    }
  }

  /// Assigns the device to the domain, or finds it assigned to the domain already. Nothing else is changed yet.
  private func take(_ step: Addition) throws(HostError) -> ClaimResult {
    let facts = try host.tree.facts(of: step.device)
    guard facts != nil else { return .blocked(.obstacle(.deviceMissing), "sysfs has no device at \(step.device)") }
    let grants = try host.tree.grants(for: step.device)
    switch try assign(step.device, relaxed: step.options.rdmPolicy == .relaxed) {
    case .assigned: return .held(Held(step: step, isAssignedHere: true, grants: grants))
    case .already:
      switch try priorExport(of: step.device) {
      case .none: return .held(Held(step: step, isAssignedHere: false, grants: grants))
      case .at(let address):
        return .held(Held(step: step, isAssignedHere: false, grants: grants, exportedAt: address))
      case .unknown:
        return .blocked(
          .drift(.overwritten),
          "it was claimed for the domain and its entry is gone; nothing tells whether the guest still has it. "
            + "Restarting the domain settles it")
      }
    case .refused(let obstacle, let evidence): return .blocked(.obstacle(obstacle), evidence)
    }
  }

  enum PriorExport {
    /// pciback does not hold it for the domain, or its entry is there to tell.
    case none
    case at(PCIAddress)
    case unknown
  }

  /// What is known of a device that the domain has already, by Xen's word.
  ///
  /// A device whose entry was never committed was never exported. One that was, and whose entry somebody overwrote,
  /// may be exported still: Berth's record of what it saw tells, or a kernel log that speaks of no export at all.
  func priorExport(of device: PCIAddress) throws(HostError) -> PriorExport {
    guard let view = try transact(claimsOn: [device], { ($0, []) }) else { return .none }
    guard view.backEnd.entry(for: device) == nil else { return .none }
    // This run has seen its removal through; where no front end answers, pciback may have read no mark.
    if route.hasFrontEndDriver, finished.contains(device) { return .none }
    // pciback releases everything with the bus.
    if view.backEnd.condition == .absent || view.backEnd.condition == .vanishing { return .none }
    let records = try host.ownership.records()
    let seen = records.filter { $0.uuid == key.uuid }.flatMap(\.exports)
    let export = seen.last { $0.device == device && $0.domain == busID }
    guard view.claims[device] == key.id else {
      // Claims are written with the entries, so an unclaimed device was not published, or somebody detached it. Where
      // no front end takes part, libxl's removal does not make pciback let go.
      guard !route.hasFrontEndDriver, let address = export?.virtualAddress,
        !view.backEnd.entries.contains(where: { $0.virtualAddress == address })
      else { return .none }
      return .at(address)
    }
    if let export { return export.virtualAddress.map(PriorExport.at) ?? .unknown }
    // A removal strikes the record out once the guest has let go, and only then takes the entry away.
    if try detachedByBerth().contains(device) { return .none }
    let log = host.tree.listenForExports(sinceBoot: true)
    guard let exports = try log?.exports() else { return .unknown }
    return exports.contains { $0.device == device && $0.domain == busID } ? .unknown : .none
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
        case .deadRun: return try takeOver(device, relaxed: relaxed)
        case .elsewhere: return .refused(.assignedElsewhere, "Xen says that another guest has it")
        }
      case .noIOMMU: return .refused(.domainWithoutIOMMU, "the domain was created without passthrough")
      case .notOwner: return .refused(.deviceMissing, "Xen does not know the device")
      default: throw error
      }
    }
  }

  /// Assigns a device, and asks Xen whether it is free still: without its owner's IOMMU context it does not work.
  private func assignProven(_ device: PCIAddress, relaxed: Bool) throws(HostError) {
    try host.hypervisor.assign(device, to: key.id, relaxed: relaxed)
    let isFree: Bool
    // Where Xen cannot be asked its first word counts: what it has assigned must be given back if the rest fails, too.
    do throws(HostError) { isFree = try host.hypervisor.probe(device, for: nil) == .free } catch {
      isFree = false
    }
    if isFree { throw .hypervisor(HypervisorError(.unproven, operation: "xc_assign_device")) }
  }

  /// Who has a device that Xen says some guest has.
  private enum Holder {
    case here, elsewhere
    /// A dead run meant to take it for this domain, and may have.
    case deadRun
  }

  /// Takes a device that a dead run may have assigned: only the owner can give it back, so that tells whose it is.
  ///
  /// The guest has not been offered it: the entry and the claim come in one commit, and neither is there.
  private func takeOver(_ device: PCIAddress, relaxed: Bool) throws(HostError) -> AssignResult {
    do throws(HostError) {
      try host.hypervisor.deassign(device, from: key.id)
      try assignProven(device, relaxed: relaxed)
      return .assigned
    } catch {
      guard error.hypervisorCode == .notOwner || error.hypervisorCode == .busy else { throw error }
      return .refused(.assignedElsewhere, "Xen says that another guest has it")
    }
  }

  /// Whether a device that some guest has is this guest's: no call names the owner, so the stores must.
  ///
  /// Another Berth at work on the same domain is waited for: its entry will show.
  private func holder(of device: PCIAddress) throws(HostError) -> Holder {
    func isListedOrClaimed() throws(HostError) -> Bool {
      let view = try transact(claimsOn: [device]) { ($0, []) }
      return view?.backEnd.entry(for: device) != nil || view?.claims[device] == key.id
    }
    if try isListedOrClaimed() { return .here }
    let intents = try self.intents()
      .filter { $0.domain == key && $0.operation == .attach && $0.devices.contains(device) }
    // This run's own intent is live as well; another's tells that it is about to publish the device.
    guard intents.count(where: \.isLive) > 1 else {
      return intents.contains { !$0.isLive } ? .deadRun : .elsewhere
    }
    let deadline = ContinuousClock.now + options.waitTimeout
    let outcome = try store.wait(watching: [.backEnd(busID)], until: deadline) { () throws(HostError) -> Void? in
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
        case .ports: try host.hypervisor.setPorts(resource.range, of: domain, allowed: true)
        case .memory: try host.hypervisor.setFrames(resource.frames, of: domain, allowed: true)
        }
      }
      if let interrupt = grants.interrupt {
        // Mapped first: the permission is given by dom0's number, which must exist.
        try host.hypervisor.mapInterrupt(interrupt, in: domain)
        try host.hypervisor.setInterrupt(interrupt, of: domain, allowed: true)
      }
    }
  }

  /// Who must be able to reach a device: the guest, and the stub domain that drives it for the guest, which Xen assigns
  /// nothing to.
  private var grantees: [DomainID] { busID == key.id ? [key.id] : [busID, key.id] }

  /// Gives back what this run took, in reverse order; the first failure does not keep the rest.
  func release(_ held: [Held]) {
    let taken = held.filter(\.isAssignedHere)
    holding.subtract(held.map(\.step.device))
    guard !taken.isEmpty else { return }
    func keep(_ held: Held, _ error: HostError) {
      unreturned.insert(held.step.device)
      outcome.failure = outcome.failure ?? "giving back \(held.step.device): \(error)"
    }
    let leaving = taken.reduce(into: [:]) { $0[$1.step.device] = $1.grants }
    let sharers: Sharers
    do throws(HostError) { sharers = try self.sharers(with: leaving) } catch {
      return taken.forEach { keep($0, error) }
    }
    for held in taken.reversed() {
      do throws(HostError) { try revoke(held.step.device, held.grants, besides: sharers) } catch { keep(held, error) }
    }
    do throws(HostError) { try grantAgain(leaving, sharers) } catch {
      outcome.failure = outcome.failure ?? "granting again what others share: \(error)"
    }
  }

  /// Takes a device's access away and the device from the domain, after the guest has let go of it.
  ///
  /// Ranges and interrupts that another of the domain's devices shares stay: revoking a shared interrupt line
  /// silences the device that still uses it. `sharers` are those of all devices that go.
  ///
  /// Every part is tried, and the first failure thrown at the end. But a device that the domain can still reach stays
  /// assigned to it: Xen would give it to the next guest, and nothing would tell that two have it.
  func revoke(
    _ device: PCIAddress, _ grants: DeviceGrants, besides sharers: Sharers
  ) throws(HostError) {
    let others = try users(of: grants, among: sharers)
    var failure: HostError?
    func attempt(_ body: () throws(HostError) -> Void) {
      do throws(HostError) { try body() } catch {
        // A guest, or a stub domain, that has gone has nothing left that could be taken from it.
        if error.hypervisorCode != .noDomain { failure = failure ?? error }
      }
    }
    for domain in grantees.reversed() { revokeAccess(grants, of: domain, besides: others, attempt) }
    if let failure { throw failure }
    do throws(HostError) {
      // Best effort, as at the attach; pciback has reset the device when it released it.
      _ = try host.tree.reset(device)
    } catch {
      failure = failure ?? error
    }
    attempt { () throws(HostError) in
      do throws(HostError) { try host.hypervisor.deassign(device, from: key.id) } catch {
        // ENODEV: the domain does not own it, which is what was wanted.
        guard error.hypervisorCode == .notOwner else { throw error }
      }
    }
    if let failure { throw failure }
  }

  private func revokeAccess(
    _ grants: DeviceGrants, of domain: DomainID, besides others: [DeviceGrants],
    _ attempt: (() throws(HostError) -> Void) -> Void
  ) {
    if let interrupt = grants.interrupt, !others.contains(where: { $0.interrupt == interrupt }) {
      attempt { () throws(HostError) in
        do throws(HostError) { try host.hypervisor.unmapInterrupt(interrupt, in: domain) } catch {
          // Not mapped counts as done: a device that shared the line may have taken it along.
          guard error.hypervisorCode == .invalid else { throw error }
        }
      }
      attempt { () throws(HostError) in
        try host.hypervisor.setInterrupt(interrupt, of: domain, allowed: false)
      }
    }
    for resource in grants.resources where !others.contains(where: { $0.shares(resource) }) {
      attempt { () throws(HostError) in
        switch resource.space {
        case .ports: try host.hypervisor.setPorts(resource.range, of: domain, allowed: false)
        case .memory: try host.hypervisor.setFrames(resource.frames, of: domain, allowed: false)
        }
      }
    }
  }
}
