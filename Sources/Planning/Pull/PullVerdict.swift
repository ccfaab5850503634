package import Model

/// How a tip stands to the commit that was accepted before.
package enum Ancestry: Hashable, Sendable {
  case same
  /// The accepted commit is in the tip's history.
  case descendant
  /// It is not: the history was rewritten, or the tip is older.
  case other
}

/// Whether the tip of a branch may be applied.
package enum PullVerdict: Hashable, Sendable {
  /// Nothing was accepted on this host before.
  case first
  case unchanged
  case newer(than: CommitID)
  /// A person accepts the tip, although it continues nothing that was accepted before.
  case newHistory(insteadOf: AcceptedCommit)
  /// Refused: the record is of another repository or branch.
  case otherSource(AcceptedCommit)
  /// Refused: the tip does not continue the accepted commit.
  case rewritten(AcceptedCommit)

  /// Returns the verdict that needs no tip: the record is of another source. Nil if the tip decides.
  package static func ofSource(
    _ source: PullSource, accepted: AcceptedCommit?, acceptsNewHistory: Bool
  ) -> PullVerdict? {
    guard let accepted, accepted.url != source.url || accepted.branch != source.branch else { return nil }
    return acceptsNewHistory ? .newHistory(insteadOf: accepted) : .otherSource(accepted)
  }

  /// Decides about a tip of the same source. `ancestry` counts only if a commit was accepted before.
  package init(accepted: AcceptedCommit?, ancestry: Ancestry, acceptsNewHistory: Bool) {
    guard let accepted else {
      self = .first
      return
    }
    switch ancestry {
    case .same: self = .unchanged
    case .descendant: self = .newer(than: accepted.commit)
    case .other: self = acceptsNewHistory ? .newHistory(insteadOf: accepted) : .rewritten(accepted)
    }
  }
}
