import Model
import XenProtocol

/// The steps of what belongs to no living domain, and the changes of Berth's own records.
struct HostSteps {
  let planner: Planner

  /// What belongs to no living domain.
  func steps() -> [HostStep] {
    var steps = planner.observation.leftoverBackEnds.map { backEnd in
      backEnd.hasKernelObject == false
        ? HostStep(
          .removeBackEnd(of: backEnd.domain),
          evidence: "domain \(backEnd.domain) is gone, but its back end is still there")
        : HostStep(
          .drift(.leakedBackEnd(of: backEnd.domain)),
          evidence: "domain \(backEnd.domain) is gone, but dom0's kernel still holds its back end")
    }
    for device in planner.observation.devices {
      guard let claim = device.claim, claim != .zero, planner.index.living[claim] == nil,
        planner.index.listings[device.address] == nil
      else {
        continue
      }
      guard planner.declarations[device.address] == nil || device.assignment != .assigned else { continue }
      steps.append(
        HostStep(
          .removeClaim(device.address, of: claim),
          evidence: "domain \(claim), which claims \(device.address), is gone"))
    }
    return steps
  }

  /// Dead runs' intents on living domains of which nothing is open any more.
  func settledIntents(besides plan: Plan) -> [RecordChange] {
    guard !planner.index.abandoned.isEmpty else { return [] }
    var open: [DomainID: Set<PCIAddress>] = [:]
    for domain in plan.domains {
      for step in domain.steps {
        switch step.kind {
        case .unchanged, .kept, .foreign, .change(.adopt, _): continue
        case .change, .blocked, .pending, .drift:
          for id in [domain.id, step.holder?.key.id].compactMap(\.self) { open[id, default: []].insert(step.device) }
        }
      }
    }
    return planner.observation.intents.filter { intent in
      guard !intent.isLive, intent.operation != .rebind, planner.index.living[intent.domain.id]?.key == intent.domain
      else { return false }
      // Assigned and listed nowhere: nothing but the intent tells whose it is, whatever the plan can do now.
      let hasUnlisted = intent.devices.contains {
        planner.index.listings[$0] == nil && planner.index.devices[$0]?.assignment == .assigned
      }
      return !hasUnlisted && open[intent.domain.id]?.isDisjoint(with: intent.devices) ?? true
    }.map { .discard(intent: $0.identifier) }
  }

  /// What an apply writes into Berth's records besides its steps.
  func bookkeeping() -> [RecordChange] {
    let alive = Dictionary(planner.index.domains.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
    lazy var live = Set(planner.index.domains.map(\.key))
    let dead = planner.observation.intents.filter { !$0.isLive }
    let unbound = dead.filter { $0.operation == .rebind }.flatMap { intent in
      intent.devices.map { RecordChange.bind($0, intent: intent.identifier) }
    }
    let ended = dead.filter { $0.operation != .rebind && !live.contains($0.domain) }
      .map { RecordChange.discard(intent: $0.identifier) }
    return unbound + ended
      + planner.observation.records.flatMap { record -> [RecordChange] in
        guard let domain = alive[record.uuid] else {
          guard let since = record.goneSince else { return [.gone(record.uuid, since: planner.observation.takenAt)] }
          return seconds(from: since, to: planner.observation.takenAt) > recordLifetime ? [.collect(record.uuid)] : []
        }
        // An intent that cannot be read may name any of these devices.
        guard domain.damage == nil else { return [] }
        var changes: [RecordChange] = record.goneSince == nil ? [] : [.returned(record.uuid)]
        guard domain.wait == nil, case .devices(let saved) = domain.saved else { return changes }
        let left = planner.rightsLeft(in: domain)
        let isDoubtful = planner.matches.doubtful.contains(domain.key)
        for device in record.devices
        where !isDoubtful && !domain.lists(device) && !saved.contains(where: { $0.address == device })
          && !planner.isDeclared(device, for: domain)
          && planner.reservations.selection(for: device, in: domain) == nil
          && planner.index.intended[domain.key]?.contains(device) != true
          && planner.index.devices[device]?.claim != domain.id
          && planner.index.remnants[domain.id]?[device] == nil && left[device] == nil
        {
          changes.append(.forget(record.uuid, device))
        }
        for device in record.devices where planner.lacksGrant(of: device, in: domain) {
          changes.append(.granted(record.uuid, device))
        }
        // The rights of an earlier life of the domain ended with it.
        for device in Set(record.grants.filter { $0.domain != domain.id }.map(\.device)).sorted()
        where !record.devices.contains(device) {
          changes.append(.forget(record.uuid, device))
        }
        return changes
      }
  }
}
