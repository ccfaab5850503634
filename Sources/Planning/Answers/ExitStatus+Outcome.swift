/// The exit status of an apply: the worst of everything that happened.
///
/// The order is: failed (including partly applied, or applied and undone), unknown, lock busy, interrupted, stale plan,
/// blocked. Steps that the plan excluded count as much as steps that the apply did not do.
package func exitStatus(of outcome: ApplyOutcome, plan: Plan, requiresRunning: Bool) -> ExitStatus {
  let steps = outcome.domains.flatMap(\.steps)
  let failed = steps.filter { $0.result == .failed }
  let drivers = outcome.drivers
  let hasDone =
    steps.contains { $0.result == .done } || !outcome.hostRepairs.isEmpty || drivers.contains { $0.result == .done }
  // A busy lock makes all steps of the domain fail. They count as one failure, which is worth a retry.
  let realFailures = outcome.domains.contains { domain in
    !domain.isLockBusy && (domain.failure?.isFailure == true || domain.steps.contains { $0.result == .failed })
  }
  let hostFailures = outcome.hostFailures.filter(\.isFailure)
  let failedDrivers = drivers.filter { $0.result == .failed && !$0.isLockBusy }
  if realFailures || !hostFailures.isEmpty || !failedDrivers.isEmpty {
    if hasDone { return .partlyApplied }
    let hasUndoneAll =
      failed.allSatisfy(\.isUndone) && failedDrivers.allSatisfy(\.isUndone)
      && !drivers.contains { $0.result == .unknown }
    return hostFailures.isEmpty && !(failed.isEmpty && failedDrivers.isEmpty) && hasUndoneAll ? .rolledBack : .failed
  }
  if requiresRunning && (plan.count(.pending) > 0 || steps.contains { $0.result == .pending }) { return .failed }
  // A paused domain cannot answer: its result is as unknown as that of a silent guest.
  let isUnanswered = (outcome.domains.compactMap(\.failure) + outcome.hostFailures).contains(where: \.isWithoutAnswer)
  if isUnanswered || steps.contains(where: { $0.result == .unknown })
    || drivers.contains(where: { $0.result == .unknown })
    || plan.steps.contains(where: \.isUnanswered)
  {
    return .unknown
  }
  if outcome.domains.contains(where: \.isLockBusy) || drivers.contains(where: \.isLockBusy) { return .lockBusy }
  if outcome.wasInterrupted || steps.contains(where: { $0.result == .interrupted })
    || drivers.contains(where: { $0.result == .interrupted })
  {
    return .interrupted
  }
  if !outcome.notShown.isEmpty || !outcome.unshownDrivers.isEmpty { return .stalePlan }
  let isBlocked =
    plan.refusal != nil || plan.isBlocked || steps.contains { $0.result == .blocked && $0.isRequired }
    || drivers.contains { $0.result == .blocked }
  return isBlocked ? .blocked : .done
}

extension OutcomeDetail {
  /// Whether something failed, and not only an answer is missing.
  fileprivate var isFailure: Bool { !isWithoutAnswer }
}
