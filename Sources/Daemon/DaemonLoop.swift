package import Model
package import Ports
package import Reconciling

/// What the loop asks of the world. The executable joins it with a host; tests join it with a model.
package struct DaemonWorld: Sendable {
  /// Why a host does not answer.
  package typealias Failure = HostError

  /// How a wait ended.
  package enum Waited: Hashable, Sendable {
    case triggers(Set<Trigger>)
    case timedOut
    /// The daemon is asked to stop.
    case stopping
  }

  /// Returns the moment on the daemon's clock.
  package var now: @Sendable () -> Moment
  /// Waits for triggers, until a moment at the latest; without one, for ever.
  package var wait: @Sendable (_ until: Moment?) -> Waited
  /// Reads the manifests. Returns nil if they are not valid; the reason was said then.
  package var readManifests: @Sendable () -> DesiredState?
  package var look: @Sendable (DesiredState) throws(Failure) -> Reconciler.Look
  package var apply: @Sendable (ShownPlan) throws(Failure) -> AppliedPlan
  /// Tells everybody how the daemon stands.
  package var publish: @Sendable (DaemonStatus) -> Void

  package init(
    now: @escaping @Sendable () -> Moment, wait: @escaping @Sendable (_ until: Moment?) -> Waited,
    readManifests: @escaping @Sendable () -> DesiredState?,
    look: @escaping @Sendable (DesiredState) throws(Failure) -> Reconciler.Look,
    apply: @escaping @Sendable (ShownPlan) throws(Failure) -> AppliedPlan,
    publish: @escaping @Sendable (DaemonStatus) -> Void
  ) {
    self.now = now
    self.wait = wait
    self.readManifests = readManifests
    self.look = look
    self.apply = apply
    self.publish = publish
  }
}

/// The daemon: it waits for triggers, looks at the host, and applies what its mode permits.
///
/// ```
/// wait ─► collect triggers ─► read manifests if they may have changed ─► look ─► decide ─► apply ─► record ─► publish
///   ▲                                                                                                            │
///   └────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
/// ```
package struct DaemonLoop {
  /// How long the daemon trusts its triggers: then it looks without one.
  package static let usualInterval = Duration.seconds(300)

  private let world: DaemonWorld
  private let interval: Duration
  private var queue: TriggerQueue
  private var reconciler: Reconciler
  private var manifests = Manifests()
  private var view: View

  /// The manifests that count.
  private struct Manifests {
    /// The last good ones; nil if there were none.
    var desired: DesiredState?
    var isInvalid = false
  }

  /// What the loop knows of the host.
  private struct View {
    var host = DaemonStatus.HostState.unknown
    var seen = DaemonStatus.Seen(domains: [], refusal: nil)
    var lastLook: Moment = .zero
    var failures = Backoff<Int>()
  }

  package init(
    world: DaemonWorld, mode: Mode, interval: Duration = usualInterval, queue: TriggerQueue = TriggerQueue()
  ) {
    self.world = world
    self.interval = interval
    self.queue = queue
    reconciler = Reconciler(mode: mode)
    view = View()
  }

  /// Works until the world asks it to stop.
  package mutating func run() {
    queue.add(.started, at: world.now())
    while true {
      if let causes = queue.take(at: world.now()) {
        work(for: causes)
        continue
      }
      // If a look is due, no timer matters before it: a timer that is over would make the wait a loop.
      let timers = [reconciler.nextWake(after: view.lastLook), view.lastLook + interval, hostWake]
      switch world.wait(queue.due ?? timers.compactMap(\.self).min()) {
      case .stopping: return
      case .triggers(let triggers): for trigger in triggers { queue.add(trigger, at: world.now()) }
      case .timedOut: addTimers(at: world.now())
      }
    }
  }

  /// When a host that did not answer is asked again; nil if it answered.
  private var hostWake: Moment? {
    if case .stalled(_, let until) = view.host { until } else { nil }
  }

  private mutating func addTimers(at now: Moment) {
    // A timer that is over says nothing more than the look that is due.
    guard queue.due == nil else { return }
    if now >= view.lastLook + interval { queue.add(.interval, at: now) }
    let wakes = [reconciler.nextWake(after: view.lastLook), hostWake].compactMap(\.self)
    if wakes.contains(where: { $0 <= now }) { queue.add(.retry, at: now) }
  }

  private mutating func work(for causes: Set<Trigger>) {
    if causes.contains(.request) { reconciler.requested() }
    if manifests.desired == nil || !causes.isDisjoint(with: [.manifests, .request, .interval]) { readManifests() }
    view.lastLook = world.now()
    guard let desired = manifests.desired else {
      publish(causes)
      return
    }
    do throws(HostError) {
      let decision = reconciler.decide(try world.look(desired), at: world.now())
      view.failures.succeeded(0)
      view.host = .answering
      view.seen = DaemonStatus.Seen(domains: decision.standings, refusal: decision.refusal)
      publish(causes)
      guard let consent = decision.consent else { return }
      reconciler.record(try world.apply(consent), at: world.now())
      // What the run did is looked at again: a report is made of what was seen.
      queue.add(.retry, at: world.now())
    } catch {
      view.failures.failed(0, at: world.now())
      view.host = .stalled(error, until: view.failures.next(0) ?? world.now())
      publish(causes)
    }
  }

  private mutating func readManifests() {
    guard let desired = world.readManifests() else {
      manifests.isInvalid = true
      return
    }
    if let before = manifests.desired, before != desired { reconciler.manifestsChanged() }
    manifests = Manifests(desired: desired)
  }

  private func publish(_ causes: Set<Trigger>) {
    world.publish(
      DaemonStatus(
        mode: reconciler.mode, host: view.host, seen: view.seen, lastLook: view.lastLook, causes: causes,
        hasInvalidManifests: manifests.isInvalid))
  }
}
