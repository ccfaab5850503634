package import Model
package import Planning
package import Ports

/// A plan that was shown to a person or written to a log, with its inputs.
package struct ShownPlan: Sendable {
  package var plan: Plan
  package var desired: DesiredState
  /// The run locks when the host was looked at.
  package var runs: [DomainUUID: RunMark]
  /// Whether a change is made only for the same facts: the domain's number, and what the device is. It is so if a person
  /// agreed to the plan long before it is applied.
  package var isExact: Bool

  package init(plan: Plan, desired: DesiredState, runs: [DomainUUID: RunMark], isExact: Bool = false) {
    self.isExact = isExact
    self.plan = plan
    self.desired = desired
    self.runs = runs
  }
}

/// The result of a run, and the plan that the run made under its locks and carried out.
package struct AppliedPlan: Sendable {
  /// Names the run; its events have the same name.
  package var run: RunID
  package var plan: Plan
  package var outcome: ApplyOutcome

  package init(run: RunID = .random(), plan: Plan, outcome: ApplyOutcome) {
    self.run = run
    self.plan = plan
    self.outcome = outcome
  }
}

/// One run: it locks its domains against other runs of Berth, looks again, and does what is needed and was shown.
///
/// ```
/// lock each domain, in order of UUID ─► look, plan again ─► compare with what was shown ─► ScheduleRunner
///                                                                release each domain when its work is over
/// ```
///
/// For any number of such runs there is an order in which each report is true: that in which the runs had all their
/// locks. A run takes no lock after its look, and what it reports of a domain it saw or did under that domain's lock.
package struct PlanRunner: Sendable {
  private let host: Host
  private let options: ApplyOptions
  private let run: RunID
  private let report: @Sendable (RunEvent.Kind) -> Void

  /// `report` gets the events of the run as they happen, from several threads.
  package init(
    host: Host, options: ApplyOptions, run: RunID = .random(), report: @escaping @Sendable (RunEvent) -> Void
  ) {
    self.host = host
    self.options = options
    self.run = run
    self.report = { report(RunEvent(run: run, kind: $0)) }
  }

  /// Carries out `shown`. Throws if the host cannot be looked at again: then nothing was changed.
  package func apply(_ shown: ShownPlan) throws(HostError) -> AppliedPlan {
    let plan = shown.plan
    guard plan.refusal == nil else { return AppliedPlan(run: run, plan: plan, outcome: ApplyOutcome()) }
    if !plan.hasChanges, plan.bookkeeping.isEmpty, try isStillTrue(shown) {
      return AppliedPlan(run: run, plan: plan, outcome: ApplyOutcome())
    }
    let taking = RunLocks.take(
      shown.domains, on: host, until: .now + options.lockTimeout, report: report)
    if taking.wasInterrupted { return AppliedPlan(run: run, plan: plan, outcome: ApplyOutcome(wasInterrupted: true)) }

    let observation = try Observer(host: host).observe(desired: shown.desired)
    let index = ObservationIndex(observation)
    let fresh = makePlan(desired: shown.desired, index: index)
    guard fresh.refusal == nil else { return AppliedPlan(run: run, plan: fresh, outcome: ApplyOutcome()) }
    let agreement = agree(
      on: plan, fresh: fresh, index: index, locked: taking.locked, isExact: shown.isExact)
    let work = agreement.plan.restricted(to: taking.locked)
    for domain in taking.locked.subtracting(work.changedDomains.keys) { taking.locks.release(domain) }

    var options = options
    options.set = shown.desired.set
    options.loadsModules = shown.desired.policy.loadsModules
    let runner = ScheduleRunner(host: host, options: options, ended: { taking.locks.release($0) }, report: report)
    report(.runBegan(work.steps.filter(\.isChange).map(\.id)))
    var outcome = runner.apply(work)
    outcome.domains = (outcome.domains + agreement.settled + taking.refused).mergedByDomain()
    outcome.notShown = agreement.notShown
    outcome.unshownDrivers = agreement.unshownDrivers
    report(.runEnded)
    host.runLocks.sweep(keeping: Set(observation.domains.map(\.uuid)))
    return AppliedPlan(run: run, plan: agreement.plan, outcome: outcome)
  }

  /// Whether no other run was at work on the plan's domains since before the host was looked at.
  private func isStillTrue(_ shown: ShownPlan) throws(HostError) -> Bool {
    let now = try host.runLocks.marks()
    return shown.domains.map(\.key.uuid).allSatisfy { domain in
      now[domain] == shown.runs[domain] && now[domain]?.isHeld != true
    }
  }
}

extension ShownPlan {
  /// The living domains on which the run reports: the declared ones, and those that the plan changes.
  fileprivate var domains: [RunDomain] {
    let declared = Set(desired.domains.map(\.name))
    var domains = plan.changedDomains
    for domain in plan.domains where declared.contains(domain.name) {
      if let id = domain.id, let uuid = domain.uuid {
        domains[uuid] = RunDomain(key: DomainKey(id: id, uuid: uuid), name: domain.name)
      }
    }
    return Array(domains.values)
  }
}

extension Plan {
  /// The living domains that the plan changes; those that it takes devices from are among them.
  fileprivate var changedDomains: [DomainUUID: RunDomain] {
    var changed: [DomainUUID: RunDomain] = [:]
    for step in steps {
      guard case .change(let change, let target) = step.kind else { continue }
      changed[target.key.uuid] = RunDomain(key: target.key, name: target.name)
      if case .move(let source, _) = change {
        changed[source.key.uuid] = RunDomain(key: source.key, name: source.name)
      }
    }
    return changed
  }

  /// The plan without the steps of domains that are not `locked`.
  fileprivate func restricted(to locked: Set<DomainUUID>) -> Plan {
    var plan = self
    plan.domains.removeAll { domain in domain.uuid.map { !locked.contains($0) } ?? true }
    return plan
  }
}
