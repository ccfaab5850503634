extension Planner {
  /// What the domain has and the manifest does not declare for it.
  func undeclaredSteps(in domain: Guest, declaring declared: Set<PCIAddress>) -> [DeviceStep] {
    var steps = domain.entries.compactMap { entry -> DeviceStep? in
      guard let device = entry.device, !declared.contains(device) else { return nil }
      return undeclaredStep(device, entry, in: domain)
    }
    steps += savedOnlySteps(in: domain, declaring: declared)
    steps += leftoverSteps(in: domain, declaring: declared, besides: Set(steps.map(\.device)))
    steps += remnantSteps(in: domain, declaring: declared, besides: Set(steps.map(\.device)))
    return steps.sorted { $0.device < $1.device }
  }

  private func undeclaredStep(
    _ device: PCIAddress, _ entry: BackEndEntry, in domain: Guest
  ) -> DeviceStep? {
    if movesOut(device, of: domain) { return nil }
    if entry.isMarked, !isOwned(device, in: domain) {
      return undeclared(
        device, .drift(.halfRemoved), in: domain, before: entry.options,
        evidence: "another toolstack marked it for removal, and is still at work or has stopped")
    }
    // A removal that Berth began is ended whatever the policy says by now: the guest has lost the device already.
    guard mayRemove(device, from: domain) || entry.isMarked else {
      return undeclared(device, .foreign, in: domain, before: entry.options)
    }
    let effects = ["the guest loses the device"]
    return switch domain.access {
    case .open(let target):
      undeclared(
        device, .change(.detach(entry.options, because: .notDeclared), in: target), in: domain, before: entry.options,
        effects: effects)
    case .waiting(let wait):
      undeclared(device, .pending(wait), in: domain, before: entry.options, effects: effects)
    case .closed(let obstruction):
      undeclared(
        device, .blocked(obstruction.obstacle), in: domain, before: entry.options, evidence: obstruction.evidence,
        remedy: obstruction.remedy, effects: effects)
    }
  }

  /// Returns a step for a device that is not declared for the domain.
  func undeclared(
    _ device: PCIAddress, _ kind: DeviceStep.Kind, in domain: Guest, before: DeviceOptions? = nil,
    evidence: String? = nil, remedy: String? = nil, effects: [String] = []
  ) -> DeviceStep {
    DeviceStep(
      domain: .uuid(domain.uuid), device: device, deviceID: index.devices[device]?.facts?.id, kind: kind,
      before: before,
      evidence: evidence, remedy: remedy, effects: effects)
  }

  /// Devices that only the saved configuration still has.
  private func savedOnlySteps(in domain: Guest, declaring declared: Set<PCIAddress>) -> [DeviceStep] {
    guard case .devices(let saved) = domain.saved, case .open(let target) = domain.access else { return [] }
    let rest = saved.filter { !declared.contains($0.address) }
    guard !rest.isEmpty else { return [] }
    let listed = Set(domain.entries.compactMap(\.device))
    let left = leftByDeadRuns(in: domain)
    return rest.compactMap { device -> DeviceStep? in
      guard !listed.contains(device.address) else { return nil }
      // What a killed run or a forced `xl pci-detach` left is more than a line in a file: it is given back as a whole.
      guard !left.contains(device.address), index.remnants[domain.id]?[device.address] == nil else { return nil }
      func step(_ kind: DeviceStep.Kind, _ evidence: String) -> DeviceStep {
        undeclared(device.address, kind, in: domain, before: device.options, evidence: evidence)
      }
      guard index.devices[device.address]?.claim == domain.id else {
        if domain.route?.deviceModel == .upstream, domain.observed.emulated == nil {
          // The line is what tells that QEMU is to be asked about the device.
          return step(
            .drift(.configOnly), "left by an xl pci-detach; QEMU was not asked whether it still shows the device")
        }
        return step(.change(.repair(.dropSavedEntry), in: target), "left by an xl pci-detach")
      }
      if movesOut(device.address, of: domain) { return nil }
      // Claimed and saved, but not listed: another toolstack overwrote the entry, or a run was killed half-way.
      return step(
        mayRemove(device.address, from: domain)
          ? .change(.detach(device.options, because: .overwritten), in: target) : .drift(.overwritten),
        "claimed and saved for the domain, but its back end does not list it")
    }
  }

  /// Devices that a run which was killed had taken or was giving back, and that no other store tells of.
  private func leftoverSteps(
    in domain: Guest, declaring declared: Set<PCIAddress>, besides shown: Set<PCIAddress>
  ) -> [DeviceStep] {
    guard case .open(let target) = domain.access else { return [] }
    let left = leftByDeadRuns(in: domain).subtracting(declared).subtracting(shown)
    return left.filter { !isHeld($0) || !movesOut($0, of: domain) }.sorted().map { device in
      undeclared(
        device, .change(.detach(nil, because: .leftoverIntent), in: target), in: domain,
        evidence: "a run that was killed may have left it half attached; Berth returns it to Xen")
    }
  }

  /// Devices that a killed run meant to attach or detach, that no live one is at work on, and the bus does not list.
  func leftByDeadRuns(in domain: Guest) -> Set<PCIAddress> {
    guard let left = index.abandoned[domain.key] else { return [] }
    return left.subtracting(index.announced[domain.key] ?? [])
      .subtracting(domain.entries.compactMap(\.device))
  }

  /// Whether Xen or a claim says that some domain has the device.
  func isHeld(_ device: PCIAddress) -> Bool {
    index.devices[device]?.assignment == .assigned || index.devices[device]?.claim != nil
  }

  /// Whether the device is shown once, as the move it is, in the domain that gets it.
  func movesOut(_ device: PCIAddress, of domain: Guest) -> Bool {
    guard let target = declarations[device], target != domain.name, mayRemove(device, from: domain),
      let receiver = index.guests[target]?.first
    else { return false }
    return receiver.wait == nil && domain.wait == nil
  }
}
