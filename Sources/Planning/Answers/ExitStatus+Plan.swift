/// Returns the exit status of a plan.
///
/// A blocked step counts whether or not changes are asked for. A pending domain counts only if `--require-running` is
/// given.
package func exitStatus(of plan: Plan, isDetailed: Bool, requiresRunning: Bool) -> ExitStatus {
  if requiresRunning && plan.count(.pending) > 0 { return .failed }
  switch plan.verdict {
  case .refused: return .blocked
  case .nothingToDo: return plan.isBlocked ? .blocked : .done
  case .applicable(leavesBlocked: true): return .blocked
  case .applicable(leavesBlocked: false): return isDetailed ? .changesPending : .done
  }
}
