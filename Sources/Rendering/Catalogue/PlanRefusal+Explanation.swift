package import Planning

extension PlanRefusal.Name {
  package var explanation: Explanation {
    switch self {
    case .removalLimit:
      Explanation(
        meaning: "the plan detaches more devices than policy.maxRemovals allows",
        cause: "policy.maxRemovals limits how many devices one apply may remove, so that an empty or truncated "
          + "manifest does no harm. A device counts if it is detached or moved. It also counts if it is detached and "
          + "attached again because its options change. Nothing of such a plan is applied.",
        remedy: "if these removals are intended, run again with --allow-removals")
    case .emptyManifest:
      Explanation(
        meaning: "the manifests declare no domain, but Berth owns devices on this host",
        cause: "A manifest without domains is more often the rest of a failed template than the wish to detach every "
          + "device. Nothing of such a plan is applied, whatever policy.maxRemovals is. Only a document that names "
          + "this host under metadata.name declares by `domains: {}` that the host has no devices.",
        remedy: "check which files were given; if these removals are intended, run again with --allow-removals")
    case .domainLeftOut:
      Explanation(
        meaning: "no manifest names a domain that would lose all of Berth's devices",
        cause: "All manifests of a host count together. A domain that none of them names is more often in a file that "
          + "was not given than without devices. Nothing of such a plan is applied. If policy.maxRemovals is set, that "
          + "limit decides instead, unless documents name hosts and none of them names this one.",
        remedy:
          "give all manifests of this host; if these removals are intended, declare `devices: []` for the domain, "
          + "set policy.maxRemovals, or run again with --allow-removals")
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
    case .emptyManifest(let planned):
      "Refused: the manifests declare no domain, but the plan removes \(Words.count(planned, "device")) of Berth's. "
        + "Nothing is applied: check which files were given, or run again with --allow-removals."
    case .domainLeftOut(let names, let planned):
      "Refused: no manifest names \(Self.list(names)), and the plan removes the \(Words.count(planned, "device")) that "
        + "Berth has there. Nothing is applied: give all manifests of this host, declare `devices: []`, or run again "
        + "with --allow-removals."
    case .notRunning(let count):
      "Refused: domains cannot take \(Words.count(count, "device")) now, and --require-running is given. "
        + "Nothing is applied: start the domains, or run again without --require-running."
    }
  }

  /// Returns up to four names, and how many more there are.
  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(4).joined(separator: ", ")
    return names.count > 4 ? shown + " and \(names.count - 4) more" : shown
  }
}
