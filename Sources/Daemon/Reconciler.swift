package import Model
package import Planning
package import Reconciling

/// Decides after each look what the daemon applies, and how each domain stands.
///
/// It is pure: it knows neither a clock nor a host, so that a simulated week takes a second. It is level-based, too: what
/// it decides follows from the look, and from what the daemon itself did before.
package struct Reconciler: Sendable {
  /// What one look at the host saw.
  package struct Look: Sendable {
    package var shown: ShownPlan
    /// The domains that live, without dom0.
    package var living: Set<DomainKey>
    /// The devices that Berth's records have, per domain.
    package var owned: [DomainUUID: Set<PCIAddress>]

    /// Plans for what was observed.
    package init(_ observation: Observation, _ desired: DesiredState) {
      self.init(
        shown: ShownPlan(
          plan: makePlan(desired: desired, observation: observation), desired: desired, runs: observation.runs),
        living: Set(observation.domains.map(\.key)),
        owned: Dictionary(observation.records.map { ($0.uuid, Set($0.devices)) }, uniquingKeysWith: { one, _ in one }))
    }

    package init(shown: ShownPlan, living: Set<DomainKey>, owned: [DomainUUID: Set<PCIAddress>]) {
      (self.shown, self.living, self.owned) = (shown, living, owned)
    }
  }

  /// What is to be done after a look.
  package struct Decision: Sendable {
    /// What may be applied; nil if nothing is to be done.
    package var consent: ShownPlan?
    /// Why nothing of the plan may be applied; nil if nothing forbids it.
    package var refusal: PlanRefusal?
    package var standings: [DomainStanding]
  }

  /// What can fail, and then waits.
  package enum Work: Hashable, Sendable {
    case domain(DomainUUID)
    /// A step about the driver of a device.
    case driver(PCIAddress)
    /// The repair of what belongs to no living domain.
    case host
  }

  package let mode: Mode
  private var backoff: Backoff<Work>
  private var breaker: ChangeBreaker
  private var newcomers = Newcomers()

  package init(mode: Mode, backoff: Backoff<Work> = Backoff(), breaker: ChangeBreaker = ChangeBreaker()) {
    (self.mode, self.backoff, self.breaker) = (mode, backoff, breaker)
  }

  /// The changes that are stopped because they came back too often, with the number of times that each was made.
  package var stopped: [RepeatedChange: Int] { breaker.stopped }

  /// Returns when something that failed may be tried again; nil if nothing waits.
  package func nextWake(after now: Moment) -> Moment? { backoff.nextWake(after: now) }

  /// Begins with other manifests: what failed before, or was undone, may be tried again.
  package mutating func manifestsChanged() {
    newcomers.settle()
    breaker.reset()
    backoff.release()
  }

  /// Does what a person asks for: what failed, or was stopped, is tried at once.
  package mutating func requested() {
    breaker.reset()
    backoff.release()
  }

  /// Returns what is to be done after a look.
  package mutating func decide(_ look: Look, at now: Moment) -> Decision {
    newcomers.see(look.living)
    breaker.keep(only: look.living, at: now)
    backoff.keep(
      only: Set(look.living.map { .domain($0.uuid) } + look.shown.plan.driverSteps.map { .driver($0.device) } + [.host])
    )
    let facts = HealFacts(owned: look.owned, newcomers: newcomers.keys)
    var consent = look.shown
    var standings: [DomainStanding] = []
    for position in consent.plan.domains.indices {
      let domain = consent.plan.domains[position]
      consent.plan.domains[position].steps.removeAll { $0.isChange && !mayMake($0, facts, at: now) }
      standings.append(
        standing(of: domain, hasWork: consent.plan.domains[position].steps.contains(where: \.isChange), at: now))
    }
    consent.plan.driverSteps.removeAll { !mode.permits($0) || !backoff.mayTry(.driver($0.device), at: now) }
    if !mode.permitsHostRepairs || !backoff.mayTry(.host, at: now) {
      consent.plan.hostSteps.removeAll(where: \.isChange)
    }
    let mayApply = mode != .observe && consent.plan.refusal == nil && consent.plan.hasChanges
    return Decision(consent: mayApply ? consent : nil, refusal: consent.plan.refusal, standings: standings)
  }

  /// Records what became of an apply. What is not as planned now waits before it is tried again, whatever the reason is:
  /// otherwise the look after the apply would lead to the same apply at once.
  package mutating func record(_ applied: AppliedPlan, at now: Moment) {
    func note(_ work: Work, isDone: Bool) {
      if isDone { backoff.succeeded(work) } else { backoff.failed(work, at: now) }
    }
    for driver in applied.outcome.drivers {
      note(.driver(driver.step.device), isDone: driver.result == .done || driver.result == .unchanged)
    }
    note(.host, isDone: applied.outcome.hostFailures.isEmpty)
    for domain in applied.outcome.domains {
      guard let uuid = domain.uuid else { continue }
      let isDone =
        domain.failure == nil && !domain.isLockBusy
        && domain.steps.allSatisfy { $0.result == .done || $0.result == .unchanged }
      note(.domain(uuid), isDone: isDone)
      guard let id = domain.id else { continue }
      for step in domain.steps where step.result == .done && step.action != .adopt {
        let change = RepeatedChange(
          domain: DomainKey(id: id, uuid: uuid), device: step.device, kind: step.action)
        _ = breaker.note(change, at: now)
      }
    }
  }
}

