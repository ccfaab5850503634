import Model
import XenProtocol

/// A declared device and its living domain, with what was found of the device there.
struct DeclaredDevice {
  let planner: Planner
  let wanted: DesiredDevice
  let domain: Guest
  /// The device as found; nil if nobody looked for it.
  let device: ObservedDevice?
  /// Its first entry in the domain's back end.
  let entry: BackEndEntry?
  /// The options that it has in the domain in fact; nil if it has no entry.
  let options: DeviceOptions?

  init(_ wanted: DesiredDevice, in domain: Guest, _ planner: Planner) {
    self.planner = planner
    self.wanted = wanted
    self.domain = domain
    device = planner.index.devices[wanted.address]
    entry = domain.entry(for: wanted.address)
    var options = entry?.options
    // pciback's own list decides on `permissive` if pciback guards the configuration space.
    if domain.isGuardedByPCIBack, let isPermissive = device?.isPermissive { options?.permissive = isPermissive }
    self.options = options
  }

  /// Returns the one step that brings the device to the domain.
  func step() -> DeviceStep {
    var need = need()
    let kind: DeviceStep.Kind
    var effects: [String] = []
    let endsPermissive = need.kind.isPut && mustEndPermissive
    if endsPermissive, let stay = permissionBlock() { need = stay }
    switch need.kind {
    case .nothing: kind = .unchanged
    case .blocked(let obstacle): kind = .blocked(obstacle)
    case .pending(let wait): kind = .pending(wait)
    case .change(.adopt):
      // The domain itself stays as it is, so that nothing but an unknown kind is in the way, or a record that cannot be
      // changed.
      if let damage = domain.damage {
        kind = need.obstruct(Guest.Obstruction(damage))
      } else if let target = domain.target {
        kind = .change(.adopt, in: target)
      } else {
        kind = need.obstruct(domain.observed.unsupported)
      }
    case .change(let change):
      switch domain.access {
      case .waiting(let wait): kind = .pending(wait)
      case .closed(let obstruction): kind = need.obstruct(obstruction)
      case .open(let target):
        kind = .change(change, in: target)
        effects = change.effects
        if need.kind.isPut, let words = planner.index.refusals[domain.id]?[wanted.address] {
          effects.append("the last apply failed: \(words)")
        }
        if endsPermissive {
          effects.append("pciback releases the device and takes it again, so that `permissive` ends")
        }
      }
    }
    var step = planner.step(
      wanted, found: device, kind, in: .uuid(domain.uuid), before: options, holder: need.holder,
      isMissing: need.isMissing,
      evidence: need.evidence, remedy: need.remedy, effects: effects)
    step.interlocks = need.interlocks
    return step
  }

  /// Whether a change has to end the permission that pciback keeps from an earlier attach.
  private var mustEndPermissive: Bool {
    !wanted.options.permissive && domain.isGuardedByPCIBack && device?.isPermissive == true
      && (entry == nil || options?.satisfies(wanted.options) == false)
  }

  private func permissionBlock() -> Need? {
    if device?.binding?.isOverrideUnknown == true {
      return Need(.blocked(.interlockUnknown), evidence: DriverBinding.unknownOverride)
    }
    // pciback could not take the device again.
    if let binding = device?.binding, binding.isReserved {
      return Need(
        .blocked(.driverReserved),
        evidence: "its driver_override is \(binding.driverOverride ?? "absent"), and `permissive` ends only if pciback "
          + "releases the device and takes it again")
    }
    guard device?.hasVirtualFunctions == true else { return nil }
    return Need(
      .blocked(.permissiveStays),
      evidence: "pciback's `permissive` lists the device, and the device has virtual functions")
  }

