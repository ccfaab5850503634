import Model
import Planning
import Ports
import XenProtocol

/// How publishing a batch ended.
enum PublishResult {
  /// In the store. `base` is the index of the first new entry; the guest had the `present` devices before.
  case done(base: Int, present: Set<PCIAddress>)
  /// All of it was listed before.
  case listed(present: Set<PCIAddress>)
  case refused(BusRefusal, String)
  /// libxl has no saved configuration of the domain: it is still building it.
  case building
  /// The bus did not come to rest in time.
  case restless(BusCondition)
  case interrupted
}

/// What one transaction decided about listing a batch, and what it found.
private struct ListDecision {
  var bus: AttachDecision
  /// The number of entries before.
  var base: Int
  /// The devices that the guest had before.
  var present: Set<PCIAddress>

  init(_ bus: AttachDecision, base: Int = 0, present: Set<PCIAddress> = []) {
    (self.bus, self.base, self.present) = (bus, base, present)
  }
}

extension BackEnd {
  /// Returns those of `devices` that a guest has: exported, on a bus on which no round is under way.
  fileprivate func present(among devices: [PCIAddress]) -> Set<PCIAddress> {
    switch condition {
    case .connected, .holding, .halfRemoved: Set(devices.filter { entry(for: $0)?.isExported == true })
    case .absent, .vanishing, .connecting, .round, .settling, .torn, .closing, .corrupt: []
    }
  }
}

