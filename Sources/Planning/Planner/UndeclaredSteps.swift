import Model
import Ports
import XenProtocol

/// The steps of what a domain has and the manifest does not declare for it.
struct UndeclaredSteps {
  let planner: Planner

  /// What the domain has and the manifest does not declare for it.
  func steps(in domain: Guest, declaring declared: Set<PCIAddress>) -> [DeviceStep] {
    var steps = domain.entries.compactMap { entry -> DeviceStep? in
      guard let device = entry.device, !declared.contains(device) else { return nil }
      return undeclaredStep(device, entry, in: domain)
    }
    steps += rightsSteps(in: domain, declaring: declared)
    steps += savedOnlySteps(in: domain, declaring: declared, besides: Set(steps.map(\.device)))
    steps += leftoverSteps(in: domain, declaring: declared, besides: Set(steps.map(\.device)))
    steps += remnantSteps(in: domain, declaring: declared, besides: Set(steps.map(\.device)))
    return steps.sorted { $0.device < $1.device }
  }

  private func undeclaredStep(
    _ device: PCIAddress, _ entry: BackEndEntry, in domain: Guest
  ) -> DeviceStep? {
    if planner.movesOut(device, of: domain) { return nil }
    if entry.isMarked, !planner.isOwned(device, in: domain) {
      return planner.undeclared(
        device, .drift(.halfRemoved), in: domain, before: entry.options,
        evidence: "another toolstack marked it for removal, and is still at work or has stopped")
    }
    let open = planner.reservations.selection(for: device, in: domain)
    // Berth finishes a removal that it began, whatever the policy says now: the guest has lost the device already.
    guard planner.mayRemove(device, from: domain) || entry.isMarked else {
      if let set = planner.removals.otherSet(of: device, in: domain) {
        return planner.undeclared(
          device, .kept(.otherSet), in: domain, before: entry.options, evidence: "set '\(set)' owns it")
      }
      let isOwned = planner.isOwned(device, in: domain)
      if let open, isOwned || planner.desired.policy.prune == .all {
        let step = UnresolvedStep(open, in: planner.observation.inventory)
        return planner.undeclared(
          device, .blocked(step.obstacle), in: domain, before: entry.options,
          evidence: "it may be the declared device \(step.label), and stays until that is settled")
      }
      // The record may say that the device is Berth's.
      if !isOwned, let damage = domain.damage, damage.kind == .record, planner.desired.policy.prune != .never {
        return planner.undeclared(
          device, .blocked(.ownFileDamaged), in: domain, before: entry.options, evidence: damage.evidence,
          remedy: damage.remedy)
      }
      return planner.undeclared(device, isOwned ? .kept(.pruneNever) : .foreign, in: domain, before: entry.options)
    }
    // The step of the domain that is to get the device shows why the device stays here.
    let isElsewhere = planner.isDeclaredElsewhere(device, than: domain)
    if isElsewhere, !entry.isMarked { return nil }
    let effects = ["the guest loses the device"]
    return switch domain.access {
    case .open(let target):
      planner.undeclared(
        device,
        .change(.detach(entry.options, because: isElsewhere || open != nil ? .halfRemoved : .notDeclared), in: target),
        in: domain, before: entry.options, evidence: absence(of: device, in: domain), effects: effects)
    case .waiting(let wait):
      planner.undeclared(device, .pending(wait), in: domain, before: entry.options, effects: effects)
    case .closed(let obstruction):
      planner.undeclared(
        device, .blocked(obstruction.obstacle), in: domain, before: entry.options, evidence: obstruction.evidence,
        remedy: obstruction.remedy, effects: effects)
    }
  }

  /// What is at a listed device's address instead of the device on pciback; nil if the device is there.
  private func absence(of device: PCIAddress, in domain: Guest) -> String? {
    guard let found = planner.index.devices[device] else { return nil }
    guard let facts = found.facts else { return "the host has no such device" }
    if let replacement = planner.replacement(of: device, in: domain) { return "\(replacement); it is left alone" }
    return facts.isOnPCIBack ? nil : "its driver is \(facts.driver ?? "none"), so the device itself is left alone"
  }

  /// Rights to devices that the domain no longer has. Berth granted them and revokes them, whatever the policy says.
  private func rightsSteps(in domain: Guest, declaring declared: Set<PCIAddress>) -> [DeviceStep] {
    guard case .open(let target) = domain.access else { return [] }
    return planner.rightsLeft(in: domain).filter { !declared.contains($0.key) }.map { device, left in
      planner.undeclared(
        device, left.isKnown ? .change(.detach(nil, because: .rightsLeft), in: target) : .drift(.rightsLeft),
        in: domain,
        evidence: left.evidence)
    }
  }

