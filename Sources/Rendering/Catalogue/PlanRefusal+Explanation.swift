package import Planning

extension PlanRefusal.Name {
  package var explanation: Explanation {
    switch self {
    case .removalLimit:
      Explanation(
        meaning: "the plan detaches more devices than policy.maxRemovals allows",
        cause: "policy.maxRemovals limits how many devices one apply may remove, so that an empty or truncated "
          + "manifest does no harm. Nothing of such a plan is applied.",
        remedy: "if these removals are intended, run again with --allow-removals")
    case .notRunning:
      Explanation(
        meaning: "a declared domain cannot take its devices now, and --require-running is given",
        cause:
          "With --require-running, an apply that leaves a device pending has failed. That is known before anything "
          + "is changed, so nothing is.",
        remedy: "start the domains, or run again without --require-running")
    }
  }
}

extension PlanRefusal {
  /// Returns why nothing is applied, in figures, and what a person can do.
  var sentence: String {
    switch self {
    case .tooManyRemovals(let planned, let allowed):
      "Refused: the plan removes \(Words.count(planned, "device")), but policy.maxRemovals allows \(allowed). "
        + "Nothing is applied: check the manifest, or run again with --allow-removals."
    case .notRunning(let pending):
      "Refused: \(Words.count(pending, "device is", "devices are")) pending, and --require-running is given. "
        + "Nothing is applied: start the domains, or run again without --require-running."
    }
  }
}
