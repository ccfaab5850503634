package import Planning

extension PlanRefusal.Name {
  /// Returns one sentence, without a full stop, that says what the name means.
  package var meaning: String {
    switch self {
    case .removalLimit: "the plan detaches more devices than policy.maxRemovals allows"
    }
  }

  /// Returns the next step.
  package var remedy: String {
    switch self {
    case .removalLimit: "if these removals are meant, run again with --allow-removals"
    }
  }

  /// Returns how it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
    case .removalLimit:
      "policy.maxRemovals bounds what one apply may take away, so that an empty or truncated manifest does no harm. "
        + "Nothing of such a plan is applied."
    }
  }
}

extension PlanRefusal {
  /// Returns why nothing is applied, in figures, and what a person can do.
  var sentence: String {
    switch self {
    case .tooManyRemovals(let planned, let allowed):
      "Refused: the plan removes \(Words.count(planned, "device")), policy.maxRemovals allows \(allowed). "
        + "Nothing is applied: check the manifest, or run again with --allow-removals."
    }
  }
}
