extension Planner {
  /// The one step that brings a declared device to its living domain.
  func declaredStep(_ wanted: DesiredDevice, in domain: Guest) -> PlannedStep {
    let entry = domain.entry(for: wanted.address)
    let options = entry?.options
    var result = requestedStep(wanted, entry: entry, options: options, in: domain)
    result.before = options
    guard result.action.isChange, result.action != .adopt else { return result }
    if let obstacle = domain.mode.obstacle {
      result.action = .pending
      result.reason = obstacle
      return result
    }
    if let (reason, evidence, remedy) = domain.obstacle {
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
    _ wanted: DesiredDevice, entry: BackEndEntry?, options: DeviceOptions?, in domain: Guest
  ) -> PlannedStep {
    if let mismatch = identityBlock(wanted) { return mismatch }
    guard let entry else { return absentStep(wanted, in: domain) }
    // The entry may stay as it was: the store does not tell that the guest has lost the device.
    guard devices[wanted.address]?.facts?.isOnPCIBack == true || entry.isMarked else {
      let facts = devices[wanted.address]?.facts
      return step(
        wanted, .blocked, .notOnPCIBack,
        evidence: facts.map { "listed, and its driver is \($0.driver ?? "none")" }
          ?? "listed, and the host has no such device",
        remedy: facts == nil
          ? "see that the device is powered, or detach it" : "xl pci-assignable-add \(wanted.address)")
    }
    let isRevoked = devices[wanted.address]?.assignment == .free && entry.isExported
    // pciback exports a device to one domain, and ends the bus that asks for it again (`xen_pcibk_export_device`, Linux
    // drivers/xen/xen-pciback/xenbus.c): the other domain lets go first.
    if isRevoked || !isTaken(entry, in: domain),
      let holder = listings[wanted.address]?.first(where: { $0 != domain.id })
    {
      return heldStep(wanted, by: holder)
    }
    if isRevoked {
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
    if options?.satisfies(wanted.options) == false { return step(wanted, .reattach, .optionsDiffer) }
    if domain.isEmulated(wanted.address) == false {
      return step(
        wanted, .attach, .deviceModelLacks, evidence: "the back end lists it, and QEMU does not show it to the guest")
    }
    if domain.route?.hasDeviceModel == true, abandoned[domain.key]?.contains(wanted.address) == true {
      if domain.observed.emulated == nil {
        return step(
          wanted, .attach, .leftoverIntent, evidence: "a run ended before QEMU had answered, and QEMU was not asked now"
        )
      }
      if !domain.hasSavedPlace(of: wanted.address) {
        return step(
          wanted, .attach, .leftoverIntent, evidence: "a run ended before it had written down where QEMU shows it")
      }
    }
    if owned[domain.uuid]?.contains(wanted.address) == true { return step(wanted, .keep, .inSync) }
    return step(wanted, .adopt, .alreadyAttached)
  }

  /// Whether the guest has the device, or, where it never ran, will find it.
  private func isTaken(_ entry: BackEndEntry, in domain: Guest) -> Bool {
    if domain.lifecycle == .cold, domain.route == .frontEnd {
      return !entry.isMarked && domain.backEnd?.awaitsGuest == true
    }
    switch domain.condition {
    case .connected?, .halfRemoved?, .holding?: return entry.isExported
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
  private func absentStep(_ wanted: DesiredDevice, in domain: Guest) -> PlannedStep {
    let address = wanted.address
    guard let device = devices[address], let facts = device.facts else {
      return step(
        wanted, .blocked, .deviceMissing, evidence: "sysfs has no device at \(address)",
        remedy: "check the address with lspci -D, and that the device is powered")
    }
    if facts.isBridge {
      return step(wanted, .blocked, .isBridge, evidence: "its class is a bridge", remedy: "name a device behind it")
    }
    if let blocked = passthroughBlock(wanted, in: domain) ?? collisionBlock(wanted, in: domain) { return blocked }
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
    if let remnant = remnantStep(wanted, in: domain) { return remnant }
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
    if let remnant = ownRemnantStep(wanted, in: domain) { return remnant }
    var attach = step(wanted, .attach, .declared)
    if device.assignment == .assigned { attach.evidence = "claimed for the domain, but its back end does not list it" }
    return attach
  }

  /// The domain that has a device which its bus does not list, by what a killed run or another toolstack left there.
  private func interruptedHolder(of device: ObservedDevice, besides domain: Guest) -> Guest? {
    let address = device.address
    guard isHeld(address) else { return nil }
    let left = abandoners[address] ?? []
    return (left + [device.claim].compactMap(\.self)).compactMap { living[$0] }.first { other in
      guard other.id != domain.id, mayRemove(address, from: other) else { return false }
      if leftByDeadRuns(in: other).contains(address) { return true }
      guard device.claim == other.id, case .devices(let saved) = other.saved else { return false }
      return saved.contains { $0.address == address }
    }
  }

  /// Whether Xen can give this domain any device: asked before anything is taken from another one.
  private func passthroughBlock(_ wanted: DesiredDevice, in domain: Guest) -> PlannedStep? {
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

  /// Two devices that QEMU cannot tell apart: its names lack the segment.
  private func collisionBlock(_ wanted: DesiredDevice, in domain: Guest) -> PlannedStep? {
    guard domain.route?.hasDeviceModel == true else { return nil }
    let name = DeviceModelName(wanted.address)
    let declared = (declaredDevices[domain.name] ?? []).filter { $0 < wanted.address }
    let rival = (domain.entries.compactMap(\.device) + declared).first {
      $0 != wanted.address && DeviceModelName($0) == name
    }
    return rival.map { rival in
      step(
        wanted, .blocked, .nameCollision, evidence: "QEMU knows it and \(rival) by one name, \(name)",
        remedy: "give one of the two to another domain")
    }
  }

  /// A declared device that another domain's back end lists.
  func heldStep(_ wanted: DesiredDevice, by holder: DomainID) -> PlannedStep {
    guard let other = living[holder] else { return step(wanted, .blocked, .attachedElsewhere) }
    guard mayRemove(wanted.address, from: other), other.route != nil else {
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
    move.sourceRoute = other.route
    return move
  }
}
