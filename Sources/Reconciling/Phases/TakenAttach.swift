import Model
import Planning
import XenProtocol

/// Both ends of the bus are connected, with every entry of the batch.
struct TakenAttach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let held: [ClaimedDevice]
  private let bus: BackEnd
  /// The devices that the guest had before this run wrote anything.
  private let present: Set<PCIAddress>

  init(
    _ parts: DomainParts, _ intent: consuming OpenedIntent, _ held: [ClaimedDevice], _ bus: BackEnd,
    present: Set<PCIAddress>
  ) {
    (self.parts, self.held, self.bus, self.present) = (parts, held, bus, present)
    self.intent = intent
  }

  /// Has QEMU show the guest the devices, if the guest has a QEMU.
  consuming func show() throws(EngineError) -> ShownAttach {
    guard parts.model.showsDevices else { return ShownAttach(parts, intent, held, bus, nil, present: present) }
    let answer = try parts.model.show(held)
    parts.report.reached(.shown, held.map(\.step).filter { answer.places[$0.device] != nil })
    // Only QEMU could tell whether the guest had them before.
    return ShownAttach(parts, intent, held, bus, answer, present: [])
  }
}

/// The guest has the devices, but for those that QEMU refused or did not answer for.
struct ShownAttach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let held: [ClaimedDevice]
  private let bus: BackEnd
  /// What QEMU said; nil if the guest has none.
  private let answer: DeviceModelAnswer?
  private let present: Set<PCIAddress>

  fileprivate init(
    _ parts: DomainParts, _ intent: consuming OpenedIntent, _ held: [ClaimedDevice], _ bus: BackEnd,
    _ answer: DeviceModelAnswer?, present: Set<PCIAddress>
  ) {
    (self.parts, self.held, self.bus, self.answer, self.present) = (parts, held, bus, answer, present)
    self.intent = intent
  }

  /// Reports what was read back, and ends the intent if nothing is open.
  consuming func prove() throws(EngineError) {
    guard let answer else {
      try AttachProof(parts: parts).concludeTaken(held, bus, at: [:], present: present)
      return try parts.claims.close(intent)
    }
    try parts.records.recordPlaces(answer.places, of: held)
    try AttachProof(parts: parts).concludeTaken(
      held.filter { answer.places[$0.step.device] != nil }, bus, at: answer.places, present: present)
    let refused = held.filter { answer.refused[$0.step.device] != nil && answer.places[$0.step.device] == nil }
    let rest = held.filter { answer.refused[$0.step.device] == nil && answer.places[$0.step.device] == nil }
    parts.report.conclude(
      rest.map(\.step), .unknown,
      OutcomeDetail(.notShown, answer.open ?? OutcomeDetail(.acceptedNotShown)))
    var isOpen = !rest.isEmpty
    if !refused.isEmpty, try !takeOut(refused, answer.refused) { isOpen = true }
    if !isOpen { try parts.claims.close(intent) }
  }

  /// Takes devices that QEMU refused off the bus again: the guest never had them. Returns false if that did not end.
  private borrowing func takeOut(_ held: [ClaimedDevice], _ words: [PCIAddress: String]) throws(EngineError) -> Bool {
    // What was on the bus before this run stays there.
    let ours = held.filter(\.isAssignedHere)
    var isOut = try parts.remover.clearBus(of: Set(ours.map(\.step.device)))
    if isOut {
      parts.claims.release(ours)
      let left = try parts.claims.removeTraces(of: Set(ours.map(\.step.device)))
      try parts.records.forget(ours.map(\.step))
      isOut = left.isDisjoint(with: ours.map(\.step.device))
    }
    for held in held {
      parts.report.conclude(
        [held.step], .failed, OutcomeDetail(.refusedByQEMU, words[held.step.device] ?? ""),
        isUndone: isOut && held.isAssignedHere)
    }
    return isOut
  }
}
