import Model
import XenProtocol

extension DriftFinder {
  func drift(_ name: DriftName, _ device: PCIAddress, in guest: Guest, _ evidence: String) -> Drift {
    let outcome = outcome(of: name, device, in: guest)
    let remedy: String? =
      switch outcome {
      case .left(.obstacle(.notOnPCIBack)), .left(.drift(.notOnPCIBack)):
        planner.remedy(forTaking: device, orDetachingFrom: guest)
      case .left(.obstacle(.notAssignable)): planner.remedy(forTaking: device)
      case .left, .planned, .removed, .atWork: nil
      }
    return Drift(
      name: name, domain: guest.holder, device: device, evidence: evidence, outcome: outcome, remedy: remedy)
  }

  /// What the plan does about a device's drift in a domain, or what keeps it from doing anything.
  private func outcome(of name: DriftName, _ device: PCIAddress, in guest: Guest) -> DriftOutcome {
    if planner.index.announced[guest.key]?.contains(device) == true { return .atWork }
    let steps = steps.steps(in: guest.key, of: device)
    if let repair = steps.lazy.compactMap({ $0.change?.kind(repairing: name) }).first { return planned(repair) }
    if name == .recordOnly, self.steps.bookkeeping.contains(.forget(guest.uuid, device)) { return removed() }
    if name == .leftoverIntent, isDiscarded(device, of: guest.key) { return removed() }
    if let obstacle = steps.lazy.compactMap(\.kind.obstruction).first { return .left(obstacle) }
    if let reason = guest.wait.map(Reason.wait) ?? guest.obstruction.map({ .obstacle($0.obstacle) }) {
      return .left(reason)
    }
    if steps.contains(where: { $0.kind == .drift(name) }) { return .left(.drift(name)) }
    // Berth repairs only what is declared or its own.
    return .left(planner.isDeclared(device, for: guest) ? .drift(name) : .change(.notOwned))
  }

  private func isDiscarded(_ device: PCIAddress, of domain: DomainKey) -> Bool {
    planner.observation.intents.contains { intent in
      intent.domain == domain && intent.devices.contains(device) && isDiscarded(intent)
    }
  }

  func isDiscarded(_ intent: Intent) -> Bool {
    steps.bookkeeping.contains(.discard(intent: intent.identifier))
      || intent.devices.contains { steps.bookkeeping.contains(.bind($0, intent: intent.identifier)) }
  }

  func outcome(of drift: HostDrift) -> DriftOutcome {
    plan.hostSteps.contains { $0.isChange && $0.drift == drift } ? removed() : .left(.drift(drift.name))
  }

  /// Returns the change as planned. Nothing of a refused plan is applied.
  private func planned(_ change: ChangeKind) -> DriftOutcome {
    plan.refusal.map { .left(.refusal($0.name)) } ?? .planned(change)
  }

  func removed() -> DriftOutcome { plan.refusal.map { .left(.refusal($0.name)) } ?? .removed }

  /// What is wrong with a domain's stores as a whole.
  func domainDrifts() -> [Drift] {
    var drifts: [Drift] = []
    for guest in guests {
      if case .corrupt(let what) = guest.saved { drifts.append(drift(.corruptSavedConfiguration, in: guest, what)) }
      if let evidence = guest.observed.keptText { drifts.append(drift(.crashedAndKept, in: guest, evidence)) }
      if guest.observed.runsWithoutConfiguration {
        drifts.append(drift(.runningWithoutConfiguration, in: guest, ObservedDomain.noConfiguration))
      }
      if let (name, evidence) = busDrift(of: guest) { drifts.append(drift(name, in: guest, evidence)) }
    }
    for backEnd in planner.observation.leftoverBackEnds
    where (backEnd.entries + backEnd.orphans).allSatisfy({ $0.device == nil }) {
      drifts.append(
        Drift(
          name: .leakedBackEnd, domain: Holder(id: backEnd.domain, name: nil),
          evidence: "domain \(backEnd.domain) is gone, but its back end is still there",
          outcome: outcome(of: .leakedBackEnd(of: backEnd.domain))))
    }
    return drifts
  }

  private func busDrift(of guest: Guest) -> (DriftName, String)? {
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
          ? "no back end in xenstore, but dom0's kernel still has pci-\(bus.domain)-0"
          : "no back end in xenstore, but the front end is still there"
      )
    case .holding where bus.isUnsettled: return (.busUnsettled, states)
    case .absent, .connecting, .holding, .connected, .settling, .round, .closing, .halfRemoved, nil: break
    }
    if let stray = bus.orphans.first(where: { $0.device == nil }) {
      return (.orphanEntry, "the nodes of entry \(stray.index) are at or above num_devs and name no device")
    }
    return nil
  }

  private func drift(_ name: DriftName, in guest: Guest, _ evidence: String) -> Drift {
    Drift(name: name, domain: guest.holder, evidence: evidence, outcome: domainOutcome(of: name, in: guest))
  }

  private func domainOutcome(of name: DriftName, in guest: Guest) -> DriftOutcome {
    if [.corruptBackEnd, .corruptSavedConfiguration, .crashedAndKept, .runningWithoutConfiguration].contains(name) {
      return .left(.drift(name))
    }
    if planner.index.announced[guest.key] != nil { return .atWork }
    // What is damaged stays so when the domain can take changes again.
    if let reason = guest.obstruction.map({ .obstacle($0.obstacle) }) ?? guest.wait.map(Reason.wait) {
      return .left(reason)
    }
    let own = steps.domains[guest.key] ?? []
    if own.contains(where: { $0.kind == .drift(name) }) { return .left(.drift(name)) }
    let changes = own.lazy.compactMap(\.change)
    return changes.compactMap { $0.kind(repairing: name) }.first.map(planned) ?? .left(.change(.notOwned))
  }
}

extension Change {
  /// The word for this change if the drift is gone after it; otherwise nil.
  fileprivate func kind(repairing name: DriftName) -> ChangeKind? {
    switch self {
    // The device is put in place or taken away as a whole, and with it everything that is wrong with it.
    case .attach, .detach, .reattach, .move: kind
    case .repair(let repair): repair.drift == name ? kind : nil
    case .adopt: nil
    }
  }
}

extension DeviceStep.Kind {
  /// What keeps a change from being made.
  fileprivate var obstruction: Reason? {
    switch self {
    case .blocked(let obstacle): .obstacle(obstacle)
    case .pending(let wait): .wait(wait)
    case .change, .unchanged, .kept, .foreign, .drift: nil
    }
  }
}
