package import Model
package import Planning
package import Ports
import XenProtocol

/// How an apply goes about its work.
package struct ApplyOptions: Sendable {
  /// How long one taking of the userdata lock may last.
  package var lockTimeout: Duration
  /// How long a guest may take to answer one round.
  package var waitTimeout: Duration
  /// Look again after another toolstack's longest wait, also where none was seen at work.
  package var audits: Bool
  /// Domains worked on at the same time.
  package var workers: Int

  package init(
    lockTimeout: Duration = .seconds(10), waitTimeout: Duration = .seconds(10), audits: Bool = false, workers: Int = 16
  ) {
    self.lockTimeout = lockTimeout
    self.waitTimeout = waitTimeout
    self.audits = audits
    self.workers = workers
  }
}

/// Carries out plans, under run locks that the caller holds.
package struct Executor: Sendable {
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

  /// Carries out `plan`: domains side by side, the devices of one domain in one round.
  ///
  /// Every decision is taken again on what is read inside the transaction that writes; the plan only says what to
  /// try. A refused plan is not touched.
  package func apply(_ plan: Plan) -> ApplyOutcome {
    guard plan.refusal == nil else { return ApplyOutcome() }
    let schedule = makeSchedule(plan)
    host.ownership.sweep()
    host.intents.sweep()
    var result = ApplyOutcome()
    (result.hostRepairs, result.hostFailures) = HostRepairs(host: host).apply(schedule)
    // A device that moves is attached only when its old domain has let go of it: those domains come last, with all
    // their attaches, so that each still has one round.
    let first = concurrently(schedule.domains, workers: options.workers) { work in
      let outcome = run(work) { (worker) throws(Stop) in try worker.begin(work) }
      if !work.waitsForOthers { end(work, outcome) }
      return outcome
    }
    let given = Set(
      first.flatMap(\.steps).filter { $0.action == .detach && $0.result == .done }.map(\.device))
    // Of a device to reattach nothing is concluded where the guest has let it go.
    let kept = Set(first.flatMap(\.steps).filter { $0.action == .reattach }.map(\.device))
    let stopped = Set(first.filter { $0.failure != nil }.compactMap(\.id))
    let second = concurrently(schedule.waiting, workers: options.workers) { work in
      let kept = stopped.contains(work.target.key.id) ? kept.union(work.reattachments.map(\.device)) : kept
      let outcome = run(work) { (worker) throws(Stop) in try worker.completeMoves(work, given: given, besides: kept) }
      end(work, outcome)
      return outcome
    }
    result.domains = (first + second).mergedByDomain()
    result.wasInterrupted = host.isInterrupted()
    return result
  }

  private func end(_ work: DomainWork, _ outcome: DomainOutcome) {
    report(.domainEnded(work.target.eventDomain, outcome.failure))
    ended(work.target.key.uuid)
  }

  private func run(_ work: DomainWork, _ body: (DomainWorker) throws(Stop) -> Void) -> DomainOutcome {
    let target = work.target
    let store: any StorePort
    do throws(HostError) { store = try host.stores.connect() } catch {
      return DomainOutcome(
        name: target.name, id: target.key.id, uuid: target.key.uuid, failure: OutcomeDetail(error))
    }
    report(.domainBegan(target.eventDomain, work.steps))
    let worker = DomainWorker(
      host: host, store: store, options: options, key: target.key, name: target.name, route: target.route,
      mode: target.mode, known: work.known, report: report)
    do throws(Stop) {
      try body(worker)
      try worker.discardSettledIntents()
    } catch {
      worker.outcome.failure = worker.describe(error)
      worker.outcome.isLockBusy = error.isLockBusy
    }
    for step in worker.outcome.steps {
      report(.stepEnded(target.eventDomain, work.step(of: step.device, step.action), step))
    }
    return worker.outcome
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

extension DomainWorker {
  /// Everything but the attaches that wait for a moved device: removals, mending, then additions.
  func begin(_ work: DomainWork) throws(Stop) {
    try adopt(work.adoptions)
    try repair(work.repairs)
    let additions = work.additions + work.reattachments.map(\.addition) + work.arrivals
    try detach(work.removals + work.reattachments.map(\.removal), keepsBus: !additions.isEmpty)
    guard !work.waitsForOthers else { return }
    try attach(work.additions + returned(work.reattachments.map(\.addition)))
    try closeBusKeptInVain(work)
  }

  /// Closes a bus that was left standing, empty, for attaches which came to nothing: libxl cannot use one.
  private func closeBusKeptInVain(_ work: DomainWork) throws(Stop) {
    guard !work.removals.isEmpty || !work.reattachments.isEmpty else { return }
    guard try look().backEnd.count == .number(0) else { return }
    try closeEmptyBus()
  }

  /// Those of the devices to reattach that this run has detached: nothing is concluded of their reattaching yet. What was
  /// mended of them before is another matter.
  private func returned(_ steps: [Addition]) -> [Addition] {
    steps.filter { step in !outcome.steps.contains { $0.device == step.device && $0.action == step.kind } }
  }

  /// The attaches of a domain that gets a moved device.
  func completeMoves(_ work: DomainWork, given: Set<PCIAddress>, besides kept: Set<PCIAddress>) throws(Stop) {
    let arrived = work.arrivals.filter { given.contains($0.device) }
    let missing = work.arrivals.filter { !given.contains($0.device) }
    conclude(missing, .pending, "its old domain has not let go of it")
    let listed = Set(try look().backEnd.entries.compactMap(\.device))
    let returned = work.reattachments.map(\.addition)
      .filter { !listed.contains($0.device) && !kept.contains($0.device) }
    try attach(work.additions + returned + arrived)
    try closeBusKeptInVain(work)
  }
}