  private func need() -> Need {
    if let block = setBlock() { return block }
    if let slot = wanted.options.virtualSlot, let route = domain.route, !route.hasDeviceModel {
      return Need(
        .blocked(.virtualSlotNotSupported), evidence: "the domain is PV, and the manifest declares slot \(slot)")
    }
    if let mismatch = identityBlock() { return mismatch }
    guard let entry else { return absentNeed() }
    // The entry may stay as it was: the store does not tell that the guest has lost the device.
    guard device?.facts?.isOnPCIBack == true || entry.isMarked else {
      let facts = device?.facts
      return Need(
        .blocked(.notOnPCIBack),
        evidence: facts.map { "the back end lists it, but its driver is \($0.driver ?? "none")" }
          ?? "the back end lists it, but the host has no such device",
        remedy: planner.remedy(forTaking: wanted.address, orDetachingFrom: domain), isMissing: facts == nil)
    }
    let isRevoked = device?.assignment == .free && entry.isExported
    // pciback exports a device to one domain, and ends the bus that asks for it again (`xen_pcibk_export_device`, Linux
    // drivers/xen/xen-pciback/xenbus.c): the other domain releases it first.
    if isRevoked || !isTaken(entry),
      let holder = planner.index.listings[wanted.address]?.first(where: { $0 != domain.id })
    {
      return heldNeed(by: holder)
    }
    if isRevoked {
      return Need(
        .change(.reattach(from: options, to: wanted.options, because: .revokedButListed)),
        evidence: "the back end lists it, but Xen has taken it from the domain")
    }
    if !isTaken(entry) {
      if let seconds = planner.index.unconnected[domain.id] {
        return Need(.blocked(.neverConnected), evidence: domain.unconnectedText(seconds))
      }
      if options?.permissive == true, !wanted.options.permissive {
        // pciback is unbound from a device only if no entry lists the device.
        return Need(.change(.reattach(from: options, to: wanted.options, because: .optionsDiffer)))
      }
      return Need(
        .change(.attach(wanted.options, because: .declared)),
        evidence: "its entry is at state \(entry.state), back end \(domain.backEnd?.state ?? .absent), front end "
          + "\(domain.backEnd?.frontEndState ?? .absent): the guest has not taken it yet")
    }
    if options?.satisfies(wanted.options) == false {
      return Need(.change(.reattach(from: options, to: wanted.options, because: .optionsDiffer)))
    }
    if domain.isEmulated(wanted.address) == false {
      return Need(
        .change(.attach(wanted.options, because: .deviceModelLacks)),
        evidence: "the back end lists it, but QEMU does not show it to the guest")
    }
    if domain.route?.hasDeviceModel == true, planner.index.abandoned[domain.key]?.contains(wanted.address) == true {
      if domain.observed.emulated == nil {
        return Need(
          .change(.attach(wanted.options, because: .leftoverIntent)),
          evidence: "a run ended before QEMU had answered; QEMU was not asked this time"
        )
      }
      if !domain.hasSavedPlace(of: wanted.address) {
        return Need(
          .change(.attach(wanted.options, because: .leftoverIntent)),
          evidence: "a run ended before it had recorded where QEMU shows the device")
      }
    }
    guard domain.recorded.owned.contains(wanted.address) else { return Need(.change(.adopt)) }
    // A named set adopts what an earlier release recorded without one.
    let isInSet = domain.recorded.sets[wanted.address] != nil
    return Need(isInSet || planner.desired.set == DesiredState.defaultSet ? .nothing : .change(.adopt))
  }

  /// Whether the guest has the device, or will find it if it never ran.
  private func isTaken(_ entry: BackEndEntry) -> Bool {
    if domain.lifecycle == .cold, domain.route?.canBeCold == true {
      return !entry.isMarked && domain.backEnd?.awaitsGuest == true
    }
    switch domain.condition {
    case .connected?, .halfRemoved?, .holding?: return domain.isExported(entry)
    // A round or a start is under way, or the bus is dead: what becomes of this entry is not settled.
    case .absent?, .vanishing?, .connecting?, .settling?, .round?, .torn?, .closing?, .corrupt?, nil: return false
    }
  }

  /// A device that another set owns in a living domain.
  private func setBlock() -> Need? {
    guard let holders = planner.index.setHolders[wanted.address],
      let holder = holders.first(where: { $0.set != planner.desired.set })
    else { return nil }
    return Need(.blocked(.otherSet), evidence: "set '\(holder.set)' owns it in \(holder.guest.label)")
  }

  private func identityBlock() -> Need? {
    guard let expected = wanted.id, let facts = device?.facts else { return nil }
    guard let found = facts.id else {
      return Need(
        .blocked(.identityUnknown), evidence: "the manifest says \(expected), but sysfs gives no vendor and device",
        remedy: "see `ls /sys/bus/pci/devices/\(wanted.address)`, or remove the id from the manifest")
    }
    guard found != expected else { return nil }
    return Need(
      .blocked(.identityMismatch), evidence: "the manifest says \(expected), but the device is \(found)",
      remedy: "find the declared device with `lspci -Dnn -d \(expected)`, and correct the manifest")
  }

