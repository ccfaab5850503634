extension DriftFinder {
  func drift(_ name: Reason, _ device: PCIAddress, in guest: Guest, _ evidence: String) -> Drift {
    Drift(
      name: name, domain: guest.holder, device: device, evidence: evidence,
      outcome: outcome(of: name, device, in: guest))
  }

  /// What the plan does about a device's drift in a domain, or what keeps it from doing anything.
  private func outcome(of name: Reason, _ device: PCIAddress, in guest: Guest) -> DriftOutcome {
    if planner.announced[guest.key]?.contains(device) == true { return .atWork }
    let steps = steps.steps(in: guest.key, of: device)
    for step in steps {
      switch step.action {
      // The device is put in place or taken away as a whole, and with it everything that is wrong with it.
      case .attach, .detach, .reattach, .move: return .planned(step.action)
      case .repair where step.reason == name: return .planned(.repair)
      case .repair, .adopt, .keep, .foreign, .blocked, .pending, .drift: continue
      }
    }
    if name == .recordOnly, self.steps.bookkeeping.contains(.forget(guest.uuid, device)) { return .removed }
    if name == .leftoverIntent, isDiscarded(device, of: guest.key) { return .removed }
    if let step = steps.first(where: { $0.action == .blocked || $0.action == .pending }) { return .left(step.reason) }
    if let reason = guest.mode.obstacle ?? guest.obstacle?.reason { return .left(reason) }
    if steps.contains(where: { $0.action == .drift && $0.reason == name }) { return .left(name) }
    // What nobody declares and Berth does not own is another's to mend.
    return planner.declarations[device] == guest.name ? .left(name) : .left(.notOwned)
  }

  private func isDiscarded(_ device: PCIAddress, of domain: DomainKey) -> Bool {
    planner.observation.intents.contains { intent in
      intent.domain == domain && intent.devices.contains(device)
        && steps.bookkeeping.contains(.discard(intent: intent.identifier))
    }
  }

  func hostOutcome(_ kind: HostDrift.Kind, _ domain: DomainID, _ device: PCIAddress?) -> DriftOutcome {
    let isRemoved = plan.hostDrift.contains {
      $0.kind == kind && $0.domain == domain && $0.device == device && $0.isRepaired
    }
    return isRemoved ? .removed : .left(kind.reason)
  }

  /// What is wrong with a domain's stores as a whole.
  func domainDrifts() -> [Drift] {
    var drifts: [Drift] = []
    for guest in guests {
      if case .corrupt(let what) = guest.saved { drifts.append(drift(.corruptSavedConfiguration, in: guest, what)) }
      if let (name, evidence) = busDrift(of: guest) { drifts.append(drift(name, in: guest, evidence)) }
    }
    for backEnd in planner.observation.leftoverBackEnds
    where (backEnd.entries + backEnd.orphans).allSatisfy({ $0.device == nil }) {
      drifts.append(
        Drift(
          name: .leakedBackEnd, domain: Holder(id: backEnd.domain, name: nil),
          evidence: "domain \(backEnd.domain) is gone, its back end is not",
          outcome: hostOutcome(.leakedBackEnd, backEnd.domain, nil)))
    }
    return drifts
  }

  private func busDrift(of guest: Guest) -> (Reason, String)? {
    guard let bus = guest.backEnd else { return nil }
    let states = "back end \(guest.busText)"
    switch guest.condition {
    case .corrupt(let what): return (.corruptBackEnd, what)
    case .torn: return (.busTorn, states)
    case .closing where guest.lifecycle == .running || guest.lifecycle == .paused: return (.busClosing, states)
    case .connecting where bus.frontEndState.state == .connected: return (.busReplaced, states)
    case .round where [.initialising, .initWait, .initialised].contains(bus.frontEndState.state):
      return (.roundUnheard, states)
    case .vanishing:
      return (
        .busVanishing,
        bus.hasKernelObject == true
          ? "no back end in xenstore, and dom0's kernel still has pci-\(bus.domain)-0"
          : "no back end in xenstore, and the front end is still there"
      )
    case .holding where !bus.settlingAtRest().isEmpty: return (.busUnsettled, states)
    default: break
    }
    if let stray = bus.orphans.first(where: { $0.device == nil }) {
      return (.orphanEntry, "nodes of entry \(stray.index) are at or above num_devs, and name no device")
    }
    return nil
  }

  private func drift(_ name: Reason, in guest: Guest, _ evidence: String) -> Drift {
    Drift(name: name, domain: guest.holder, evidence: evidence, outcome: domainOutcome(of: name, in: guest))
  }

  private func domainOutcome(of name: Reason, in guest: Guest) -> DriftOutcome {
    if name == .corruptBackEnd || name == .corruptSavedConfiguration { return .left(name) }
    if planner.announced[guest.key] != nil { return .atWork }
    // What is damaged stays so when the domain can take changes again.
    if let obstacle = guest.obstacle?.reason ?? guest.mode.obstacle { return .left(obstacle) }
    for step in steps.domains[guest.key] ?? [] {
      switch step.action {
      case .attach, .detach, .reattach, .move: return .planned(step.action)
      case .repair where step.reason == name: return .planned(.repair)
      default: continue
      }
    }
    return .left(.notOwned)
  }
}
