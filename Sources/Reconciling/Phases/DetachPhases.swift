import Model
import Planning
import Ports
import XenProtocol

/// Detaches devices in one round: the guest releases them first, then access is revoked.
///
/// ```
/// IntendedDetach ─withdraw─► WithdrawnDetach ─release─► ReleasedDetach ─returnToXen─►
/// ```
///
/// As with an attach, a phase can be left once, and dropping one leaves its intent to the next run.
struct DetachPhases {
  let parts: DomainParts

  /// Detaches the devices of `steps`, and reports an outcome for each.
  ///
  /// `keepsBus` leaves an emptied bus standing for the attach that follows. Of devices to reattach nothing is reported
  /// if they are gone.
  func detach(_ steps: [Removal], keepsBus: Bool) throws(EngineError) {
    guard !steps.isEmpty else { return }
    let restored = try parts.restorer.restoreEntries(of: steps)
    guard !restored.steps.isEmpty else { return }
    guard let intended = try IntendedDetach.open(restored, with: parts) else { return }
    guard let withdrawn = try intended.withdraw() else { return }
    guard let released = try withdrawn.release() else { return }
    try released.returnToXen(keepsBus: keepsBus)
  }
}

/// The intent is on disk.
struct IntendedDetach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let steps: [Removal]
  /// The devices that the bus lists.
  private let listed: Set<PCIAddress>

  private init(
    _ parts: DomainParts, _ intent: consuming OpenedIntent, _ steps: [Removal], listed: Set<PCIAddress>
  ) {
    (self.parts, self.steps, self.listed) = (parts, steps, listed)
    self.intent = intent
  }

  /// Returns nil if there is nothing left to do; then everything is reported.
  static func open(_ restored: RestoredRemovals, with parts: DomainParts) throws(EngineError) -> IntendedDetach? {
    // On disk before the marks: the intent sets this half-done removal apart from another toolstack's.
    let intent = try parts.intents.open(.detach, restored.steps.map(\.device).sorted())
    let steps = try parts.otherRuns.withdrawn(restored.steps)
    guard !steps.isEmpty else {
      try intent.close()
      return nil
    }
    parts.report.reached(.intended, steps)
    return IntendedDetach(parts, intent, steps, listed: restored.listed)
  }

  /// Has QEMU take the devices from the guest, if the guest has a QEMU. Returns nil if it took none; then the reasons
  /// are reported.
  consuming func withdraw() throws(EngineError) -> WithdrawnDetach? {
    let gone = try parts.model.withdraw(steps)
    guard !gone.isEmpty else { return nil }
    if parts.model.showsDevices { parts.report.reached(.withdrawn, gone) }
    return WithdrawnDetach(parts, intent, gone, listed: listed, isWhole: gone.count == steps.count)
  }
}

