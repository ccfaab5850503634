package import Model
package import Planning

/// That the host is not any more what it was when a person agreed to a plan. Nothing was touched.
package struct StalePlanView: View {
  private let host: String
  /// The fingerprint of the plan that was agreed to.
  private let agreed: String
  /// The fingerprint of the fresh plan; nil if nothing was planned.
  private let found: String?
  /// Empty if only the fingerprint of the plan is known.
  private let differences: [ConsentDifference]

  package init(host: String, agreed: String, found: String?, differences: [ConsentDifference]) {
    self.host = host
    self.agreed = agreed
    self.found = found
    self.differences = differences
  }

  /// Whether nothing else differs than that changes are not needed any more.
  package var isOnlyDone: Bool {
    !differences.isEmpty
      && differences.allSatisfy { if case .noLongerNeeded = $0 { true } else { false } }
  }

  package var document: StalePlanDocument {
    StalePlanDocument(host: host, agreed: agreed, found: found, differences: differences)
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    if !differences.isEmpty { columns.heading("Changed since the plan was made") }
    for difference in differences {
      columns.row(.differ, difference.device ?? "", difference.domain ?? "", difference.words)
    }
    let list = columns.isEmpty ? "" : columns.rendered() + "\n"
    let reason =
      differences.isEmpty
      ? "The plan has the fingerprint \(found ?? "none"), and not \(agreed)."
      : "The host has changed since the plan was made."
    return "\(list)\(style.printable("\(reason) Nothing was touched."))\n"
      + "\(style.printable("next: look at the new plan with `berth plan`, and apply that one"))\n"
  }
}

/// A plan that does not fit, for programs: `{"formatVersion": 1, "kind": "StalePlan", …}`.
package struct StalePlanDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "StalePlan", formatVersion: 1)
  let exitStatus: Int32
  let host: String
  let agreed: String
  let found: String?
  let staleBecause: [Difference]

  struct Difference: Encodable, Sendable {
    /// `host`, `boot`, `set`, `fact`, `no-longer-needed` or `not-agreed`.
    let reason: String
    let action: String?
    let domain: String?
    let device: String?
    /// The name of the fact that differs.
    let fact: String?
    let agreed: String?
    let found: String?
    let meaning: String
  }

  init(host: String, agreed: String, found: String?, differences: [ConsentDifference]) {
    exitStatus = ExitStatus.stalePlan.rawValue
    self.host = host
    self.agreed = agreed
    self.found = found
    staleBecause = differences.map { difference in
      let (fact, agreed, found) = difference.values
      return Difference(
        reason: difference.name, action: difference.change?.verb, domain: difference.domain,
        device: difference.device, fact: fact, agreed: agreed, found: found, meaning: difference.words)
    }
  }
}

extension ConsentDifference {
  /// The change that it is about; nil if it is about the whole plan.
  fileprivate var change: ConsentedChange? {
    switch self {
    case .host, .boot, .set: nil
    case .fact(let change, _, _, _), .noLongerNeeded(let change), .notAgreed(let change): change
    }
  }

  fileprivate var domain: String? { change?.facts[.domain] }
  fileprivate var device: String? { change?.facts[.device] }

  fileprivate var name: String {
    switch self {
    case .host: "host"
    case .boot: "boot"
    case .set: "set"
    case .fact: "fact"
    case .noLongerNeeded: "no-longer-needed"
    case .notAgreed: "not-agreed"
    }
  }

  /// The fact that differs, as it was and as it is.
  fileprivate var values: (fact: String?, agreed: String?, found: String?) {
    switch self {
    case .host(let saved, let now), .set(let saved, let now): (nil, saved, now)
    case .fact(_, let key, let saved, let now): (key.rawValue, saved, now)
    case .boot, .noLongerNeeded, .notAgreed: (nil, nil, nil)
    }
  }

  fileprivate var words: String {
    switch self {
    case .host(let saved, let now): "the plan is for host \(saved), and this host is \(now)"
    case .boot: "dom0 has started since"
    case .set(let saved, let now): "the plan is for the set \(saved), and the manifest is of the set \(now)"
    case .fact(let change, let key, let saved, let now):
      "\(change.verb): \(key.rawValue) was \(Self.shown(saved)), and is \(Self.shown(now))"
    case .noLongerNeeded(let change): "\(change.verb) is not needed any more, or not possible"
    case .notAgreed(let change):
      "\(change.verb) is needed, which was not in the plan"
        + (change.facts[.because].map { " (\($0))" } ?? "")
    }
  }

  private static func shown(_ value: String?) -> String { value.flatMap { $0.isEmpty ? nil : $0 } ?? "none" }
}