/// The devices are assigned to the domain, and granted.
struct ClaimedAttach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  let held: [ClaimedDevice]
  /// What pciback's exports are read from; nil if the kernel's log cannot be read.
  private let log: (any ExportLog)?

  init(_ parts: DomainParts, _ intent: consuming OpenedIntent, _ held: [ClaimedDevice], _ log: (any ExportLog)?) {
    (self.parts, self.held, self.log) = (parts, held, log)
    self.intent = intent
  }

  /// Lists the devices. Returns nil if they are not listed; then they are Xen's again, and everything is reported.
  ///
  /// Throws if Berth did not get libxl's lock in time; then, too, the devices are Xen's again.
  consuming func publish() throws(EngineError) -> PublishedAttach? {
    let result: PublishResult
    do throws(EngineError) {
      // On disk before the bus lists the device: QEMU is not asked to remove a device that it was never asked to add.
      try parts.model.willList(held.filter(\.isAssignedHere).map(\.step.device))
      result = try list()
    } catch {
      if error.isLockBusy {
        // Nothing was written yet; the devices alone go back.
        parts.claims.release(held)
        try parts.records.forget(held.map(\.step))
        try parts.claims.close(intent)
        throw error
      }
      // A commit whose answer was lost may have been made: then the entries are listed, and nothing is undone.
      undo(parts.report.describe(error), result: .failed)
      return nil
    }
    switch result {
    case .done(let base, let present):
      parts.report.reached(.published, held.map(\.step))
      return PublishedAttach(parts, intent, held, log, base: base, present: present)
    case .listed(let present): return PublishedAttach(parts, intent, held, log, base: 0, present: present)
    case .refused(let reason, let evidence):
      returnToXen(OutcomeDetail(.refused, reason.rawValue, evidence), result: .blocked)
    case .building:
      returnToXen(OutcomeDetail(.configurationMissing), result: .pending)
    case .interrupted: returnToXen(OutcomeDetail(.stoppedBefore), result: .interrupted)
    case .restless(let condition):
      returnToXen(OutcomeDetail(.restless, "\(condition)"), result: .unknown)
    }
    return nil
  }

  /// Writes the saved configuration and commits entries, claims and state, under libxl's lock.
  ///
  /// Goes back to waiting, outside the lock, as often as the bus is found busy; each wait has its own deadline.
  private borrowing func list() throws(EngineError) -> PublishResult {
    let session = parts.session
    let wanted = held.map(\.wanted)
    let devices = wanted.map(\.device)
    let relisted = session.route.hasFrontEndDriver ? [] : wanted.filter { $0.exportedAt != nil }.map(\.device)
    var lastCondition = BusCondition.absent
    let patience = parts.waits.deadlineForRest()
    try parts.removals.adoptThoseOfEndedRuns()
    for attempt in 0..<100 {
      if session.host.isInterrupted() { return .interrupted }
      var isAnotherWaiting = false
      let decision = try session.locked { (lock) throws(HostError) -> ListDecision? in
        if attempt < 3, try lock.hasWaiter() {
          // Another toolstack sleeps on this lock, with a device count it read before: let it write first.
          isAnotherWaiting = true
          return ListDecision(.wait(.round))
        }
        let old: SavedConfiguration
        switch try lock.savedConfiguration() {
        case .absent: return nil
        case .corrupt(let what): return ListDecision(.refuse(.corruptSavedConfiguration, what))
        case .present(let configuration): old = configuration
        }
        // The file first: libxl's rule is that what the store lists is saved, and a saved device that the store
        // does not list is legal. A crash between the two leaves the legal state.
        let new = try old.with(wanted.map { SavedDevice(address: $0.device, options: $0.options) })
        try lock.replace(old, with: new)
        let decision = try lock.decideExport(claimsOn: devices, asking: relisted) { view, pciback in
          let decision = view.backEnd.attachDecision(
            wanted, named: session.busName, mode: session.mode, finishing: parts.removals.mayFinish,
            exportable: pciback.exportable, knowing: pciback.history)
          let present = view.backEnd.present(among: devices)
          guard case .publish(let edits, _) = decision else {
            return (ListDecision(decision, present: present), decision.edits)
          }
          let unclaimed = devices.filter { view.claims[$0] != session.key.id }
            .map { StoreEdit.write(.claim($0), session.key.id.description) }
          let base = view.backEnd.entries.count
          return (ListDecision(decision, base: base, present: present), edits + unclaimed)
        }
        switch decision?.bus {
        case .publish(_, let startsRound): if startsRound { lock.roundStarted() }
        case .alreadyListed: break
        default: try lock.replace(new, with: old)
        }
        return decision
          ?? ListDecision(
            .refuse(.domainDestroying, "the domain or its stub domain is being destroyed"))
      }
      guard let decision else { return .building }
      switch decision.bus {
      case .publish: return .done(base: decision.base, present: decision.present)
      case .alreadyListed: return .listed(present: decision.present)
      case .refuse(let reason, let evidence): return .refused(reason, evidence)
      case .showMarks: guard try parts.waits.awaitSilentRelease() else { return .interrupted }
      case .wait(let condition):
        if isAnotherWaiting {
          try parts.waits.yieldToOther()
          continue
        }
        lastCondition = condition
        guard ContinuousClock.now < patience else { return .restless(condition) }
        switch try parts.buses.rest(from: condition, devices: Set(devices)) {
        case .tryAgain: break
        case .restless(let condition): return .restless(condition)
        case .interrupted: return .interrupted
        }
      }
    }
    return .restless(lastCondition)
  }

  // MARK: Undoing

  /// Returns the devices to Xen, reports `result` of each, and ends the intent.
  consuming func returnToXen(_ detail: OutcomeDetail, result: StepResult) {
    undo(detail, result: result)
    do throws(EngineError) { try parts.claims.close(intent) } catch {
      // A record that cannot be removed reads as an ended run's from now on.
      parts.report.failed(parts.report.describe(error))
    }
  }

  /// Takes the devices back from a bus that pciback has ended. What pciback exported stays listed.
  consuming func abandon(_ bus: BackEnd) throws(EngineError) {
    try parts.buses.dropUnexported(Set(held.map(\.step.device)))
    let text = try parts.session.read(.backEndError(parts.session.busID)) ?? "(no error text from pciback)"
    let ours = Set(held.map(\.step.device))
    let others = bus.entries.compactMap(\.device).filter { !ours.contains($0) }.map(\.description)
    if !others.isEmpty {
      parts.report.amendLost(Set(bus.entries.compactMap(\.device)).subtracting(ours))
      parts.report.failed(
        OutcomeDetail(.busEndedWithOthers, others.joined(separator: ", ")))
    }
    returnToXen(
      OutcomeDetail(.busEnded, "\(bus.state)", "\(bus.frontEndState)", text),
      result: .failed)
  }

  /// Returns the devices to Xen, and removes this run's traces of those that the bus does not list.
  private borrowing func undo(_ detail: OutcomeDetail, result: StepResult) {
    do throws(EngineError) {
      let listed = Set(try parts.session.look().backEnd.entries.compactMap(\.device))
      let gone = held.filter { !listed.contains($0.step.device) }
      parts.claims.release(gone)
      try parts.claims.removeTraces(of: Set(gone.filter(\.isAssignedHere).map(\.step.device)))
      try parts.records.forget(gone.map(\.step))
      for held in held {
        let isUndone = !listed.contains(held.step.device)
        parts.report.conclude([held.step], result, detail, isUndone: isUndone)
      }
    } catch {
      guard case .domainGone = error else {
        return parts.report.conclude(
          held.map(\.step), result, OutcomeDetail(.undoingFailed, detail, parts.report.describe(error)))
      }
      parts.claims.release(held)
      parts.report.conclude(held.map(\.step), result, detail, isUndone: true)
    }
  }
}