/// QEMU no longer shows the devices, if there is a QEMU.
struct WithdrawnDetach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let steps: [Removal]
  /// The devices that the bus listed when this run looked for overwritten entries.
  private let listed: Set<PCIAddress>
  /// Whether these are all the devices of the intent.
  private let isWhole: Bool
  /// How often entries were found overwritten before.
  private let losses: Int
  /// The number of times that entries are put back.
  private static let mostLosses = 3

  fileprivate init(
    _ parts: DomainParts, _ intent: consuming OpenedIntent, _ steps: [Removal], listed: Set<PCIAddress>, isWhole: Bool,
    losses: Int = 0
  ) {
    (self.parts, self.steps, self.listed, self.isWhole, self.losses) = (parts, steps, listed, isWhole, losses)
    self.intent = intent
  }

  /// Marks the devices, and waits until the guest has released them. Returns nil if it has not; then the reason is
  /// reported.
  consuming func release() throws(EngineError) -> ReleasedDetach? {
    let devices = Set(steps.map(\.device))
    let result: MarkResult
    do throws(EngineError) {
      result = try parts.remover.mark(devices, expecting: listed.intersection(devices))
    } catch {
      // Without the lock nothing was marked; otherwise a commit may have been made whose answer was lost.
      if error.isLockBusy { try end() }
      throw error
    }
    let session = parts.session
    switch result {
    case .refused(let reason, let evidence):
      parts.report.conclude(steps, .blocked, OutcomeDetail(.refused, reason.rawValue, evidence))
      try end()
      return nil
    case .restless(let condition):
      parts.report.conclude(steps, .unknown, OutcomeDetail(.restless, "\(condition)"))
      try end()
      return nil
    case .interrupted:
      parts.report.conclude(
        steps, .interrupted,
        OutcomeDetail(parts.model.showsDevices ? .stoppedAfterQEMU : .stoppedBefore))
      try end()
      return nil
    case .round(let marked):
      parts.report.reached(.marked, steps)
      guard session.route.hasFrontEndDriver else {
        guard try parts.remover.awaitSilentRelease(of: devices) else {
          parts.report.conclude(steps, .interrupted, OutcomeDetail(.stoppedBeforeRelease))
          return nil
        }
        break
      }
      guard let bus = try awaitRemoval() else { return nil }
      let unproven = try unproven(marked, in: bus)
      guard !unproven.isEmpty else { break }
      parts.session.noteOthers()
      parts.report.conclude(
        steps.filter { unproven.contains($0.device) }, .unknown, OutcomeDetail(.markOverwritten))
      let proven = steps.filter { !unproven.contains($0.device) }
      guard !proven.isEmpty else { return nil }
      parts.report.reached(.released, proven)
      return ReleasedDetach(parts, intent, proven, isWhole: false)
    case .overwritten:
      // Another toolstack has overwritten entries, or taken them off the bus. The guest may still have the devices.
      parts.session.noteOthers()
      guard losses < Self.mostLosses else {
        parts.report.conclude(steps, .unknown, OutcomeDetail(.restlessOverwritten))
        return nil
      }
      let restored = try parts.restorer.restoreEntries(of: steps)
      guard !restored.steps.isEmpty else { return nil }
      let isWhole = isWhole && restored.steps.count == steps.count
      return try WithdrawnDetach(
        parts, intent, restored.steps, listed: restored.listed, isWhole: isWhole, losses: losses + 1
      ).release()
    case .released: break
    }
    parts.report.reached(.released, steps)
    return ReleasedDetach(parts, intent, steps, isWhole: isWhole)
  }

  /// Ends the intent of a detach that marked nothing. The intent is left if QEMU has released the devices: the guest has
  /// lost them, and nothing else shows it.
  private consuming func end() throws(EngineError) {
    if !parts.model.showsDevices { try intent.close() }
  }

  /// Returns the marked devices of which the bus after the round does not prove that pciback has released them.
  ///
  /// Their entries are gone, although this run removes no entry before a round has ended. Another toolstack may have
  /// overwritten them before pciback read the marks. Their claims, rights and intent stay, and the next run adds the
  /// entries again.
  private borrowing func unproven(_ marked: Set<PCIAddress>, in bus: BackEnd) throws(EngineError) -> Set<PCIAddress> {
    // pciback releases everything with the bus.
    if bus.condition == .absent || bus.condition == .vanishing { return [] }
    var found: Set<PCIAddress> = []
    for device in marked.subtracting(bus.entries.compactMap(\.device)) {
      do throws(HostError) {
        if try parts.restorer.mayBeExported(device) { found.insert(device) }
      } catch { throw .host(error) }
    }
    return found
  }

  /// Waits until the guest has released the devices, and returns the bus at the end of the round. Returns nil if the
  /// guest has not released them. Then that is reported, and the round is cancelled if that is safe.
  private borrowing func awaitRemoval() throws(EngineError) -> BackEnd? {
    let devices = Set(steps.map(\.device))
    parts.report.announceWait(steps, until: parts.session.answerDeadline())
    var answer = try parts.waits.awaitEndOfRound()
    if case .timedOut = answer, try parts.rounds.completeStuckRound() { answer = try parts.waits.awaitEndOfRound() }
    if case .satisfied(let bus) = answer {
      switch bus.condition {
      case .connected, .halfRemoved, .absent, .vanishing: return bus
      default: break
      }
      let text = try parts.session.read(.backEndError(parts.session.busID)) ?? "(no error text from pciback)"
      parts.report.conclude(
        steps, .failed, OutcomeDetail(.busEnded, "\(bus.state)", "\(bus.frontEndState)", text))
      return nil
    }
    switch try parts.rounds.cancelRound(removing: [], restoring: devices) {
    case .cancelled:
      parts.report.conclude(steps, .unknown, OutcomeDetail(.cannotAnswerKept), isUndone: true)
    case .woken: parts.report.conclude(steps, .unknown, OutcomeDetail(.wokeMeanwhile))
    case .left:
      let bus = try parts.session.look().backEnd
      parts.report.conclude(
        steps, .unknown,
        OutcomeDetail(
          parts.session.host.isInterrupted() ? .silentDetachAtStop : .silentDetach, "\(bus.state)",
          "\(bus.frontEndState)"))
    }
    return nil
  }
}

