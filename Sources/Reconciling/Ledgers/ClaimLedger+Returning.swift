import Model
import Planning
import Ports
import XenProtocol

/// Returning what was taken: the counterpart of `claim`, and of what another run or toolstack has granted.
extension ClaimLedger {
  /// Returns to Xen what this run took, in reverse order. A failure does not keep the others from being returned.
  func release(_ held: [ClaimedDevice]) {
    let taken = held.filter(\.isAssignedHere)
    remove(held.map(\.step.device))
    guard !taken.isEmpty else { return }
    let leaving = taken.reduce(into: [:]) { $0[$1.step.device] = [$1.grants] }
    let sharers: Sharers
    do throws(HostError) { sharers = try self.sharers(with: leaving) } catch {
      return taken.forEach { noteStuck($0.step.device, error) }
    }
    var revoked: [GrantRecord] = []
    for held in taken.reversed() {
      do throws(HostError) {
        let rights = Rights(grants: [held.grants], identity: held.identity)
        switch try revoke(held.step.device, rights, besides: sharers) {
        case .revoked: revoked.append(held.grantRecord(for: session.key.id))
        case .rightsLeft(let error): throw error
        }
      } catch {
        noteStuck(held.step.device, error)
      }
    }
    do throws(HostError) {
      try grantAgain(leaving, sharers)
      try records.removeGrants { grant in revoked.contains { grant.hasSameRights(as: $0) } }
    } catch {
      report.failed(OutcomeDetail(.grantingAgainFailed, error))
    }
  }

  /// Revokes what the domain was granted with other cards at the device's address, or with the same card when it had
  /// other ranges. It ends what Berth has on record about them.
  func revokeEarlier(_ earlier: [GrantRecord], than held: ClaimedDevice) throws(HostError) {
    let present = held.grantRecord(for: session.key.id)
    let old = earlier.filter { !$0.hasSameRights(as: present) }
    let rights = old.compactMap(\.grants)
    guard !rights.isEmpty else { return }
    let sharers = try self.sharers(with: [held.step.device: rights])
    for grants in rights {
      let others = try users(of: grants, among: sharers)
      for domain in grantees.reversed() {
        var failure: HostError?
        revokeAccess(grants, of: domain, besides: others) { body in
          do throws(HostError) { try body() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
      }
    }
    try records.removeGrants { grant in grant.grants != nil && old.contains { grant.hasSameRights(as: $0) } }
  }

  /// Revokes the access to a device and ends its assignment, after the guest has released it.
  ///
  /// Ranges and interrupts that another of the domain's devices shares stay: revoking a shared interrupt line
  /// silences the device that still uses it. `sharers` are those of all devices that go.
  ///
  /// Every part is tried, and the first failure is thrown at the end. A device that the domain can still reach stays
  /// assigned to the domain. Otherwise Xen would give the device to the next guest, and two guests would have it.
  ///
  /// What is at the address now is left alone unless it is the device that was granted, and pciback's. Then a right that
  /// cannot be revoked keeps nobody from it: the failure is the answer.
  func revoke(
    _ device: PCIAddress, _ rights: Rights, besides sharers: Sharers
  ) throws(HostError) -> Revocation {
    var failure: HostError?
    func attempt(_ body: () throws(HostError) -> Void) {
      do throws(HostError) { try body() } catch {
        // A guest, or a stub domain, that has gone has nothing left that could be taken from it.
        if error.hypervisorCode != .noDomain { failure = failure ?? error }
      }
    }
    for grants in rights.grants {
      let others = try users(of: grants, among: sharers)
      for domain in grantees.reversed() { revokeAccess(grants, of: domain, besides: others, attempt) }
    }
    if let failure, try hardware.isMeant(device, rights.identity) { throw failure }
    let left = failure
    failure = nil
    var wasAssigned = true
    do throws(HostError) {
      // Best effort, as at the attach; pciback has reset the device when it released it.
      if try hardware.mayResetLost(device, rights.identity) { report.reset(device, try hardware.reset(device)) }
    } catch {
      failure = error
    }
    attempt { () throws(HostError) in
      do throws(HostError) { try session.host.hypervisor.deassign(device, from: session.key.id) } catch {
        // ENODEV: the domain does not own it, which is what was wanted.
        guard error.hypervisorCode == .notOwner else { throw error }
        wasAssigned = false
      }
    }
    if let failure { throw failure }
    return left.map { .rightsLeft($0) } ?? .revoked(byRun: wasAssigned)
  }

  private func revokeAccess(
    _ grants: DeviceGrants, of domain: DomainID, besides others: [DeviceGrants],
    _ attempt: (() throws(HostError) -> Void) -> Void
  ) {
    if let interrupt = grants.interrupt, !others.contains(where: { $0.interrupt == interrupt }) {
      attempt { () throws(HostError) in
        do throws(HostError) { try session.host.hypervisor.unmapInterrupt(interrupt, in: domain) } catch {
          // Not mapped counts as done: a device that shared the line may have taken it along.
          guard error.hypervisorCode == .invalid else { throw error }
        }
      }
      attempt { () throws(HostError) in
        try session.host.hypervisor.setInterrupt(interrupt, of: domain, allowed: false)
      }
    }
    for resource in grants.resources where !others.contains(where: { $0.shares(resource) }) {
      attempt { () throws(HostError) in
        switch resource.space {
        case .ports: try session.host.hypervisor.setPorts(resource.range, of: domain, allowed: false)
        case .memory: try session.host.hypervisor.setFrames(resource.frames, of: domain, allowed: false)
        }
      }
    }
  }

  /// Removes claims and saved lines of devices that the bus does not list and that Xen has again.
  ///
  /// Another domain's claim is never touched: what is removed was read in the same transaction. Returns the devices of
  /// which something is left: those that the bus lists, and those whose claim still names the domain. A claim alone
  /// looks like that of another toolstack which has just begun.
  @discardableResult
  func removeTraces(of devices: Set<PCIAddress>) throws(EngineError) -> Set<PCIAddress> {
    guard !devices.isEmpty else { return [] }
    let listed = try session.locked { (lock) throws(HostError) -> Set<PCIAddress> in
      let listed = try lock.decide(claimsOn: devices.sorted()) { view -> (Set<PCIAddress>, [StoreEdit]) in
        let listed = Set(view.backEnd.entries.compactMap(\.device))
        let stale = devices.subtracting(listed).filter { view.claims[$0] == session.key.id }
        return (listed, stale.sorted().map { .remove(.claim($0)) })
      }
      guard let listed, case .present(let saved) = try lock.savedConfiguration() else { return listed ?? [] }
      let kept = try saved.without(devices.subtracting(listed))
      try lock.replace(saved, with: kept)
      return listed
    }
    var left = listed
    for device in devices where try session.read(.claim(device)) == session.key.id.description { left.insert(device) }
    return left
  }
}
