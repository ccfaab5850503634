/// Why a step agrees with the manifest, or what the manifest asks for. The raw values are stable: scripts depend on them.
package enum ChangeReason: String, Hashable, Sendable, CaseIterable {
  case declared = "declared"
  case notDeclared = "not-declared"
  case optionsDiffer = "options-differ"
  case declaredElsewhere = "declared-elsewhere"
  case alreadyAttached = "already-attached"
  case inSync = "in-sync"
  case notOwned = "not-owned"
  case pruneNever = "prune-never"
  case ownedByOtherSet = "owned-by-other-set"
}
