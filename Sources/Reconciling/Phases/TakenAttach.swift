import Core

/// Both ends of the bus are connected, with every entry of the batch.
struct TakenAttach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let held: [ClaimedDevice]
  private let bus: BackEnd

  init(_ parts: DomainParts, _ intent: consuming OpenedIntent, _ held: [ClaimedDevice], _ bus: BackEnd) {
    (self.parts, self.held, self.bus) = (parts, held, bus)
    self.intent = intent
  }

  /// Has QEMU show the guest the devices, if the guest has a QEMU.
  consuming func show() throws(EngineError) -> ShownAttach {
    let answer = parts.model.showsDevices ? try parts.model.show(held) : nil
    return ShownAttach(parts, intent, held, bus, answer)
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

  fileprivate init(
    _ parts: DomainParts, _ intent: consuming OpenedIntent, _ held: [ClaimedDevice], _ bus: BackEnd,
    _ answer: DeviceModelAnswer?
  ) {
    (self.parts, self.held, self.bus, self.answer) = (parts, held, bus, answer)
    self.intent = intent
  }

  /// Reports what was read back, and ends the intent if nothing is open.
  consuming func prove() throws(EngineError) {
    guard let answer else {
      try AttachProof(parts: parts).concludeTaken(held, bus, at: [:])
      return try parts.claims.close(intent)
    }
    try parts.records.recordPlaces(answer.places, of: held)
    try AttachProof(parts: parts).concludeTaken(
      held.filter { answer.places[$0.step.device] != nil }, bus, at: answer.places)
    let refused = held.filter { answer.refused[$0.step.device] != nil && answer.places[$0.step.device] == nil }
    let rest = held.filter { answer.refused[$0.step.device] == nil && answer.places[$0.step.device] == nil }
    parts.report.conclude(
      rest.map(\.step), .unknown,
      "\(answer.open ?? "QEMU took it and does not show it"); left as it is, the next apply takes it up")
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
        [held.step], .failed, "QEMU refused it: \(words[held.step.device] ?? "")",
        isUndone: isOut && held.isAssignedHere)
    }
    return isOut
  }
}