  /// Devices that only the saved configuration still has.
  private func savedOnlySteps(
    in domain: Guest, declaring declared: Set<PCIAddress>, besides shown: Set<PCIAddress>
  ) -> [DeviceStep] {
    guard case .devices(let saved) = domain.saved, case .open(let target) = domain.access else { return [] }
    let rest = saved.filter { !declared.contains($0.address) && !shown.contains($0.address) }
    guard !rest.isEmpty else { return [] }
    let left = planner.leftByDeadRuns(in: domain)
    return rest.compactMap { device -> DeviceStep? in
      guard !domain.lists(device.address) else { return nil }
      // A killed run or a forced `xl pci-detach` leaves more than a line in a file: the whole device is returned.
      guard !left.contains(device.address), planner.index.remnants[domain.id]?[device.address] == nil else {
        return nil
      }
      func step(_ kind: DeviceStep.Kind, _ evidence: String) -> DeviceStep {
        planner.undeclared(device.address, kind, in: domain, before: device.options, evidence: evidence)
      }
      guard planner.index.devices[device.address]?.claim == domain.id else {
        if domain.route?.deviceModel == .upstream, domain.observed.emulated == nil {
          // The line shows that QEMU must be asked about the device.
          return step(
            .drift(.configOnly), "left by an xl pci-detach; QEMU was not asked whether it still shows the device")
        }
        if planner.reservations.selection(for: device.address, in: domain) != nil {
          return step(.drift(.configOnly), "left by an xl pci-detach, and perhaps a declared device")
        }
        // Berth edits a domain outside the manifest only to remove what Berth left there.
        guard planner.matches.covered.contains(domain.key) || planner.mayRemove(device.address, from: domain) else {
          return nil
        }
        return step(.change(.repair(.dropSavedEntry), in: target), "left by an xl pci-detach")
      }
      if planner.movesOut(device.address, of: domain) { return nil }
      // Claimed and saved, but not listed: another toolstack overwrote the entry, or a run was killed half-way.
      return step(
        planner.mayRemove(device.address, from: domain) && !planner.isDeclaredElsewhere(device.address, than: domain)
          ? .change(.detach(device.options, because: .overwritten), in: target) : .drift(.overwritten),
        "claimed and saved for the domain, but its back end does not list it")
    }
  }

  /// Devices that a killed run was attaching or detaching, and that no other store shows.
  private func leftoverSteps(
    in domain: Guest, declaring declared: Set<PCIAddress>, besides shown: Set<PCIAddress>
  ) -> [DeviceStep] {
    guard case .open(let target) = domain.access else { return [] }
    let left = planner.leftByDeadRuns(in: domain).subtracting(declared).subtracting(shown)
    return left.filter { !planner.isHeld($0) || !planner.movesOut($0, of: domain) }.sorted().map { device in
      planner.undeclared(
        device, .change(.detach(nil, because: .leftoverIntent), in: target), in: domain,
        evidence: "a run that was killed may have left it half attached; Berth returns it to Xen")
    }
  }

  /// Remnants of devices that are not declared here.
  private func remnantSteps(
    in domain: Guest, declaring declared: Set<PCIAddress>, besides shown: Set<PCIAddress>
  ) -> [DeviceStep] {
    guard let remnants = planner.index.remnants[domain.id], case .open(let target) = domain.access else { return [] }
    let explained = Set(shown.union(declared).map { DeviceModelName($0) })
    return remnants.sorted { $0.key < $1.key }.compactMap { device, remnant in
      guard !shown.contains(device), !declared.contains(device) else { return nil }
      if remnant == .emulated, explained.contains(DeviceModelName(device)) { return nil }
      if remnant != .doubtful, planner.movesOut(device, of: domain) { return nil }
      let isRemoved =
        remnant != .doubtful && planner.mayRemove(device, from: domain) && planner.index.listings[device] == nil
      let (because, name): (DetachReason, DriftName) =
        switch remnant {
        case .emulated: (.deviceModelOnly, .deviceModelOnly)
        case .exported: (.halfRemoved, .halfRemoved)
        case .doubtful: (.halfRemoved, .configOnly)
        }
      return planner.undeclared(
        device, isRemoved ? .change(.detach(nil, because: because), in: target) : .drift(name), in: domain,
        evidence: remnant.evidence)
    }
  }
}
