import Model
import Planning
import XenProtocol

/// What an attach says of devices in the end, by what it has read back.
extension DomainWorker {
  /// Of devices that are on the bus and that QEMU was asked to show.
  func concludeShown(_ held: [Held], _ bus: BackEnd, _ shown: Shown, intent: HeldIntent) throws(Stop) {
    try recordPlaces(shown.places, of: held)
    try concludeTaken(held.filter { shown.places[$0.step.device] != nil }, bus, at: shown.places)
    let refused = held.filter { shown.refused[$0.step.device] != nil && shown.places[$0.step.device] == nil }
    let rest = held.filter { shown.refused[$0.step.device] == nil && shown.places[$0.step.device] == nil }
    conclude(
      rest.map(\.step), .unknown,
      "\(shown.open ?? "QEMU took it and does not show it"); left as it is, the next apply takes it up")
    var isOpen = !rest.isEmpty
    if !refused.isEmpty, try !takeOut(refused, shown.refused) { isOpen = true }
    if isOpen { intent.leave() } else { try finish(intent) }
  }

  /// Takes devices that QEMU refused off the bus again: the guest never had them. False where that did not end.
  private func takeOut(_ held: [Held], _ words: [PCIAddress: String]) throws(Stop) -> Bool {
    // What was on the bus before this run stays there.
    let ours = held.filter(\.isAssignedHere)
    var isOut = try clearBus(of: Set(ours.map(\.step.device)))
    if isOut {
      release(ours)
      let left = try unmark(Set(ours.map(\.step.device)))
      try forget(ours.map(\.step))
      isOut = left.isDisjoint(with: ours.map(\.step.device))
    }
    for held in held {
      conclude(
        [held.step], .failed, "QEMU refused it: \(words[held.step.device] ?? "")",
        isUndone: isOut && held.isAssignedHere)
    }
    return isOut
  }

  func concludeTaken(
    _ held: [Held], _ bus: BackEnd, at places: [PCIAddress: EmulatedDevice]
  ) throws(Stop) {
    try recordExports(held.compactMap { bus.entry(for: $0.step.device) })
    try renewClaims(held.map(\.step))
    for held in held {
      let entry = bus.entry(for: held.step.device)
      let hasOptions = entry?.options.satisfies(held.step.options) == true
      outcome.steps.append(
        StepOutcome(
          device: held.step.device, action: held.step.kind, result: hasOptions ? .done : .failed,
          detail: hasOptions ? nil : "the guest has it, and its entry lacks the options; the next apply reattaches it",
          evidence: bus.evidence(for: entry),
          virtualAddress: places[held.step.device]?.guestAddress ?? entry?.virtualAddress,
          isRequired: held.step.isRequired))
    }
  }

  /// Devices that another toolstack took out of the domain while this run waited for it.
  func concludeDetached(_ held: [Held]) throws(Stop) {
    holding.subtract(held.map(\.step.device))
    try forget(held.map(\.step))
    conclude(held.map(\.step), .failed, "another toolstack detached it meanwhile")
  }

  /// A domain that has never run proves nothing yet but that the entries stand, on a bus that it will find; false where one
  /// does not: then nothing but the intent tells whose the device is.
  func concludeCold(_ held: [Held]) throws(Stop) -> Bool {
    try rebuild(held) { $0.hasGoneUnnoticed && $0.frontEndState.isAbsent }
    let bus = try look().backEnd
    // One that has begun to run meanwhile goes its own way with what is listed.
    let flaw: OutcomeDetail? =
      switch bus.condition {
      case .corrupt(let what): "\(what)"
      default: bus.awaitsGuest ? nil : "the guest would not find its bus: the front end has no state"
      }
    for held in held {
      let entry = bus.entry(for: held.step.device)
      let flaw = entry == nil ? "the entry is not there" : flaw
      outcome.steps.append(
        StepOutcome(
          device: held.step.device, action: held.step.kind, result: flaw == nil ? .done : .failed, detail: flaw,
          evidence: bus.evidence(for: entry), virtualAddress: entry?.virtualAddress,
          isRequired: held.step.isRequired))
    }
    try renewClaims(held.map(\.step))
    return flaw == nil && held.allSatisfy { bus.entry(for: $0.step.device) != nil }
  }
}