/// The guest has released the devices.
struct ReleasedDetach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let steps: [Removal]
  private let isWhole: Bool

  fileprivate init(_ parts: DomainParts, _ intent: consuming OpenedIntent, _ steps: [Removal], isWhole: Bool) {
    (self.parts, self.steps, self.isWhole) = (parts, steps, isWhole)
    self.intent = intent
  }

  /// Deletes the entries, takes access away, and returns the devices to Xen.
  consuming func returnToXen(keepsBus: Bool) throws(EngineError) {
    let devices = Set(steps.map(\.device))
    parts.removals.addOwn(devices)
    try parts.records.forgetExports(devices)
    let listed = try parts.remover.compact(devices)
    parts.report.reached(.compacted, steps.filter { !listed.contains($0.device) })
    let isDone = try returnDevices(listed: listed)
    if !keepsBus { try parts.buses.closeEmptyBus() }
    if isDone, isWhole { try intent.close() }
  }

  /// Revokes access, returns the devices to Xen, and removes claim, saved line and record. Returns whether all of it is
  /// done.
  private borrowing func returnDevices(listed: Set<PCIAddress>) throws(EngineError) -> Bool {
    let again = steps.filter { listed.contains($0.device) }
    parts.report.conclude(again, .unknown, OutcomeDetail(.listedAgain))
    var leaving: [PCIAddress: Rights] = [:]
    var returned: [Removal] = []
    // The devices that Xen had taken from the guest before.
    var wereTaken: Set<PCIAddress> = []
    // What the guest may still reach, though its device is gone.
    var left: [PCIAddress: OutcomeDetail] = [:]
    let sharers: Sharers
    do throws(HostError) {
      let records = try parts.records.grants()
      for step in steps where !listed.contains(step.device) {
        leaving[step.device] = try parts.claims.hardware.rights(
          to: step.device, records, wasListed: step.options != nil)
      }
      sharers = try parts.claims.sharers(with: leaving.mapValues(\.grants))
    } catch {
      parts.report.conclude(
        steps.filter { !listed.contains($0.device) }, .failed, OutcomeDetail(.releasedBut, error))
      return false
    }
    for step in steps {
      guard let rights = leaving[step.device] else { continue }
      do throws(HostError) {
        switch try parts.claims.revoke(step.device, rights, besides: sharers) {
        case .revoked(let byRun) where rights.isKnown: if !byRun { wereTaken.insert(step.device) }
        case .revoked: left[step.device] = OutcomeDetail(.grantUnknown)
        case .rightsLeft(let error): left[step.device] = OutcomeDetail(.mayStillReach, rights.text, error)
        }
        returned.append(step)
      } catch {
        parts.report.conclude([step], .failed, OutcomeDetail(.releasedBut, error))
      }
    }
    do throws(HostError) {
      try parts.claims.grantAgain(leaving.mapValues(\.grants), sharers)
      try record(left, of: leaving)
    } catch { throw .host(error) }
    let traces = try parts.claims.removeTraces(of: Set(returned.map(\.device)))
    let undeleted = returned.filter { traces.contains($0.device) }
    parts.report.conclude(
      undeleted, .unknown, OutcomeDetail(.tracesLeft))
    returned.removeAll { traces.contains($0.device) }
    // A device that is attached again at once stays on record.
    try parts.records.forget(
      returned.filter { $0.kind != .reattach }, revoked: Set(returned.map(\.device)).subtracting(left.keys))
    for step in returned {
      if let left = left[step.device] {
        parts.report.conclude(
          [step], .failed, OutcomeDetail(.rightsLeft, left),
          evidence: ["no entry", "no claim"])
      } else if step.kind != .reattach {
        let returned = wereTaken.contains(step.device) ? "access revoked" : "returned to Xen"
        parts.report.conclude([step], .done, evidence: ["no entry", returned, "no claim"])
      }
    }
    return returned.count == steps.count
  }

  /// Records what is left to the domain. It stays on record until it is revoked, or the domain ends.
  private borrowing func record(
    _ left: [PCIAddress: OutcomeDetail], of leaving: [PCIAddress: Rights]
  ) throws(HostError) {
    guard !left.isEmpty else { return }
    var grants: [GrantRecord] = []
    for device in left.keys.sorted() {
      guard let rights = leaving[device] else { continue }
      let recorded: [DeviceGrants?] = rights.isKnown ? rights.grants : [nil]
      grants += recorded.map {
        GrantRecord(device: device, domain: parts.session.key.id, identity: rights.identity, grants: $0)
      }
    }
    try parts.records.addGrants(grants)
  }
}
