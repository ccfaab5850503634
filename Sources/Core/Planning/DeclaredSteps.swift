extension Planner {
  /// The one step that brings a declared device to its living domain.
  func declaredStep(_ wanted: DesiredDevice, in domain: ObservedDomain) -> PlannedStep {
    let entry = domain.backEnd?.entry(for: wanted.address)
    var result = requestedStep(wanted, entry: entry, in: domain)
    result.before = entry?.options
    guard result.action.isChange, result.action != .adopt else { return result }
    if let obstacle = domain.mode.obstacle {
      result.action = .pending
      result.reason = obstacle
      return result
    }
    if let (reason, evidence, remedy) = obstacleToAnyChange(in: domain) {
      result.action = .blocked
      result.reason = reason
      result.evidence = evidence
      result.remedy = remedy
      return result
    }
    result.mode = domain.mode.mode
    switch result.action {
    case .reattach: result.effects = ["the guest loses the device for a moment"]
    case .move: result.effects = ["\(result.from ?? "another domain") loses the device"]
    default: break
    }
    return result
  }

  private func requestedStep(
    _ wanted: DesiredDevice, entry: BackEndEntry?, in domain: ObservedDomain
  ) -> PlannedStep {
    if let mismatch = identityBlock(wanted) { return mismatch }
    guard let entry else { return absentStep(wanted, in: domain) }
    if devices[wanted.address]?.assignment == .free, entry.isExported {
      return step(
        wanted, .reattach, .revokedButListed,
        evidence: "the back end lists it, but Xen has taken it from the domain")
    }
    if !isTaken(entry, in: domain) {
      return step(
        wanted, .attach, .declared,
        evidence: "listed with state \(entry.state), back end \(domain.backEnd?.state ?? .absent), front end "
          + "\(domain.backEnd?.frontEndState ?? .absent): the guest has not taken it yet")
    }
    if entry.options != wanted.options { return step(wanted, .reattach, .optionsDiffer) }
    if owned[domain.uuid]?.contains(wanted.address) == true { return step(wanted, .keep, .inSync) }
    return step(wanted, .adopt, .alreadyAttached)
  }

  /// Whether the guest has the device, or, where it never ran, will find it.
  private func isTaken(_ entry: BackEndEntry, in domain: ObservedDomain) -> Bool {
    if domain.lifecycle == .cold { return entry.state.state != .closing }
    switch domain.backEnd?.condition {
    case .connected?, .halfRemoved?: return entry.isExported
    // A round or a start is under way, or the bus is dead: what becomes of this entry is not settled.
    default: return false
    }
  }

  private func identityBlock(_ wanted: DesiredDevice) -> PlannedStep? {
    guard let expected = wanted.id, let facts = devices[wanted.address]?.facts else { return nil }
    guard let found = facts.id else {
      return step(
        wanted, .blocked, .identityUnknown, evidence: "expected \(expected), sysfs gives no vendor and device",
        remedy: "see /sys/bus/pci/devices/\(wanted.address)")
    }
    guard found != expected else { return nil }
    return step(
      wanted, .blocked, .identityMismatch, evidence: "expected \(expected), found \(found)",
      remedy: "find the device's new address with lspci -nn -d \(expected), or correct the manifest")
  }

  /// A declared device that the domain's back end does not list.
  private func absentStep(_ wanted: DesiredDevice, in domain: ObservedDomain) -> PlannedStep {
    let address = wanted.address
    guard let device = devices[address], let facts = device.facts else {
      return step(
        wanted, .blocked, .deviceMissing, evidence: "sysfs has no device at \(address)",
        remedy: "check the address with lspci -D, and that the device is powered")
    }
    if facts.isBridge {
      return step(wanted, .blocked, .isBridge, evidence: "its class is a bridge", remedy: "name a device behind it")
    }
    if let blocked = passthroughBlock(wanted, in: domain) { return blocked }
    if let holder = listings[address]?.first(where: { $0 != domain.id }) { return heldStep(wanted, by: holder) }
    if let leftover = leftoverListings[address] {
      return step(
        wanted, .blocked, .attachedElsewhere,
        evidence: "domain \(leftover) is gone, and dom0's kernel still holds the device for it",
        remedy: "xenstore-rm \(StorePath.backEndHome(leftover)) makes the kernel let go; see xl list first")
    }
    guard facts.isOnPCIBack else {
      return step(
        wanted, .blocked, .notAssignable,
        evidence: "its driver is \(facts.driver ?? "none"), not pciback",
        remedy: "xl pci-assignable-add \(address)")
    }
    if let holder = interruptedHolder(of: device, besides: domain) { return heldStep(wanted, by: holder.id) }
    let isOurs = device.claim == domain.id || isOwned(address, in: domain)
    if let claim = device.claim, claim != domain.id, let claimant = living[claim] {
      return step(
        wanted, .blocked, .claimedElsewhere, evidence: "\(claimant.name) (domain \(claim)) has claimed it",
        remedy: "wait for the other toolstack; if none is at work, xenstore-rm /libxl/pci/\(address.storeKey)/domid")
    }
    if device.assignment == .assigned, !isOurs {
      return step(
        wanted, .blocked, .assignedElsewhere, evidence: "Xen says that a guest has it",
        remedy: "find the guest (xl debug-keys Q; xl dmesg) and detach it there")
    }
    var attach = step(wanted, .attach, .declared)
    if device.assignment == .assigned { attach.evidence = "claimed for the domain, but its back end does not list it" }
    return attach
  }

  /// The domain that has a device which its bus does not list, by what a killed run or another toolstack left there.
  private func interruptedHolder(of device: ObservedDevice, besides domain: ObservedDomain) -> ObservedDomain? {
    let address = device.address
    guard isHeld(address) else { return nil }
    let left = abandoned.filter { $0.value.contains(address) }.keys.map(\.id).sorted()
    return (left + [device.claim].compactMap(\.self)).compactMap { living[$0] }.first { other in
      guard other.id != domain.id, mayRemove(address, from: other) else { return false }
      if leftByDeadRuns(in: other).contains(address) { return true }
      guard device.claim == other.id, case .devices(let saved) = other.saved else { return false }
      return saved.contains { $0.address == address }
    }
  }

  /// Whether Xen can give this domain any device: asked before anything is taken from another one.
  private func passthroughBlock(_ wanted: DesiredDevice, in domain: ObservedDomain) -> PlannedStep? {
    if observation.host.hasIOMMU == false {
      return step(
        wanted, .blocked, .hostWithoutIOMMU, evidence: "Xen runs without an IOMMU",
        remedy: "enable VT-d or AMD-Vi in the firmware, and do not boot Xen with iommu=off")
    }
    if domain.hasIOMMU == false {
      return step(
        wanted, .blocked, .domainWithoutIOMMU, evidence: "the domain was created without passthrough",
        remedy: "set passthrough=\"enabled\" in its configuration and create it again")
    }
    return nil
  }

  /// A declared device that another domain's back end lists.
  private func heldStep(_ wanted: DesiredDevice, by holder: DomainID) -> PlannedStep {
    guard let other = living[holder] else { return step(wanted, .blocked, .attachedElsewhere) }
    guard mayRemove(wanted.address, from: other), other.kind == .pv, other.stubDomainOf == nil else {
      return step(
        wanted, .blocked, .attachedElsewhere, evidence: "\(other.name) (domain \(other.id)) has it",
        remedy: "detach it there: xl pci-detach \(other.name) \(wanted.address)")
    }
    if let obstacle = other.mode.obstacle {
      var waiting = step(wanted, .pending, obstacle, evidence: "\(other.name) (domain \(other.id)) has it")
      waiting.from = other.name
      return waiting
    }
    var move = step(wanted, .move, .declaredElsewhere, evidence: "\(other.name) (domain \(other.id)) has it")
    move.from = other.name
    move.source = other.key
    move.sourceMode = other.mode.mode
    return move
  }

  /// Whether an entry beyond the count is of no device that is known to be the domain's.
  ///
  /// One that the domain has claimed was cut off by another toolstack's count, and is put back like any lost entry.
  private func isStray(_ orphan: BackEndEntry, in domain: ObservedDomain) -> Bool {
    guard let device = orphan.device else { return true }
    return domain.backEnd?.entry(for: device) == nil && devices[device]?.claim != domain.id
  }

  /// What stands in the way of every change to this domain.
  func obstacleToAnyChange(in domain: ObservedDomain) -> (Reason, String, String?)? {
    guard domain.kind == .pv else {
      return (
        .kindNotSupported, "the domain is \(domain.kind.rawValue.uppercased())",
        domain.kind == .pvh ? "Xen 4.17 passes no PCI devices to PVH guests" : "use xl for this domain"
      )
    }
    if case .corrupt(let what) = domain.saved {
      return (.corruptSavedConfiguration, what, "restore the domain's libxl-json, or restart the domain")
    }
    if case .corrupt(let what)? = domain.backEnd?.condition {
      return (
        .corruptBackEnd, what,
        "look at xenstore-ls \(StorePath.backEnd(domain.id)); detaching all devices or restarting the domain mends it"
      )
    }
    if let orphan = domain.backEnd?.orphans.first(where: { isStray($0, in: domain) }) {
      return (
        .corruptBackEnd, "nodes of entry \(orphan.index) are left at or above num_devs",
        "look at xenstore-ls \(StorePath.backEnd(domain.id)); restarting the domain mends it"
      )
    }
    if let backEnd = domain.backEnd, backEnd.state.state == .closing, backEnd.frontEndState.state == .reconfiguring {
      return (
        .busClosing, "pciback ended the guest's PCI bus (back end 5, front end 7)",
        "see \(StorePath.backEndError(domain.id)); restarting the domain mends it"
      )
    }
    return nil
  }
}
