/// Tells whether a guest has slept ever since before this run's last round.
///
/// That the guest sleeps now is not enough. A guest that is paused after it has read the round's state continues from
/// there when it wakes, whatever the state is by then.
struct SleepWitness {
  /// How long the domain had run when it was found paused as the lock was taken last; nil if it was awake.
  private var atLock: UInt64?
  /// The same, of the lock under which this run started its last round.
  private var atRound: UInt64?

  /// Records what the hypervisor said of the domain when the lock was taken; nil if the domain is awake.
  mutating func lockTaken(sleepingAt cpuTime: UInt64?) { atLock = cpuTime }

  /// Records that a round was started under the lock that was taken last.
  mutating func roundStarted() { atRound = atLock }

  /// Returns whether a domain that sleeps now, having run for `cpuTime`, has slept since before the round.
  func hasSlept(until cpuTime: UInt64) -> Bool { atRound == cpuTime }

  /// Whether the domain slept when the last round was started.
  var sleptAtRound: Bool { atRound != nil }
}
