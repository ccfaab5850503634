package import Model
package import Planning
package import Ports

/// Carries out plans, under run locks that the caller holds.
package struct ScheduleRunner: Sendable {
  private let host: Host
  private let options: ApplyOptions
  private let ended: @Sendable (DomainUUID) -> Void
  private let report: @Sendable (RunEvent.Kind) -> Void

  /// `ended` is called when the work on a domain is over.
  package init(
    host: Host, options: ApplyOptions, ended: @escaping @Sendable (DomainUUID) -> Void = { _ in },
    report: @escaping @Sendable (RunEvent.Kind) -> Void
  ) {
    self.host = host
    self.options = options
    self.ended = ended
    self.report = report
  }

  /// Carries out `plan`: domains side by side, the devices of one domain in one round. Returns what became of it.
  ///
  /// Every decision is taken again on what is read inside the transaction that writes; the plan only says what to
  /// try. A refused plan is not touched.
  package func apply(_ plan: Plan) -> ApplyOutcome {
    guard plan.refusal == nil else { return ApplyOutcome() }
    var schedule = makeSchedule(plan)
    host.ownership.sweep()
    host.intents.sweep()
    var result = ApplyOutcome()
    (result.hostRepairs, result.hostFailures) = HostRepairs(host: host, lockTimeout: options.lockTimeout).apply(
      schedule)
    let drivers = DriverRun(host: host, options: options, report: report)
    result.drivers = drivers.apply(schedule.preparations)
    schedule = schedule.holdingBack(result.drivers.stoppedCards)
    // A device that moves is attached only when its old domain has released it. So the domains that receive one come
    // last, with all their attaches: each still has one round.
    let first = concurrently(schedule.domains, workers: options.workers) { work in
      var outcome = run(work) { (run) throws(EngineError) in try run.begin(work) }
      for held in work.heldBack {
        outcome.steps.append(held.outcome)
        report(.stepEnded(work.target.eventDomain, work.step(of: held.outcome), held.outcome))
      }
      if !work.waitsForOthers { end(work, outcome) }
      return outcome
    }
    let given = Set(
      first.flatMap(\.steps).filter { $0.action == .detach && $0.result == .done }.map(\.device))
    // Nothing is concluded of a device to reattach if the guest has released it.
    let kept = Set(first.flatMap(\.steps).filter { $0.action == .reattach }.map(\.device))
    let stopped = Set(first.filter { $0.failure != nil }.compactMap(\.id))
    let second = concurrently(schedule.waiting, workers: options.workers) { work in
      let kept = stopped.contains(work.target.key.id) ? kept.union(work.reattachments.map(\.device)) : kept
      let outcome = run(work) { (run) throws(EngineError) in
        try run.completeMoves(work, given: given, besides: kept)
      }
      end(work, outcome)
      return outcome
    }
    result.domains = (first + second).mergedByDomain()
    result.drivers += drivers.apply(schedule.releases)
    result.wasInterrupted = host.isInterrupted()
    return result
  }

  private func end(_ work: DomainWork, _ outcome: DomainOutcome) {
    report(.domainEnded(work.target.eventDomain, outcome.failure))
    ended(work.target.key.uuid)
  }

  private func run(_ work: DomainWork, _ body: (DomainRun) throws(EngineError) -> Void) -> DomainOutcome {
    let target = work.target
    let store: any StorePort
    do throws(HostError) { store = try host.stores.connect() } catch {
      return DomainOutcome(
        name: target.name, id: target.key.id, uuid: target.key.uuid, failure: OutcomeDetail(error))
    }
    let session = DomainSession(host: host, store: store, options: options, target: target)
    report(.domainBegan(target.eventDomain, work.steps))
    let outcome = DomainRun(session, known: work.known, announce: report).outcome(of: body)
    for step in outcome.steps {
      report(.stepEnded(target.eventDomain, work.step(of: step), step))
    }
    return outcome
  }
}

extension [DomainOutcome] {
  /// Returns one outcome per domain, in order of first appearance. Domains without a result are omitted.
  func mergedByDomain() -> [DomainOutcome] {
    var merged: [DomainOutcome] = []
    for outcome in self {
      guard let index = merged.firstIndex(where: { $0.id == outcome.id && $0.uuid == outcome.uuid }) else {
        merged.append(outcome)
        continue
      }
      merged[index].steps += outcome.steps
      merged[index].failure = merged[index].failure ?? outcome.failure
      merged[index].isLockBusy = merged[index].isLockBusy || outcome.isLockBusy
      merged[index].readopted += outcome.readopted
      merged[index].rounds += outcome.rounds
      merged[index].longestLockMicroseconds = Swift.max(
        merged[index].longestLockMicroseconds, outcome.longestLockMicroseconds)
    }
    return merged.filter { !$0.steps.isEmpty || $0.failure != nil }
  }
}
