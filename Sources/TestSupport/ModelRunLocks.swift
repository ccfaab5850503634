import Model
import Ports
import Synchronization

/// The run locks of a host in memory.
struct ModelRunLocks: RunLockPort {
  struct State {
    /// Who holds the lock of each domain, by a number for each taking.
    var holders: [DomainUUID: Int] = [:]
    /// How often each lock was taken.
    var takings: [DomainUUID: Int] = [:]
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
      state.takings[domain, default: 0] += 1
      state.holders[domain] = state.takings[domain]
      return state.takings[domain]
    }
  }

  func marks() -> [DomainUUID: RunMark] {
    model.store.turns?.turn(.record)
    model.store.turns?.note("looks at the run locks")
    return model.runLocks.withLock { state in
      Dictionary(
        uniqueKeysWithValues: state.takings.map { domain, takings in
          let isHeld = state.holders[domain] != nil
          return (
            domain,
            RunMark(holder: isHeld ? RunHolder(process: 1234) : nil, isHeld: isHeld, lastTaking: "\(takings)")
          )
        })
    }
  }

  func sweep(keeping living: Set<DomainUUID>) {}

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
