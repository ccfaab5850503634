extension Planner {
  /// Stores that disagree about a declared device which the domain has.
  func mendingSteps(_ wanted: DesiredDevice, in domain: Guest) -> [PlannedStep] {
    guard domain.mode.mode != nil, domain.obstacle == nil, domain.entry(for: wanted.address) != nil else { return [] }
    var steps: [PlannedStep] = []
    if case .devices(let saved) = domain.saved, !saved.contains(where: { $0.address == wanted.address }) {
      steps.append(step(wanted, .repair, .storeOnly, evidence: "the saved configuration lacks it, and gets it"))
    }
    if let bus = domain.backEnd, bus.condition == .holding, !bus.settlingAtRest().isEmpty,
      wanted.address == firstListed(in: domain), !awaitsHeld(domain)
    {
      steps.append(
        step(
          wanted, .repair, .busUnsettled,
          evidence:
            "another toolstack left the back end at \(bus.state), where pciback exports nothing more: 3 is written"))
    }
    let claim = devices[wanted.address]?.claim
    if claim == nil {
      steps.append(step(wanted, .repair, .claimMissing, evidence: "its claim is gone, and is written again"))
    } else if let claim, claim != domain.id {
      if let other = living[claim], listings[wanted.address]?.contains(other.id) == true {
        steps.append(
          step(wanted, .drift, .claimForeign, evidence: "\(other.name) claims it, and its back end lists it too"))
      } else {
        steps.append(
          step(wanted, .repair, .claimForeign, evidence: "domain \(claim) claims it without having it: corrected"))
      }
    }
    return steps
  }

  /// Whether an entry waits whose device another bus lists too: pciback would end this one as soon as it looked at it.
  private func awaitsHeld(_ domain: Guest) -> Bool {
    domain.entries.contains { entry in
      guard !entry.isExported, let device = entry.device else { return false }
      return listings[device]?.contains { $0 != domain.id } == true
    }
  }

  /// The first declared device that the domain's bus lists: what is wrong with the bus is told of this one alone.
  private func firstListed(in domain: Guest) -> PCIAddress? {
    let listed = Set(domain.entries.compactMap(\.device))
    return (declaredDevices[domain.name] ?? []).filter(listed.contains).min()
  }

  /// What the domain has and the manifest does not declare for it.
  func undeclaredSteps(in domain: Guest, declaring declared: Set<PCIAddress>) -> [PlannedStep] {
    var steps = domain.entries.compactMap { entry -> PlannedStep? in
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
  ) -> PlannedStep? {
    if movesOut(device, of: domain) { return nil }
    var step = PlannedStep(
      device: device, id: devices[device]?.facts?.id, action: .foreign, reason: .notOwned, before: entry.options)
    if entry.isMarked, !isOwned(device, in: domain) {
      step.action = .drift
      step.reason = .halfRemoved
      step.evidence = "another toolstack marked it for removal; it is at work, or left it"
      return step
    }
    // A removal that Berth began is ended whatever the policy says by now: the guest has lost the device already.
    guard mayRemove(device, from: domain) || entry.isMarked else { return step }
    step.action = .detach
    step.reason = .notDeclared
    step.effects = ["the guest loses the device"]
    if let obstacle = domain.mode.obstacle {
      step.action = .pending
      step.reason = obstacle
    } else if let (reason, evidence, remedy) = domain.obstacle {
      step.action = .blocked
      (step.reason, step.evidence, step.remedy) = (reason, evidence, remedy)
    }
    step.mode = domain.mode.mode
    return step
  }

  /// Devices that only the saved configuration still has.
  private func savedOnlySteps(in domain: Guest, declaring declared: Set<PCIAddress>) -> [PlannedStep] {
    guard case .devices(let saved) = domain.saved, domain.mode.mode != nil, domain.route != nil,
      domain.obstacle == nil
    else { return [] }
    let undeclared = saved.filter { !declared.contains($0.address) }
    guard !undeclared.isEmpty else { return [] }
    let listed = Set(domain.entries.compactMap(\.device))
    let left = leftByDeadRuns(in: domain)
    return undeclared.compactMap { device -> PlannedStep? in
      guard !listed.contains(device.address) else { return nil }
      // What a killed run or a forced `xl pci-detach` left is more than a line in a file: it is given back as a whole.
      guard !left.contains(device.address), remnants[domain.id]?[device.address] == nil else { return nil }
      let observed = devices[device.address]
      var step = PlannedStep(
        device: device.address, id: observed?.facts?.id, action: .repair, reason: .configOnly,
        before: device.options, evidence: "left by an xl detach, will be dropped")
      guard observed?.claim == domain.id else {
        if domain.route?.deviceModel == .upstream, domain.observed.emulated == nil {
          // The line is what tells that QEMU is to be asked about the device.
          step.action = .drift
          step.evidence = "left by an xl detach; QEMU was not asked whether it shows the device still"
        }
        return step
      }
      if movesOut(device.address, of: domain) { return nil }
      // Claimed and saved, but not listed: another toolstack overwrote the entry, or a run was killed half-way.
      step.reason = .overwritten
      step.evidence = "claimed and saved for the domain, but its back end does not list it"
      step.action = mayRemove(device.address, from: domain) ? .detach : .drift
      step.mode = domain.mode.mode
      return step
    }
  }

  /// Devices that a run which was killed had taken or was giving back, and that no other store tells of.
  private func leftoverSteps(
    in domain: Guest, declaring declared: Set<PCIAddress>, besides shown: Set<PCIAddress>
  ) -> [PlannedStep] {
    guard let mode = domain.mode.mode, domain.route != nil, domain.obstacle == nil else { return [] }
    let left = leftByDeadRuns(in: domain).subtracting(declared).subtracting(shown)
    return left.filter { !isHeld($0) || !movesOut($0, of: domain) }.sorted().map { device in
      PlannedStep(
        device: device, id: devices[device]?.facts?.id, action: .detach, reason: .leftoverIntent, mode: mode,
        evidence: "a run that was killed may have left it half attached; it is given back")
    }
  }

  /// Devices that a killed run meant to attach or detach, that no live one is at work on, and the bus does not list.
  func leftByDeadRuns(in domain: Guest) -> Set<PCIAddress> {
    guard let left = abandoned[domain.key] else { return [] }
    return left.subtracting(announced[domain.key] ?? [])
      .subtracting(domain.entries.compactMap(\.device))
  }

  /// Whether Xen or a claim says that some domain has the device.
  func isHeld(_ device: PCIAddress) -> Bool {
    devices[device]?.assignment == .assigned || devices[device]?.claim != nil
  }

  /// Whether the device is shown once, as the move it is, in the domain that gets it.
  func movesOut(_ device: PCIAddress, of domain: Guest) -> Bool {
    guard let target = declarations[device], target != domain.name, mayRemove(device, from: domain),
      let receiver = guests[target]?.first
    else { return false }
    return receiver.mode.mode != nil && domain.mode.mode != nil
  }

  /// What belongs to no living domain.
  func hostDrift() -> [HostDrift] {
    var drift = observation.leftoverBackEnds.map { backEnd in
      HostDrift(
        kind: .leakedBackEnd, domain: backEnd.domain,
        evidence: backEnd.hasKernelObject == false
          ? "domain \(backEnd.domain) is gone, its back end is not: removed"
          : "domain \(backEnd.domain) is gone, and dom0's kernel still holds its back end",
        isRepaired: backEnd.hasKernelObject == false)
    }
    for device in observation.devices {
      guard let claim = device.claim, claim != .zero, living[claim] == nil, listings[device.address] == nil else {
        continue
      }
      guard declarations[device.address] == nil || device.assignment != .assigned else { continue }
      drift.append(
        HostDrift(
          kind: .staleClaim, domain: claim, device: device.address,
          evidence: "domain \(claim), which claims \(device.address), is gone: removed", isRepaired: true))
    }
    return drift
  }

  /// Dead runs' intents on living domains of which nothing is open any more.
  func settledIntents(besides plan: Plan) -> [RecordChange] {
    guard !abandoned.isEmpty else { return [] }
    var open: [DomainID: Set<PCIAddress>] = [:]
    for domain in plan.domains {
      for step in domain.steps {
        switch step.action {
        case .keep, .foreign, .adopt: continue
        default:
          for id in [domain.id, step.source?.id].compactMap(\.self) { open[id, default: []].insert(step.device) }
        }
      }
    }
    return observation.intents.filter { intent in
      guard !intent.isLive, living[intent.domain.id]?.key == intent.domain else { return false }
      // Assigned and listed nowhere: nothing but the intent tells whose it is, whatever the plan can do now.
      let hasUnlisted = intent.devices.contains { listings[$0] == nil && devices[$0]?.assignment == .assigned }
      return !hasUnlisted && open[intent.domain.id]?.isDisjoint(with: intent.devices) ?? true
    }.map { .discard(intent: $0.identifier) }
  }

  /// What an apply writes into Berth's records besides its steps.
  func bookkeeping() -> [RecordChange] {
    let alive = Dictionary(domains.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
    let live = Set(domains.map(\.key))
    let ended = observation.intents.filter { !$0.isLive && !live.contains($0.domain) }
      .map { RecordChange.discard(intent: $0.identifier) }
    return ended
      + observation.records.flatMap { record -> [RecordChange] in
        guard let domain = alive[record.uuid] else {
          guard let since = record.goneSince else { return [.gone(record.uuid, since: observation.takenAt)] }
          return observation.takenAt - since > recordLifetime ? [.collect(record.uuid)] : []
        }
        var changes: [RecordChange] = record.goneSince == nil ? [] : [.returned(record.uuid)]
        guard domain.mode.mode != nil, case .devices(let saved) = domain.saved else { return changes }
        lazy var known = Set(saved.map(\.address)).union(domain.entries.compactMap(\.device))
        for device in record.devices
        where declarations[device] != domain.name && !known.contains(device)
          && intended[domain.key]?.contains(device) != true && devices[device]?.claim != domain.id
          && remnants[domain.id]?[device] == nil
        {
          changes.append(.forget(record.uuid, device))
        }
        return changes
      }
  }
}
