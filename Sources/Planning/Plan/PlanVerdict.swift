/// Whether a plan may be applied. Its steps stay as planned either way.
package enum PlanVerdict: Hashable, Sendable {
  /// Nothing but Berth's own records would change.
  case nothingToDo
  /// `leavesBlocked` is true if some steps are blocked, which an apply leaves as they are.
  case applicable(leavesBlocked: Bool)
  /// Nothing of the plan may be applied.
  case refused(PlanRefusal)
}

/// Why a plan as a whole is not applied.
package enum PlanRefusal: Hashable, Sendable {
  /// The plan takes more devices from domains than the policy allows.
  case tooManyRemovals(planned: Int, allowed: Int)
  /// The manifests declare no domain, and the plan takes this many devices of Berth's from the host's domains.
  case emptyManifest(planned: Int)
  /// No manifest names these domains, and the plan takes from them this many devices: all that are Berth's there.
  case domainLeftOut(names: [String], planned: Int)
  /// Declared domains cannot take this many devices now, and `--require-running` asks for all of them.
  case notRunning(count: Int)

  /// The stable words for refusals; scripts depend on them.
  package enum Name: String, Hashable, Sendable, CaseIterable {
    case removalLimit = "removal-limit"
    case emptyManifest = "empty-manifest"
    case domainLeftOut = "domain-left-out"
    case notRunning = "not-running"
  }

  package var name: Name {
    switch self {
    case .tooManyRemovals: .removalLimit
    case .emptyManifest: .emptyManifest
    case .domainLeftOut: .domainLeftOut
    case .notRunning: .notRunning
    }
  }
}
