/// The program's answer to its caller.
package enum ExitStatus: Int32, CaseIterable, Sendable {
  case done = 0
  case failed = 1
  /// With `--detailed-exitcode`, a plan has changes, stores disagree, or `doctor` has found a problem.
  case changesPending = 2
  case blocked = 3
  /// What a fresh look asks for is not what was shown.
  case stalePlan = 4
  case rolledBack = 5
  case partlyApplied = 6
  case unknown = 7
  case usage = 64
  case invalidManifest = 65
  case noManifest = 66
  case unreachable = 69
  case lockBusy = 75
  case notPermitted = 77
  case hostNotPrepared = 78
  /// Stopped by a signal. Nothing new was begun after the signal, but a detach may be unfinished.
  case interrupted = 130
}
