package import Model

/// What is left of a plan that was shown, once the host has been looked at again under the run locks.
///
/// The fresh plan decides what is needed. The shown plan decides what is allowed: a change that was not shown is not made.
package struct Agreement: Hashable, Sendable {
  /// The plan that is carried out, and shown as the plan of the run: fresh for the locked domains, as it was for others.
  package var plan: Plan
  /// Results of shown changes that are not needed any more, per domain.
  package var settled: [DomainOutcome]
  /// Changes of the fresh plan that were not shown. They are not in `plan`.
  package var notShown: [UnshownChange]
  /// Steps of the fresh plan about drivers that were not shown. They are not in `plan`.
  package var unshownDrivers: [DriverStep] = []
}

/// Returns the changes of `fresh` that may be made in the `locked` domains, if `shown` is the plan that a person saw.
///
/// `fresh` must be made from `index`. The agreement keeps the shown plan of every other domain. The run must not carry
/// out that part. With `isExact`, a change that was shown for other facts counts as one that was not shown.
package func agree(
  on shown: Plan, fresh: Plan, index: ObservationIndex, locked: Set<DomainUUID>, isExact: Bool = false
) -> Agreement {
  var agreement = Agreement(plan: fresh, settled: [], notShown: [])
  let driverConsents = Set(shown.driverSteps.map(\.consent))
  // A card is taken as a whole: its other functions are not taken either.
  let unshownCards = Set(fresh.driverSteps.filter { !driverConsents.contains($0.consent) }.compactMap(\.card))
  var before: [DomainUUID: DomainPlan] = [:]
  for domain in shown.domains { if let uuid = domain.uuid, domain.id != nil { before[uuid] = domain } }
  let living = Set(fresh.domains.compactMap { $0.id == nil ? nil : $0.uuid })
  var isCovered: Set<Name> = []
  agreement.plan.domains = fresh.domains.compactMap { domain in
    let isFirst = isCovered.insert(domain.name).inserted
    // A domain that is not there has nothing to lock, and nothing to change.
    guard let uuid = domain.uuid, domain.id != nil else { return domain }
    if locked.contains(uuid) {
      return agreement.take(domain, uuid, shown: before[uuid], locked: locked, isExact: isExact, besides: unshownCards)
    }
    if let same = before[uuid] { return same }
    // Another domain had the name, or none.
    guard !domain.name.isEmpty, let namesake = shown.domains.first(where: { $0.name == domain.name }) else {
      return nil
    }
    if let old = namesake.uuid, namesake.id != nil {
      if locked.contains(old) {
        return agreement.take(domain, uuid, shown: nil, locked: locked, isExact: isExact, besides: unshownCards)
      }
      if living.contains(old) { return nil }
    }
    return isFirst ? namesake : nil
  }
  for domain in shown.domains {
    if let uuid = domain.uuid, domain.id != nil, locked.contains(uuid) {
      agreement.settle(domain, uuid, fresh: fresh, guest: index.domains.first { $0.uuid == uuid })
    } else if !isCovered.contains(domain.name) {
      agreement.plan.domains.append(domain)
    }
  }
  let hostChanges = Set(shown.hostSteps.filter(\.isChange).map(\.kind))
  agreement.plan.hostSteps = fresh.hostSteps.filter { !$0.isChange || hostChanges.contains($0.kind) }
  func isAgreed(_ step: DriverStep) -> Bool {
    driverConsents.contains(step.consent) && !(step.card.map(unshownCards.contains) ?? false)
  }
  agreement.plan.driverSteps = fresh.driverSteps.filter(isAgreed)
  if isExact {
    // A device whose attach is not made need not lose its driver, and what another run left is not in the plan.
    let refused = Set(agreement.notShown.filter { $0.step.givesDevice }.map(\.step.device))
    agreement.plan.driverSteps.removeAll { $0.kind == .prepare && refused.contains($0.device) }
    agreement.plan.bookkeeping.removeAll { if case .bind = $0 { true } else { false } }
  }
  agreement.unshownDrivers = fresh.driverSteps.filter { !isAgreed($0) }
  return agreement
}

extension Agreement {
  /// Returns the fresh plan of a locked domain without the changes that were not shown, and without the devices of cards
  /// of which a driver's step was not shown.
  fileprivate mutating func take(
    _ domain: DomainPlan, _ uuid: DomainUUID, shown: DomainPlan?, locked: Set<DomainUUID>, isExact: Bool,
    besides unshownCards: Set<PCIAddress>
  ) -> DomainPlan {
    var domain = domain
    let seen = Set((shown?.steps ?? []).compactMap { $0.consent(isExact: isExact) })
    // A card whose functions were not all shown is not given in parts.
    let cards = unshownCards.union(
      domain.steps.compactMap { step in
        step.givesDevice && step.consent(isExact: isExact).map { !seen.contains($0) } ?? false ? step.card : nil
      })
    var waiting: [StepOutcome] = []
    domain.steps.removeAll { step in
      guard let change = step.change, let consent = step.consent(isExact: isExact) else { return false }
      let isOfUnshownCard = step.givesDevice && step.card.map(cards.contains) ?? false
      guard !isOfUnshownCard, seen.contains(consent) || change == .adopt && shown?.declares(step.device) == true else {
        notShown.append(UnshownChange(domain: domain.name, uuid: uuid, id: domain.id, step: step))
        return true
      }
      guard case .move(let source, _) = change, !locked.contains(source.key.uuid) else { return false }
      waiting.append(
        StepOutcome(step, change, .pending, OutcomeDetail(.lockNotTaken, source.name.title(of: source.key.id))))
      return true
    }
    note(waiting, of: domain, uuid)
    return domain
  }

