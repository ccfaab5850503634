import Model

/// Why a plan is not the one that a person agreed to.
package enum ConsentDifference: Hashable, Sendable {
  /// The plan is for another host.
  case host(saved: String, now: String)
  /// dom0 has started since.
  case boot
  /// It is for another set of manifests.
  case set(saved: String, now: String)
  /// A fact of a change that both plans have is another one; nil if it is absent.
  case fact(ConsentedChange, ConsentedChange.Key, saved: String?, now: String?)
  /// The change is not needed any more.
  case noLongerNeeded(ConsentedChange)
  /// Nobody agreed to the change.
  case notAgreed(ConsentedChange)
}

extension PlanConsent {
  /// Returns in what a fresh plan differs from what was agreed to; empty if the plan may be applied.
  ///
  /// Repairs of what belongs to no living domain are not compared: any guest that ends can make one necessary. The run
  /// makes those that were agreed to.
  package func differences(in fresh: PlanConsent) -> [ConsentDifference] {
    var differences: [ConsentDifference] = []
    if host != fresh.host { differences.append(.host(saved: host, now: fresh.host)) }
    if bootID != fresh.bootID { differences.append(.boot) }
    if set != fresh.set { differences.append(.set(saved: set, now: fresh.set)) }
    guard changes != fresh.changes else { return differences }
    let mine = Set(changes)
    let theirs = Set(fresh.changes)
    let gone = changes.filter { !theirs.contains($0) && !$0.isHostRepair }
    let new = fresh.changes.filter { !mine.contains($0) && !$0.isHostRepair }
    var partners = Dictionary(grouping: new, by: Subject.init).compactMapValues { $0.count == 1 ? $0.first : nil }
    let counts = Dictionary(grouping: gone, by: Subject.init).mapValues(\.count)
    var paired: Swift.Set<ConsentedChange> = []
    for change in gone {
      let subject = Subject(change)
      guard counts[subject] == 1, let partner = partners.removeValue(forKey: subject) else {
        differences.append(.noLongerNeeded(change))
        continue
      }
      paired.insert(partner)
      differences += Self.differences(from: change, in: partner)
    }
    return differences + new.filter { !paired.contains($0) }.map { .notAgreed($0) }
  }

  /// Returns whether every change has been made already, if `plan` is the fresh plan: an apply was repeated.
  package func isCarriedOut(in plan: Plan) -> Bool {
    guard plan.refusal == nil, !plan.hasChanges else { return false }
    return changes.allSatisfy { change in
      let facts = change.facts
      let steps = plan.steps.filter { $0.device.description == facts[.device] }
      let own = plan.domains.filter { $0.uuid?.description == facts[.uuid] && $0.id?.description == facts[.domid] }
        .flatMap(\.steps).filter { $0.device.description == facts[.device] }
      return switch ChangeKind(rawValue: change.verb) {
      case .attach, .reattach, .move, .adopt: own.contains { $0.kind == .unchanged }
      case .detach: own.isEmpty
      case .repair: own.allSatisfy { $0.kind == .unchanged }
      case nil: isMade(change, steps)
      }
    }
  }

  /// Returns whether a step about a driver, or about something that belongs to no living domain, has been made. `steps` are
  /// those of its device.
  private func isMade(_ change: ConsentedChange, _ steps: [DeviceStep]) -> Bool {
    switch DriverStep.Kind(rawValue: change.verb) {
    // A declared device that pciback lacks would be taken, or be blocked.
    case .prepare: steps.contains { $0.kind == .unchanged || $0.action == .pending }
    // A plan does not show which driver has a device that nobody declares.
    case .release: false
    case nil: true
    }
  }

  /// Returns the facts in which two changes of one device differ.
  private static func differences(from saved: ConsentedChange, in now: ConsentedChange) -> [ConsentDifference] {
    let (before, after) = (saved.facts, now.facts)
    return ConsentedChange.Key.allCases.compactMap { key in
      before[key] == after[key] ? nil : .fact(saved, key, saved: before[key], now: after[key])
    }
  }

  /// What a change is about: two changes with one subject are the same change for other facts.
  private struct Subject: Hashable {
    let verb: String
    let uuid: String?
    let device: String?

    init(_ change: ConsentedChange) {
      verb = change.verb
      let facts = change.facts
      (uuid, device) = (facts[.uuid], facts[.device])
    }
  }
}

extension Plan {
  /// Returns the plan without the repairs of what belongs to no living domain that nobody agreed to. Without a consent,
  /// nobody agreed to any.
  package func keepingHostRepairs(agreedIn consent: PlanConsent?) -> Plan {
    let agreed = Set(consent?.changes ?? [])
    var plan = self
    plan.hostSteps = hostSteps.filter { step in
      ConsentedChange(step).map { agreed.contains($0) } ?? true
    }
    return plan
  }
}
