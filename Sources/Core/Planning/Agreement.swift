/// What is left of a plan that was shown, once the host has been looked at again under the run locks.
///
/// A fresh plan decides what is done. What was shown decides what may be done: nothing that nobody has seen.
package struct Agreement: Hashable, Sendable {
  /// The plan that is carried out, and shown as the plan of the run: fresh for the locked domains, as it was for others.
  package var plan: Plan
  /// Results of shown changes that are not needed any more, per domain.
  package var settled: [DomainOutcome]
  /// Changes of the fresh plan that were not shown. They are not in `plan`.
  package var notShown: [UnshownChange]
}

/// Returns what may be done of `fresh` in the `locked` domains, given that `shown` is what a person saw.
///
/// Of the other domains the agreement keeps what was shown, and nothing of it may be done.
package func agree(on shown: Plan, fresh: Plan, locked: Set<DomainUUID>) -> Agreement {
  var agreement = Agreement(plan: fresh, settled: [], notShown: [])
  var before: [DomainUUID: DomainPlan] = [:]
  for domain in shown.domains { if let uuid = domain.uuid, domain.id != nil { before[uuid] = domain } }
  var isCovered: Set<String> = []
  agreement.plan.domains = fresh.domains.compactMap { domain in
    isCovered.insert(domain.name)
    // A domain that is not there has nothing to lock, and nothing to change.
    guard let uuid = domain.uuid, domain.id != nil else { return domain }
    guard locked.contains(uuid) else { return before[uuid] ?? shown.domains.first { $0.name == domain.name } }
    return agreement.take(domain, uuid, shown: before[uuid], locked: locked)
  }
  for domain in shown.domains {
    if let uuid = domain.uuid, domain.id != nil, locked.contains(uuid) {
      agreement.settle(domain, fresh: fresh.domains.first { $0.uuid == uuid && $0.id != nil })
    } else if !isCovered.contains(domain.name) {
      agreement.plan.domains.append(domain)
    }
  }
  agreement.plan.hostDrift = fresh.hostDrift.filter { !$0.isRepaired || shown.hostDrift.contains($0) }
  return agreement
}

extension Agreement {
  /// Returns the fresh plan of a locked domain without the changes that were not shown.
  fileprivate mutating func take(
    _ domain: DomainPlan, _ uuid: DomainUUID, shown: DomainPlan?, locked: Set<DomainUUID>
  ) -> DomainPlan {
    var domain = domain
    let seen = Set((shown?.steps ?? []).map(\.consent))
    var waiting: [StepOutcome] = []
    domain.steps.removeAll { step in
      guard step.action.isChange else { return false }
      guard seen.contains(step.consent) || step.action == .adopt && seen.contains(where: step.isAdoption) else {
        notShown.append(UnshownChange(domain: domain.name, uuid: uuid, id: domain.id, step: step))
        return true
      }
      guard let source = step.source, !locked.contains(source.uuid) else { return false }
      waiting.append(
        StepOutcome(
          step, .pending, "another run of Berth is at work on \(step.from ?? "the domain that has it")"))
      return true
    }
    note(waiting, of: domain, uuid)
    return domain
  }

  /// Notes what became of the shown changes that the fresh plan does not ask for any more.
  fileprivate mutating func settle(_ shown: DomainPlan, fresh: DomainPlan?) {
    let outcomes = shown.steps.compactMap { step -> StepOutcome? in
      let now = (fresh?.steps ?? []).filter { $0.device == step.device }
      switch step.action {
      case .attach, .reattach, .move:
        let isSo = now.contains { $0.action == .keep || $0.action == .adopt }
        return isSo ? StepOutcome(step, .unchanged, "already so") : nil
      case .detach:
        if now.isEmpty { return StepOutcome(step, .unchanged, "already so") }
        let isForeign = now.contains { $0.action == .foreign }
        return isForeign ? StepOutcome(step, .blocked, "the device is no longer Berth's in this domain") : nil
      case .repair:
        let isLeft = now.contains { $0.reason == step.reason }
        return isLeft ? nil : StepOutcome(step, .unchanged, "already so")
      case .adopt, .keep, .foreign, .blocked, .pending, .drift: return nil
      }
    }
    if let uuid = shown.uuid { note(outcomes, of: fresh ?? shown, uuid) }
  }

  private mutating func note(_ outcomes: [StepOutcome], of domain: DomainPlan, _ uuid: DomainUUID) {
    guard !outcomes.isEmpty else { return }
    settled.append(DomainOutcome(name: domain.name, id: domain.id, uuid: uuid, steps: outcomes))
  }
}

extension StepOutcome {
  fileprivate init(_ step: PlannedStep, _ result: StepResult, _ detail: OutcomeDetail) {
    self.init(device: step.device, action: step.action, result: result, detail: detail, isRequired: step.isRequired)
  }
}

/// What a person agreed to with one step: the change and all that its effect depends on, without words.
private struct Consent: Hashable {
  var device: PCIAddress
  var action: StepAction
  var options: DeviceOptions?
  var source: DomainUUID?
  /// Which repair.
  var repair: Reason?
}

extension PlannedStep {
  fileprivate var consent: Consent {
    Consent(
      device: device, action: action, options: action == .detach || action == .repair ? nil : after,
      source: source?.uuid, repair: action == .repair ? reason : nil)
  }

  /// Whether somebody who saw `seen` has agreed that the device is this domain's and Berth's: then recording it as
  /// Berth's own needs no other consent.
  fileprivate func isAdoption(_ seen: Consent) -> Bool {
    guard seen.device == device else { return false }
    switch seen.action {
    case .attach, .reattach, .move, .keep, .adopt: return true
    case .detach, .repair, .foreign, .blocked, .pending, .drift: return false
    }
  }
}