  /// Records a result for each shown change that the fresh plan no longer contains; `guest` is nil if it is gone.
  fileprivate mutating func settle(_ shown: DomainPlan, _ uuid: DomainUUID, fresh: Plan, guest: Guest?) {
    let domain = fresh.domains.first { $0.uuid == uuid && $0.id != nil }
    let outcomes = shown.steps.compactMap { step -> StepOutcome? in
      guard let change = step.change else { return nil }
      let now = (domain?.steps ?? []).filter { $0.device == step.device }
      switch change {
      case .attach, .reattach, .move:
        let isSo = now.contains { $0.kind == .unchanged || $0.change == .adopt }
        return isSo ? StepOutcome(step, change, .unchanged, OutcomeDetail(.alreadySo)) : nil
      case .detach:
        if now.isEmpty {
          if let guest, let receiver = fresh.receiver(of: step.device, from: guest) {
            return StepOutcome(step, change, .pending, OutcomeDetail(.awaitedByReceiver, receiver))
          }
          return StepOutcome(step, change, missingFrom: guest)
        }
        if now.contains(where: { $0.kind == .kept(.otherSet) }) {
          return StepOutcome(step, change, .blocked, OutcomeDetail(.ownedByOtherSet))
        }
        let isForeign = now.contains { $0.kind == .foreign || $0.kind.isKept }
        return isForeign
          ? StepOutcome(step, change, .blocked, OutcomeDetail(.noLongerOurs)) : nil
      case .repair:
        let isLeft = now.contains { $0.reason == step.reason }
        return isLeft ? nil : StepOutcome(step, change, missingFrom: guest)
      case .adopt: return nil
      }
    }
    note(outcomes, of: domain ?? shown, uuid)
  }

  private mutating func note(_ outcomes: [StepOutcome], of domain: DomainPlan, _ uuid: DomainUUID) {
    guard !outcomes.isEmpty else { return }
    settled.append(DomainOutcome(name: domain.name, id: domain.id, uuid: uuid, steps: outcomes))
  }
}

extension StepOutcome {
  fileprivate init(_ step: DeviceStep, _ change: Change, _ result: StepResult, _ detail: OutcomeDetail) {
    self.init(
      device: step.device, action: change.kind, identity: step.id.kind, result: result, detail: detail,
      isRequired: step.isRequired)
  }

  /// The outcome of a change that a fresh plan of the guest is without. Only the plan of a guest that can take changes
  /// shows that nothing is left to do.
  fileprivate init(_ step: DeviceStep, _ change: Change, missingFrom guest: Guest?) {
    if let guest, !guest.isOpen {
      self.init(step, change, .pending, OutcomeDetail(.cannotTakeChange))
    } else {
      self.init(step, change, .unchanged, OutcomeDetail(.alreadySo))
    }
  }
}

extension Guest {
  fileprivate var isOpen: Bool { if case .open = access { true } else { false } }
}

extension Plan {
  /// Returns the name of the domain that is to get a device which `guest` still has; nil if there is none.
  ///
  /// Such a device is no step of the domain that loses it.
  fileprivate func receiver(of device: PCIAddress, from guest: Guest) -> String? {
    let isListed = guest.lists(device)
    return domains.first { domain in
      domain.uuid != guest.uuid
        && domain.steps.contains { $0.device == device && ($0.holder?.key == guest.key || isListed && $0.after != nil) }
    }?.name.text
  }
}

/// What a person agrees to with one step: the change and all that its effect depends on, without words.
private struct Consent: Hashable {
  enum Effect: Hashable {
    case attach(DeviceOptions)
    case detach
    case reattach(DeviceOptions)
    case move(from: DomainUUID, DeviceOptions)
    case repair(DriftName)
    case adopt
  }
  var device: PCIAddress
  var effect: Effect
  /// The rest of what a saved plan says of the change; nil if it does not matter.
  var facts: ConsentedChange?
}

extension DeviceStep {
  /// What a person who sees the step agrees to; nil if the step changes nothing.
  fileprivate func consent(isExact: Bool) -> Consent? {
    guard case .change(let change, let target) = kind else { return nil }
    let facts = isExact ? ConsentedChange(change, self, target) : nil
    return Consent(device: device, effect: change.effect, facts: facts)
  }
}

extension Change {
  fileprivate var effect: Consent.Effect {
    switch self {
    case .attach(let options, _): .attach(options)
    case .detach: .detach
    case .reattach(_, let options, _): .reattach(options)
    case .move(let source, let options): .move(from: source.key.uuid, options)
    case .repair(let repair): .repair(repair.drift)
    case .adopt: .adopt
    }
  }
}

extension DomainPlan {
  /// Whether the plan shows the device as one that the domain has, or gets, by the manifest. Recording it as Berth's own
  /// then needs no other consent.
  fileprivate func declares(_ device: PCIAddress) -> Bool {
    steps.contains { step in
      guard step.device == device else { return false }
      switch step.change {
      case .attach, .reattach, .move, .adopt: return true
      case .detach, .repair: return false
      case nil: return step.kind == .unchanged
      }
    }
  }
}
