import Model
import Ports
import Synchronization

/// The run locks of a host in memory.
struct ModelRunLocks: RunLockPort {
  struct State {
    /// Who holds the lock of each domain, by a number for each taking.
    var holders: [DomainUUID: Int] = [:]
    /// The number of the last taking of each lock.
    var takings: [DomainUUID: Int] = [:]
    /// How many times a lock was taken. No number is used twice, also not for a lock that was removed meanwhile.
    var count = 0
  }

  let model: ModelHost

  func lock(
    _ domain: DomainUUID, until deadline: ContinuousClock.Instant, isInterrupted: () -> Bool
  ) throws(HostError) -> RunLockAttempt {
    model.store.turns?.turn(.record)
    if model.isKilled { throw .record(RecordError(.other, operation: "lock", place: "\(domain).lock")) }
    let duration = ContinuousClock.now.duration(to: deadline)
    while true {
      if let taking = take(domain) {
        model.store.turns?.note("takes the run lock")
        return .held(Held(model: model, domain: domain, taking: taking))
      }
      if isInterrupted() { return .interrupted }
      guard duration > .zero, let pacer = model.store.turns else { return .busy(RunHolder(process: 1234)) }
      pacer.note("waits for the run lock")
      guard pacer.wait(for: duration, until: { [model] in model.runLocks.withLock { $0.holders[domain] == nil } })
      else {
        pacer.note("does not get the run lock")
        return .busy(RunHolder(process: 1234))
      }
    }
  }

  /// The number of this taking; nil if another run holds the lock.
  private func take(_ domain: DomainUUID) -> Int? {
    model.runLocks.withLock { state in
      guard state.holders[domain] == nil else { return nil }
      state.count += 1
      state.takings[domain] = state.count
      state.holders[domain] = state.count
      return state.count
    }
  }

  func readMarks() -> (marks: [DomainUUID: RunMark], damaged: [DamagedFile]) {
    model.store.turns?.turn(.record)
    model.store.turns?.note("looks at the run locks")
    let marks = model.runLocks.withLock { state in
      Dictionary(
        uniqueKeysWithValues: state.takings.map { domain, taking in
          let isHeld = state.holders[domain] != nil
          return (
            domain,
            RunMark(holder: isHeld ? RunHolder(process: 1234) : nil, isHeld: isHeld, lastTaking: "\(taking)")
          )
        })
    }
    return (marks, model.state.withLock { $0.damaged.filter { $0.kind == .runLock } })
  }

  func sweep(keeping living: Set<DomainUUID>) {
    model.runLocks.withLock { state in
      state.takings = state.takings.filter { living.contains($0.key) || state.holders[$0.key] != nil }
    }
  }

  private final class Held: HeldRunLock {
    private let model: ModelHost
    private let domain: DomainUUID
    private let taking: Int

    init(model: ModelHost, domain: DomainUUID, taking: Int) {
      (self.model, self.domain, self.taking) = (model, domain, taking)
    }

    deinit { release() }

    func release() {
      model.runLocks.withLock { state in
        if state.holders[domain] == taking { state.holders[domain] = nil }
      }
    }
  }
}
