import Model
import XenProtocol

extension DriftFinder {
  /// Everything that is wrong with a device, by the domain it is about.
  func drifts(of address: PCIAddress) -> [Drift] {
    let device = planner.index.devices[address]
    let holders = (listings[address] ?? []).filter { !$0.isOrphan }
    var drifts: [Drift] = []
    var seen: Set<DomainID> = []
    for listing in holders where seen.insert(listing.guest.id).inserted {
      drifts += listedDrifts(address, listing, device, among: holders)
    }
    for guest in suspects(of: address) where !seen.contains(guest.id) {
      if let drift = unlistedDrift(address, in: guest, device) { drifts.append(drift) }
    }
    drifts += ownerlessDrifts(address, device, isExplained: !holders.isEmpty || !drifts.isEmpty)
    return drifts
  }

  /// What is wrong with a device that a living domain's back end lists.
  private func listedDrifts(
    _ address: PCIAddress, _ listing: Listing, _ device: ObservedDevice?, among holders: [Listing]
  ) -> [Drift] {
    let (guest, entry) = (listing.guest, listing.entry)
    var drifts: [Drift] = []
    func add(_ name: DriftName, _ evidence: String) {
      drifts.append(drift(name, address, in: guest, evidence))
    }
    let state = "state-\(entry.index) is \(entry.state)"
    let copies = holders.filter { $0.guest === guest }
    if copies.count > 1 {
      add(.duplicateEntry, "dev-\(copies.map { "\($0.entry.index)" }.joined(separator: " and dev-")) name it")
    }
    if planner.index.abandoned[guest.key]?.contains(address) == true {
      add(.leftoverIntent, "the run that meant to attach or detach it is gone; \(state)")
    }
    if let other = holders.first(where: { $0.guest !== guest }) {
      add(.attachedTwice, "the back end of \(other.guest.label) lists it too")
    }
    if entry.isMarked {
      add(.halfRemoved, "\(state), back end \(guest.busText)")
    } else if device?.facts?.isOnPCIBack != true {
      let driver = device?.facts.map { "its driver is \($0.driver ?? "none")" } ?? "the host has no such device"
      add(.notOnPCIBack, "\(state); \(driver)")
    } else if device?.assignment == .free {
      add(.revokedButListed, "\(state); Xen says that nobody has it")
    } else if !isSettled(entry, in: guest) {
      add(.exportPending, "\(state), back end \(guest.busText)")
    } else if guest.isEmulated(address) == false {
      add(.deviceModelLacks, "QEMU does not list \(DeviceModelName(address))")
    }
    if entry.isExported, let place = entry.virtualAddress {
      if let rival = guest.entries.first(where: {
        $0.index != entry.index && $0.isExported && $0.virtualAddress == place
      }) {
        add(.sharedGuestAddress, "dev-\(entry.index) and dev-\(rival.index) are both at \(place) in the guest")
      }
      if let other = exportedElsewise(at: place, in: guest), other != address {
        add(.mislabelled, "Berth saw \(other) exported at \(place), and no entry names that device now")
      }
    }
    if case .devices(let saved) = guest.saved, !saved.contains(where: { $0.address == address }) {
      add(.storeOnly, "libxl-json does not list it")
    }
    switch device?.claim {
    case nil: add(.claimMissing, "/libxl/pci/\(address.storeKey)/domid is not there")
    case let claim? where claim != guest.id:
      add(.claimForeign, "/libxl/pci/\(address.storeKey)/domid names \(words(claim))")
    default: break
    }
    return drifts
  }

  /// Whether nothing more is to be expected of the entry: exported, or waiting for a guest that has never run.
  private func isSettled(_ entry: BackEndEntry, in guest: Guest) -> Bool {
    entry.isExported || guest.lifecycle == .cold || guest.lifecycle == .building
  }

  /// The device that Berth saw exported where another one's entry now says to be, while its own entry is gone.
  private func exportedElsewise(at place: PCIAddress, in guest: Guest) -> PCIAddress? {
    let bus = guest.backEnd?.domain ?? guest.id
    return exports[guest.uuid]?.first { export in
      export.domain == bus && export.virtualAddress == place && guest.entry(for: export.device) == nil
        && planner.index.devices[export.device]?.claim == guest.id
    }?.device
  }

