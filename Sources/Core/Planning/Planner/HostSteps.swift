extension Planner {
  /// What belongs to no living domain.
  func hostSteps() -> [HostStep] {
    var steps = observation.leftoverBackEnds.map { backEnd in
      backEnd.hasKernelObject == false
        ? HostStep(
          .removeBackEnd(of: backEnd.domain),
          evidence: "domain \(backEnd.domain) is gone, but its back end is still there")
        : HostStep(
          .drift(.leakedBackEnd(of: backEnd.domain)),
          evidence: "domain \(backEnd.domain) is gone, but dom0's kernel still holds its back end")
    }
    for device in observation.devices {
      guard let claim = device.claim, claim != .zero, index.living[claim] == nil, index.listings[device.address] == nil
      else {
        continue
      }
      guard declarations[device.address] == nil || device.assignment != .assigned else { continue }
      steps.append(
        HostStep(
          .removeClaim(device.address, of: claim),
          evidence: "domain \(claim), which claims \(device.address), is gone"))
    }
    return steps
  }

  /// Dead runs' intents on living domains of which nothing is open any more.
  func settledIntents(besides plan: Plan) -> [RecordChange] {
    guard !index.abandoned.isEmpty else { return [] }
    var open: [DomainID: Set<PCIAddress>] = [:]
    for domain in plan.domains {
      for step in domain.steps {
        switch step.kind {
        case .unchanged, .foreign, .change(.adopt, _): continue
        case .change, .blocked, .pending, .drift:
          for id in [domain.id, step.holder?.key.id].compactMap(\.self) { open[id, default: []].insert(step.device) }
        }
      }
    }
    return observation.intents.filter { intent in
      guard !intent.isLive, index.living[intent.domain.id]?.key == intent.domain else { return false }
      // Assigned and listed nowhere: nothing but the intent tells whose it is, whatever the plan can do now.
      let hasUnlisted = intent.devices.contains {
        index.listings[$0] == nil && index.devices[$0]?.assignment == .assigned
      }
      return !hasUnlisted && open[intent.domain.id]?.isDisjoint(with: intent.devices) ?? true
    }.map { .discard(intent: $0.identifier) }
  }

  /// What an apply writes into Berth's records besides its steps.
  func bookkeeping() -> [RecordChange] {
    let alive = Dictionary(index.domains.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
    let live = Set(index.domains.map(\.key))
    let ended = observation.intents.filter { !$0.isLive && !live.contains($0.domain) }
      .map { RecordChange.discard(intent: $0.identifier) }
    return ended
      + observation.records.flatMap { record -> [RecordChange] in
        guard let domain = alive[record.uuid] else {
          guard let since = record.goneSince else { return [.gone(record.uuid, since: observation.takenAt)] }
          return observation.takenAt - since > recordLifetime ? [.collect(record.uuid)] : []
        }
        var changes: [RecordChange] = record.goneSince == nil ? [] : [.returned(record.uuid)]
        guard domain.wait == nil, case .devices(let saved) = domain.saved else { return changes }
        lazy var known = Set(saved.map(\.address)).union(domain.entries.compactMap(\.device))
        for device in record.devices
        where declarations[device] != domain.name && !known.contains(device)
          && index.intended[domain.key]?.contains(device) != true && index.devices[device]?.claim != domain.id
          && index.remnants[domain.id]?[device] == nil
        {
          changes.append(.forget(record.uuid, device))
        }
        return changes
      }
  }
}
