package import Core

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
  private let report: @Sendable (ApplyEvent) -> Void

  /// `ended` is called when the work on a domain is over.
  package init(
    host: Host, options: ApplyOptions, ended: @escaping @Sendable (DomainUUID) -> Void = { _ in },
    report: @escaping @Sendable (ApplyEvent) -> Void
  ) {
    self.host = host
    self.options = options
    self.ended = ended
    self.report = report
  }

  /// Carries out `plan`: domains side by side, the devices of one domain in one round.
  ///
  /// Every decision is taken again on what is read inside the transaction that writes; the plan only says what to
  /// try. A refused plan (`Plan.isRefused`) is not touched.
  package func apply(_ plan: Plan) -> ApplyOutcome {
    guard !plan.isRefused else { return ApplyOutcome() }
    host.ownership.sweep()
    host.intents.sweep()
    var result = ApplyOutcome()
    (result.hostRepairs, result.hostFailures) = HostRepairs(host: host).apply(plan)
    let jobs = DomainJob.jobs(of: plan)
    // A device that moves is attached only when its old domain has let go of it: those domains come last, with all
    // their attaches, so that each still has one round.
    let first = concurrently(jobs, workers: options.workers) { job in
      defer { if !job.awaitsMoves { ended(job.key.uuid) } }
      return run(job) { (worker) throws(Stop) in try worker.begin(job) }
    }
    let given = Set(
      first.flatMap(\.steps).filter { $0.action == .detach && $0.result == .done }.map(\.device))
    // Of a device to reattach nothing is concluded where the guest has let it go.
    let kept = Set(first.flatMap(\.steps).filter { $0.action == .reattach }.map(\.device))
    let stopped = Set(first.filter { $0.failure != nil }.compactMap(\.id))
    let second = concurrently(jobs.filter(\.awaitsMoves), workers: options.workers) { job in
      defer { ended(job.key.uuid) }
      let kept = stopped.contains(job.key.id) ? kept.union(job.reattaches.map(\.device)) : kept
      return run(job) { (worker) throws(Stop) in try worker.completeMoves(job, given: given, besides: kept) }
    }
    result.domains = (first + second).mergedByDomain()
    for domain in result.domains { report(.finished(domain)) }
    result.wasInterrupted = host.isInterrupted()
    return result
  }

  private func run(_ job: DomainJob, _ body: (DomainWorker) throws(Stop) -> Void) -> DomainOutcome {
    let store: any StorePort
    do throws(HostError) { store = try host.stores.connect() } catch {
      return DomainOutcome(
        name: job.name, id: job.key.id, uuid: job.key.uuid, failure: OutcomeDetail(error))
    }
    let worker = DomainWorker(
      host: host, store: store, options: options, key: job.key, name: job.name, route: job.route,
      mode: job.mode, known: job.known,
      report: report)
    if !job.isEmpty { report(.began(domain: job.name, devices: job.deviceCount)) }
    do throws(Stop) {
      try body(worker)
      try worker.discardSettledIntents()
    } catch {
      worker.outcome.failure = worker.describe(error)
      worker.outcome.isLockBusy = error.isLockBusy
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

/// The steps of one domain, sorted into the order they are done in.
struct DomainJob: Sendable {
  var name: String
  var key: DomainKey
  var route: DeviceRoute
  var mode: PlannedStep.Mode
  var detaches: [PlannedStep] = []
  var reattaches: [PlannedStep] = []
  var attaches: [PlannedStep] = []
  var moves: [PlannedStep] = []
  var repairs: [PlannedStep] = []
  var adoptions: [PlannedStep] = []
  /// Devices the plan saw in the domain.
  var known: Set<PCIAddress> = []

  var awaitsMoves: Bool { !moves.isEmpty }
  var deviceCount: Int { detaches.count + reattaches.count + attaches.count + moves.count }
  var isEmpty: Bool { deviceCount == 0 }

  /// One job for each domain that something is done to, also for one that only loses a moved device.
  static func jobs(of plan: Plan) -> [DomainJob] {
    var jobs: [DomainJob] = []
    func index(_ name: String, _ key: DomainKey, _ route: DeviceRoute?, _ mode: PlannedStep.Mode) -> Int {
      if let index = jobs.firstIndex(where: { $0.key == key }) { return index }
      jobs.append(DomainJob(name: name, key: key, route: route ?? .frontEnd, mode: mode))
      return jobs.count - 1
    }
    for domain in plan.domains {
      guard let id = domain.id, let uuid = domain.uuid, domain.steps.contains(where: \.action.isChange) else {
        continue
      }
      let key = DomainKey(id: id, uuid: uuid)
      let own = index(domain.name, key, domain.route, domain.lifecycle == .cold ? .cold : .hot)
      for step in domain.steps {
        if step.before != nil { jobs[own].known.insert(step.device) }
        switch step.action {
        case .attach: jobs[own].attaches.append(step)
        case .detach: jobs[own].detaches.append(step)
        case .reattach: jobs[own].reattaches.append(step)
        case .repair: jobs[own].repairs.append(step)
        case .adopt: jobs[own].adoptions.append(step)
        case .move:
          jobs[own].moves.append(step)
          guard let source = step.source else { continue }
          var leaving = step
          leaving.action = .detach
          let from = index(step.from ?? "", source, step.sourceRoute, step.sourceMode ?? .hot)
          jobs[from].detaches.append(leaving)
          jobs[from].known.insert(step.device)
        case .keep, .foreign, .blocked, .pending, .drift: continue
        }
      }
    }
    return jobs
  }
}

extension DomainWorker {
  /// Everything but the attaches that wait for a moved device: removals, mending, then additions.
  func begin(_ job: DomainJob) throws(Stop) {
    try adopt(job.adoptions)
    try repair(job.repairs)
    let additions = job.attaches + job.reattaches + job.moves
    try detach(job.detaches + job.reattaches, keepsBus: !additions.isEmpty)
    guard !job.awaitsMoves else { return }
    try attach(job.attaches + returned(job.reattaches))
    try closeBusKeptInVain(job)
  }

  /// Closes a bus that was left standing, empty, for attaches which came to nothing: libxl cannot use one.
  private func closeBusKeptInVain(_ job: DomainJob) throws(Stop) {
    guard !job.detaches.isEmpty || !job.reattaches.isEmpty else { return }
    guard try look().backEnd.count == .number(0) else { return }
    try closeEmptyBus()
  }

  /// Those of the devices to reattach that this run has detached: nothing is concluded of their reattaching yet. What was
  /// mended of them before is another matter.
  private func returned(_ steps: [PlannedStep]) -> [PlannedStep] {
    steps.filter { step in !outcome.steps.contains { $0.device == step.device && $0.action == step.action } }
  }

  /// The attaches of a domain that gets a moved device.
  func completeMoves(_ job: DomainJob, given: Set<PCIAddress>, besides kept: Set<PCIAddress>) throws(Stop) {
    let arrived = job.moves.filter { given.contains($0.device) }
    let missing = job.moves.filter { !given.contains($0.device) }
    conclude(missing, .pending, "its old domain has not let go of it")
    let listed = Set(try look().backEnd.entries.compactMap(\.device))
    let returned = job.reattaches.filter { !listed.contains($0.device) && !kept.contains($0.device) }
    try attach(job.attaches + returned + arrived)
    try closeBusKeptInVain(job)
  }
}
