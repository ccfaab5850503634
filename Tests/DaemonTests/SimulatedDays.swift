import Daemon
import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport

/// A daemon on a model of a host, with a clock that jumps to the next event of a script.
final class SimulatedDaemon: Sendable {
  private struct State {
    var now = Moment.zero
    var script: [(at: Moment, action: @Sendable () -> Set<Trigger>)] = []
    var desired: DesiredState?
    var looks = 0
    var applies = 0
    var waits = 0
    var statuses: [DaemonStatus] = []
    var fault: HostError?
  }

  /// Many times what a day of events needs.
  private static let mostWaits = 20_000

  let model: ModelHost
  private let state = Mutex(State())

  init(_ model: ModelHost, _ desired: DesiredState?) {
    self.model = model
    state.withLock { $0.desired = desired }
  }

  /// Adds something that happens at a moment. It returns the triggers that it makes.
  func at(_ moment: Moment, _ action: @escaping @Sendable () -> Set<Trigger>) {
    state.withLock { state in
      let place = state.script.firstIndex { $0.at > moment } ?? state.script.endIndex
      state.script.insert((moment, action), at: place)
    }
  }

  /// Runs the daemon until a moment.
  func run(_ mode: Mode, until end: Moment, interval: Duration = .seconds(300)) {
    at(end) { [] }
    var loop = DaemonLoop(world: world(end), mode: mode, interval: interval)
    loop.run()
  }

  var now: Moment { state.withLock { $0.now } }
  var looks: Int { state.withLock { $0.looks } }
  var applies: Int { state.withLock { $0.applies } }
  var waits: Int { state.withLock { $0.waits } }
  var status: DaemonStatus? { state.withLock { $0.statuses.last } }
  var statuses: [DaemonStatus] { state.withLock { $0.statuses } }
  func declare(_ desired: DesiredState?) { state.withLock { $0.desired = desired } }
  func fail(_ error: HostError?) { state.withLock { $0.fault = error } }

  /// How the domain of this name stood at last.
  func standing(_ name: Name) -> DomainStanding.State? { status?.seen.domains.first { $0.name == name }?.state }

  private func world(_ end: Moment) -> DaemonWorld {
    DaemonWorld(
      now: { self.state.withLock { $0.now } }, wait: { self.wait(until: $0, end) },
      readManifests: { self.state.withLock { $0.desired } },
      look: { (desired) throws(HostError) in
        let fault = self.state.withLock { state in
          state.looks += 1
          return state.fault
        }
        if let fault { throw fault }
        let observation = try Observer(host: self.model.host).observe(desired: desired)
        return Reconciler.Look(observation, desired)
      },
      apply: { (shown) throws(HostError) in
        self.state.withLock { $0.applies += 1 }
        let options = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(200), workers: 1)
        return try PlanRunner(host: self.model.host, options: options, report: { _ in }).apply(shown)
      },
      publish: { status in self.state.withLock { $0.statuses.append(status) } })
  }

  /// Lets the clock jump to the next event, or to the end of the wait.
  private func wait(until: Moment?, _ end: Moment) -> DaemonWorld.Waited {
    // A loop that is busy without end fails its test, and does not hang it.
    if waits > Self.mostWaits { return .stopping }
    let action = state.withLock { state -> (@Sendable () -> Set<Trigger>)? in
      state.waits += 1
      guard let next = state.script.first, until.map({ next.at <= $0 }) ?? true else {
        state.now = max(state.now, until ?? end)
        return nil
      }
      state.now = max(state.now, next.at)
      state.script.removeFirst()
      return next.action
    }
    guard let action else { return .timedOut }
    let triggers = action()
    return state.withLock { $0.now >= end && $0.script.isEmpty } ? .stopping : .triggers(triggers)
  }
}