extension Reconciler {
  private func mayMake(_ step: DeviceStep, _ facts: HealFacts, at now: Moment) -> Bool {
    guard mode.permits(step, facts), case .change(let change, let target) = step.kind else { return false }
    var domains = [target.key]
    if case .move(let source, _) = change { domains.append(source.key) }
    return domains.allSatisfy { backoff.mayTry(.domain($0.uuid), at: now) }
      && !breaker.isStopped(RepeatedChange(domain: target.key, device: step.device, kind: change.kind))
  }

  /// Returns how a domain stands: the first of these that holds.
  private func standing(of domain: DomainPlan, hasWork: Bool, at now: Moment) -> DomainStanding {
    let state: DomainStanding.State
    let fights = domain.id.flatMap { id in
      domain.uuid.map { uuid in breaker.stopped.filter { $0.key.domain == DomainKey(id: id, uuid: uuid) } }
    }
    if let fights, !fights.isEmpty {
      state = .fighting(fights)
    } else if let uuid = domain.uuid, !backoff.mayTry(.domain(uuid), at: now), let next = backoff.next(.domain(uuid)) {
      state = .backingOff(until: next, failures: backoff.failures(.domain(uuid)))
    } else if hasWork {
      state = .reconciling
    } else if let step = domain.steps.first(where: \.countsAsBlocked) {
      state = .blocked(step.device, step.reason)
    } else if let step = domain.unresolved.first(where: \.countsAsBlocked) {
      state = .blocked(nil, .obstacle(step.obstacle))
    } else if domain.steps.contains(where: \.isChange) {
      state = .differing(domain.steps.count(where: \.isChange))
    } else if let wait = domain.steps.firstWait {
      state = .waiting(wait)
    } else {
      state = .inSync
    }
    return DomainStanding(name: domain.name, uuid: domain.uuid, id: domain.id, state: state)
  }
}

extension [DeviceStep] {
  /// What the first step that waits waits for; nil if none waits.
  fileprivate var firstWait: Wait? {
    for case .pending(let wait) in map(\.kind) { return wait }
    return nil
  }
}

/// Which domains came while the manifests were the present ones.
private struct Newcomers: Sendable {
  private(set) var keys: Set<DomainKey> = []
  private var seen: Set<DomainKey> = []
  private var isBegun = false

  /// Records the domains that live. Those of the first look were there before.
  mutating func see(_ living: Set<DomainKey>) {
    if isBegun { keys.formUnion(living.subtracting(seen)) }
    keys.formIntersection(living)
    (seen, isBegun) = (living, true)
  }

  /// Takes all domains for such that were there before.
  mutating func settle() { keys = [] }
}
