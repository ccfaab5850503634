import Dispatch
import Synchronization

/// One of the programs that work at the same time.
package struct Actor: Sendable {
  package let name: String
  package let run: @Sendable () -> Void
  package init(_ name: String, _ run: @escaping @Sendable () -> Void) { (self.name, self.run) = (name, run) }
}

/// An exception from the rule that the working actor continues: before the step with this number, `actor` gets the
/// turn.
package struct Deviation: Hashable, Sendable {
  package var step: Int
  package var actor: Int
  package init(step: Int, actor: Int) { (self.step, self.actor) = (step, actor) }
}

/// A point at which another actor could have got the turn.
struct Choice: Sendable {
  var step: Int
  var others: [Int]
  /// Whether the working actor could not have continued. Then the choice costs no switch.
  var isFree: Bool
}

/// The result of one schedule.
package struct Course: Sendable {
  var choices: [Choice] = []
  /// The actor and the text of each step, in order.
  package var trace: [(actor: Int, text: String)] = []
  /// The reason why it did not end, or why the replay did not follow its schedule.
  package var fault: String?
}

/// Runs actors on threads of their own, exactly one at a time, one visible step after the other.
///
/// Without deviations an actor keeps the turn until it waits for something or has ended. Time passes only when no actor
/// can continue. Then the wait with the nearest deadline is over.
final class Interleaving: Pacer {
  private enum Status {
    case ready
    case waiting(@Sendable () -> Bool, until: Duration?)
    case ended
  }
  // Size 0/8: whose turn it is, and what each waits for.
  private struct State {
    var statuses: [Status]
    var timedOut: [Bool]
    var random: SeededGenerator
    var current: Int?
    var now = Duration.zero
    var course = Course()
    var isAbandoned = false
    /// Whether the kernels have work, at that change of the store.
    var kernelWork: (clock: Int, haveWork: Bool)?
  }
  private static let longest = 4000

  private let model: ModelHost
  private let actors: [Actor]
  private let kernels: Int?
  private let kinds: Set<StepKind>
  private let deviations: [Int: Int]
  /// The turn is passed on about once in this number of steps; nil if only the deviations decide.
  private let oneIn: Int?
  private let state: Mutex<State>
  private let gates: [DispatchSemaphore]
  private let end = DispatchSemaphore(value: 0)

  /// Creates a run. With `kernelsSettle`, pciback and guests take all their steps after each change; otherwise each
  /// takes its own time. With a seed, the turn passes to a random actor about once in ten steps.
  init(
    _ model: ModelHost, _ actors: [Actor], kernelsSettle: Bool, kinds: Set<StepKind>, deviations: [Deviation],
    seed: UInt64? = nil
  ) {
    (self.model, self.actors, self.kinds) = (model, actors, kinds)
    kernels = kernelsSettle ? nil : actors.count
    self.deviations = Dictionary(deviations.map { ($0.step, $0.actor) }) { first, _ in first }
    oneIn = seed.map { 3 + Int($0 % 12) }
    state = Mutex(
      State(
        statuses: actors.map { _ in .ready }, timedOut: actors.map { _ in false },
        random: SeededGenerator(seed: seed ?? 0)))
    gates = actors.map { _ in DispatchSemaphore(value: 0) }
  }

  func run() -> Course {
    model.setKernelsSettle(kernels == nil)
    model.store.pacer.withLock { $0 = self }
    for (index, actor) in actors.enumerated() {
      DispatchQueue(label: "berth.actor.\(index)").async { [self] in
        gates[index].wait()
        actor.run()
        finish(index)
      }
    }
    if let first = state.withLock({ pick(&$0) }) { gates[first].signal() }
    end.wait()
    model.store.pacer.withLock { $0 = nil }
    model.setKernelsSettle(true)
    _ = model.restart()
    model.store.settle()
    return state.withLock(\.course)
  }

  // MARK: Called by the actor that has the turn

  func turn(_ kind: StepKind) {
    guard kinds.contains(kind) else { return }
    _ = pause(.ready)
  }

  func note(_ text: @autoclosure () -> String) {
    let text = text()
    state.withLock { state in
      guard let current = state.current else { return }
      if state.course.trace.last?.actor == current, state.course.trace.last?.text == "" {
        state.course.trace[state.course.trace.count - 1].text = text
      } else {
        state.course.trace.append((current, text))
      }
    }
  }

