package import Planning

/// Everything that Berth says about one name.
///
/// Each vocabulary has one switch with one entry per name. A text that belongs to a name stands there and nowhere else.
package struct Explanation: Hashable, Sendable {
  /// What the name says: one sentence without a full stop.
  package let meaning: String
  /// How it comes about, in whole sentences.
  package let cause: String
  /// Which store says what, for drift: without a full stop.
  package let seen: String?
  /// What Berth does about it, for drift: without a full stop. Nil if no apply ever does anything.
  package let repair: String?
  /// What a line of a plan says an apply does, for a repair or a removal: "Berth …". Nil if a plan has no such line.
  package let action: String?
  /// Why an apply leaves it although Berth may change the device. Nil if an apply then always repairs it.
  package let whyLeft: String?
  /// What a person can do. Nil if there is nothing to do.
  package let remedy: Remedy?

  init(
    meaning: String, cause: String, seen: String? = nil, repair: String? = nil, action: String? = nil,
    whyLeft: String? = nil, remedy: Remedy? = nil
  ) {
    self.meaning = meaning
    self.cause = cause
    self.seen = seen
    self.repair = repair
    self.action = action
    self.whyLeft = whyLeft
    self.remedy = remedy
  }

  /// Both what Berth does and why it sometimes does nothing, in one text. Nil for names that are not drift.
  package var conduct: String? {
    let parts = [repair, whyLeft.map { "Left: \($0)" }].compactMap(\.self)
    return parts.isEmpty ? nil : parts.joined(separator: ". ")
  }
}

extension Reason {
  /// The entry of the name, out of whichever vocabulary it comes.
  package var explanation: Explanation {
    switch self {
    case .change(let reason): reason.explanation
    case .obstacle(let obstacle): obstacle.explanation
    case .wait(let wait): wait.explanation
    case .drift(let drift): drift.explanation
    case .refusal(let refusal): refusal.explanation
    }
  }
}