  /// A declared device that the domain's back end does not list.
  private func absentNeed() -> Need {
    let address = wanted.address
    guard let device, let facts = device.facts else {
      return Need(
        .blocked(.deviceMissing), evidence: "sysfs has no device at \(address)", isMissing: true)
    }
    if facts.isBridge {
      return Need(
        .blocked(.isBridge), evidence: "the device is a bridge")
    }
    if let damage = planner.index.damage(ofPreparation: address) {
      return Need(.blocked(.ownFileDamaged), evidence: damage.evidence, remedy: damage.remedy)
    }
    if let blocked = passthroughBlock() ?? collisionBlock() { return blocked }
    if let holder = planner.index.listings[address]?.first(where: { $0 != domain.id }) {
      return heldNeed(by: holder)
    }
    if let leftover = planner.index.leftoverListings[address] {
      return Need(
        .blocked(.attachedElsewhere),
        evidence: "domain \(leftover) is gone, but dom0's kernel still holds the device for it",
        remedy: "check with `xl list` that the domain is gone; "
          + "then `xenstore-rm \(StorePath.backEndHome(leftover))` makes the kernel release the device")
    }
    // What an ended run left without a driver is bound before the domains' steps, and so is what a driver of dom0 has.
    if planner.unpreparedDevices.contains(address) || facts.driver != nil && !facts.isOnPCIBack,
      let block = DriverSteps(planner: planner).block(address)
    {
      return block
    }
    if let remnant = remnantNeed() { return remnant }
    if let holder = interruptedHolder(of: device) { return heldNeed(by: holder.id) }
    let isOurs = device.claim == domain.id || planner.isOwned(address, in: domain)
    if let claim = device.claim, claim != domain.id, let claimant = planner.index.living[claim] {
      return Need(
        .blocked(.claimedElsewhere), evidence: "\(claimant.label) has claimed it",
        remedy: "wait for the other toolstack; if none is at work, `xenstore-rm /libxl/pci/\(address.storeKey)/domid`")
    }
    if device.assignment == .assigned, !isOurs {
      return Need(
        .blocked(.assignedElsewhere), evidence: "Xen says that a guest has it")
    }
    if let remnant = ownRemnantNeed() { return remnant }
    var attach = Need(.change(.attach(wanted.options, because: .declared)))
    if device.assignment == .assigned { attach.evidence = "claimed for the domain, but its back end does not list it" }
    return attach
  }

  /// The domain that has a device which its bus does not list, by what a killed run or another toolstack left there.
  private func interruptedHolder(of device: ObservedDevice) -> Guest? {
    let address = device.address
    guard device.isHeld else { return nil }
    let left = planner.index.abandoners[address] ?? []
    return (left + [device.claim].compactMap(\.self)).compactMap { planner.index.living[$0] }.first { other in
      guard other.id != domain.id, planner.mayRemove(address, from: other) else { return false }
      if planner.leftByDeadRuns(in: other).contains(address) { return true }
      return device.claim == other.id && other.observed.savedAddresses.contains(address)
    }
  }

  /// Whether Xen can give this domain any device: asked before anything is taken from another one.
  private func passthroughBlock() -> Need? {
    if planner.observation.host.hasIOMMU == false {
      return Need(
        .blocked(.hostWithoutIOMMU), evidence: "Xen runs without an IOMMU")
    }
    if domain.hasIOMMU == false {
      return Need(
        .blocked(.domainWithoutIOMMU), evidence: "the domain was created without passthrough")
    }
    return nil
  }

  /// Two devices that QEMU cannot tell apart: its names lack the segment.
  private func collisionBlock() -> Need? {
    guard domain.route?.hasDeviceModel == true else { return nil }
    let name = DeviceModelName(wanted.address)
    let declared = (planner.declaredDevices[domain.name] ?? []).filter { $0 < wanted.address }
    let rival = (domain.listed + declared).first { $0 != wanted.address && DeviceModelName($0) == name }
    return rival.map { rival in
      Need(
        .blocked(.nameCollision), evidence: "QEMU has one name for it and for \(rival): \(name)")
    }
  }

  /// A declared device that another domain's back end lists.
  func heldNeed(by holder: DomainID) -> Need {
    guard let other = planner.index.living[holder] else {
      return Need(
        .blocked(.attachedElsewhere))
    }
    let evidence = "\(other.label) has it"
    guard planner.mayRemove(wanted.address, from: other), let source = other.target else {
      return Need(
        .blocked(.attachedElsewhere), evidence: evidence,
        remedy: "detach it there: `xl pci-detach \(other.argument) \(wanted.address)`")
    }
    if let wait = other.wait { return Need(.pending(wait), evidence: evidence, holder: source) }
    if let damage = other.damage {
      return Need(
        .blocked(.ownFileDamaged), evidence: "\(evidence); \(damage.evidence)", remedy: damage.remedy, holder: source)
    }
    if let kept = other.observed.keptText {
      return Need(.blocked(.crashedAndKept), evidence: "\(evidence), and \(kept)", holder: source)
    }
    return Need(.change(.move(from: source, wanted.options)), evidence: evidence, holder: source)
  }
}

extension Change {
  /// Returns what else happens, for people.
  fileprivate var effects: [String] {
    switch self {
    case .reattach: ["the guest loses the device for a moment"]
    case .move(let source, _): ["\(source.name) loses the device"]
    case .attach, .detach, .repair, .adopt: []
    }
  }
}