  func wait(for duration: Duration?, until isReady: @escaping @Sendable () -> Bool) -> Bool {
    let now = state.withLock(\.now)
    // Real time does not matter; only the order of the deadlines does.
    let length = duration.map { duration -> Duration in
      duration < .milliseconds(250) ? .milliseconds(100) : .seconds(duration.components.seconds + 1)
    }
    return pause(.waiting(isReady, until: length.map { now + $0 }))
  }

  /// Passes the turn on, and returns when it comes back. Returns false if a wait is over.
  private func pause(_ status: Status) -> Bool {
    let (me, next) = state.withLock { state -> (Int?, Int?) in
      let me = state.current
      if let me { state.statuses[me] = status }
      return (me, pick(&state))
    }
    guard let me else { return false }
    if next != me {
      if let next { gates[next].signal() }
      gates[me].wait()
    }
    return state.withLock { !$0.timedOut[me] }
  }

  private func finish(_ actor: Int) {
    let next = state.withLock { state -> Int? in
      state.statuses[actor] = .ended
      return pick(&state)
    }
    if let next { gates[next].signal() } else { end.signal() }
  }

  // MARK: Whose turn it is

  /// Gives the turn to an actor after the kernels have had theirs. Returns nil if all have ended.
  private func pick(_ state: inout State) -> Int? {
    while true {
      let last = state.current
      let able = ready(&state)
      guard let fallback = able.contains(last ?? -1) ? last : able.first else {
        // A device model that is no kernel answers when everybody waits.
        if model.store.answerWhenIdle() { continue }
        return timeOut(&state)
      }
      let step = state.course.trace.count
      let chosen = choose(fallback, among: able, at: step, isFree: fallback != last, &state)
      state.current = chosen
      if chosen == kernels {
        let text = model.stepKernels() ?? "nothing"
        state.kernelWork = nil
        state.course.trace.append((chosen, text))
        continue
      }
      state.timedOut[chosen] = false
      state.statuses[chosen] = .ready
      state.course.trace.append((chosen, ""))
      if step > Self.longest, !state.isAbandoned { abandon(&state, "no end after \(step) steps") }
      return chosen
    }
  }

  private func ready(_ state: inout State) -> [Int] {
    var able = state.statuses.indices.filter { index in
      switch state.statuses[index] {
      case .ready: true
      case .waiting(let isReady, _): isReady()
      case .ended: false
      }
    }
    guard let kernels else { return able }
    let clock = model.store.peek(\.clock)
    if state.kernelWork?.clock != clock { state.kernelWork = (clock, model.haveKernelsWork()) }
    if state.kernelWork?.haveWork == true { able.append(kernels) }
    return able
  }

  private func choose(_ fallback: Int, among able: [Int], at step: Int, isFree: Bool, _ state: inout State) -> Int {
    let others = able.filter { $0 != fallback }
    if !others.isEmpty, !state.isAbandoned {
      state.course.choices.append(Choice(step: step, others: others, isFree: isFree))
    }
    if let oneIn, !others.isEmpty {
      guard isFree || Int.random(in: 0..<oneIn, using: &state.random) == 0 else { return fallback }
      return able[Int.random(in: 0..<able.count, using: &state.random)]
    }
    guard let wanted = deviations[step] else { return fallback }
    guard able.contains(wanted) else {
      state.course.fault = state.course.fault ?? "replay: actor \(wanted) cannot go on at step \(step)"
      return fallback
    }
    return wanted
  }

  /// Ends the nearest wait. If there is none and not all have ended, the actors wait for each other.
  private func timeOut(_ state: inout State) -> Int? {
    var nearest: (actor: Int, until: Duration)?
    var isStuck: Int?
    for (index, status) in state.statuses.enumerated() {
      guard case .waiting(_, let until) = status else { continue }
      if let until, until < nearest?.until ?? .seconds(1_000_000) { nearest = (index, until) }
      if until == nil { isStuck = isStuck ?? index }
    }
    guard let actor = nearest?.actor ?? isStuck else { return nil }
    if nearest == nil { abandon(&state, "deadlock: \(actors[actor].name) waits for ever") }
    state.now = max(state.now, nearest?.until ?? state.now)
    state.current = actor
    state.timedOut[actor] = true
    state.statuses[actor] = .ready
    state.course.trace.append((actor, ""))
    return actor
  }

  private func abandon(_ state: inout State, _ fault: String) {
    state.course.fault = fault
    state.isAbandoned = true
    model.kill(beforeStep: 0)
    model.state.withLock { $0.stepsLeft = -1 }
  }
}