  /// What is wrong with a device that the domain's back end does not list.
  private func unlistedDrift(_ address: PCIAddress, in guest: Guest, _ device: ObservedDevice?) -> Drift? {
    func found(_ name: DriftName, _ evidence: String) -> Drift { drift(name, address, in: guest, evidence) }
    let isSaved: Bool =
      if case .devices = guest.saved { savers[address]?.contains { $0 === guest } == true } else { false }
    let isClaimed = device?.claim == guest.id
    if planner.index.announced[guest.key]?.contains(address) == true {
      return isSaved || isClaimed ? found(.exportPending, "a run of Berth is at work on it") : nil
    }
    if let orphan = listings[address]?.first(where: { $0.isOrphan && $0.guest === guest }) {
      return found(.orphanEntry, "dev-\(orphan.entry.index) names it, and num_devs is \(guest.countText)")
    }
    if planner.leftByDeadRuns(in: guest).contains(address) {
      return found(.leftoverIntent, "the run that meant to attach or detach it is gone; Xen: \(assignment(device))")
    }
    switch planner.index.remnants[guest.id]?[address] {
    case .emulated: return found(.deviceModelOnly, "QEMU lists \(DeviceModelName(address)), the back end does not")
    case .exported: return found(.halfRemoved, "pciback holds it for the guest, the back end does not list it")
    case nil: break
    }
    // Saved by a domain that libxl is still building, it is on its way.
    guard guest.lifecycle != .building, guest.lifecycle != .destroying else { return nil }
    if isSaved, isClaimed {
      return found(
        .overwritten, "claimed and saved for the domain; its back end does not list it; Xen: \(assignment(device))")
    }
    if isSaved { return found(.configOnly, "libxl-json lists it, the back end does not") }
    // A claim on what another domain's back end lists is told of there, as a foreign one.
    if isClaimed, planner.index.listings[address] == nil {
      return found(.claimOnly, "/libxl/pci/\(address.storeKey)/domid names the domain; Xen: \(assignment(device))")
    }
    if recorders[address]?.contains(where: { $0.uuid == guest.uuid }) == true {
      return found(.recordOnly, "Berth's record has it, and no store of the domain does")
    }
    return nil
  }

  /// What is wrong with a device that belongs to no living domain.
  private func ownerlessDrifts(_ address: PCIAddress, _ device: ObservedDevice?, isExplained: Bool) -> [Drift] {
    var drifts: [Drift] = []
    for (backEnd, entry) in leftovers[address] ?? [] {
      drifts.append(
        Drift(
          name: .leakedBackEnd, domain: Holder(id: backEnd.domain, name: nil), device: address,
          evidence: "dev-\(entry.index) of domain \(backEnd.domain), which is gone\(backEnd.kernelText)",
          outcome: outcome(of: .leakedBackEnd(of: backEnd.domain))))
    }
    for intent in planner.observation.intents where !intent.isLive && intent.devices.contains(address) {
      guard planner.index.living[intent.domain.id]?.key != intent.domain else { continue }
      drifts.append(
        Drift(
          name: .leftoverIntent, domain: Holder(id: intent.domain.id, name: nil), device: address,
          evidence: "\(intent.operation.rawValue) for domain \(intent.domain.id), which is gone",
          outcome: isDiscarded(intent) ? removed() : .left(.drift(.leftoverIntent))))
    }
    if let claim = device?.claim, planner.index.living[claim] == nil, planner.index.listings[address] == nil {
      drifts.append(
        Drift(
          name: claim == .zero ? .claimOnly : .staleClaim, domain: Holder(id: claim, name: nil), device: address,
          evidence: "/libxl/pci/\(address.storeKey)/domid names \(words(claim)); Xen: \(assignment(device))",
          outcome: claim == .zero ? .left(.drift(.claimOnly)) : outcome(of: .staleClaim(address, of: claim))))
    }
    if device?.assignment == .assigned, !isExplained, drifts.isEmpty {
      drifts.append(
        Drift(
          name: .assignmentOnly, device: address, evidence: "Xen says that a guest has it; no store says which",
          outcome: .left(.drift(.assignmentOnly))))
    }
    return drifts
  }

  private func words(_ domain: DomainID) -> String {
    planner.index.living[domain].map { "\($0.name) (domain \(domain))" }
      ?? (domain == .zero ? "dom0" : "domain \(domain), which is gone")
  }

  private func assignment(_ device: ObservedDevice?) -> String { device?.assignment.rawValue ?? "unknown" }
}

extension Guest {
  /// `4, front end 7`.
  var busText: String { "\(backEnd?.state ?? .absent), front end \(backEnd?.frontEndState ?? .absent)" }

  fileprivate var countText: String {
    switch backEnd?.count {
    case .number(let number): "\(number)"
    case .invalid(let text): "\"\(text)\""
    case .absent, nil: "absent"
    }
  }
}

extension BackEnd {
  fileprivate var kernelText: String { hasKernelObject == true ? "; dom0's kernel still serves it" : "" }
}
