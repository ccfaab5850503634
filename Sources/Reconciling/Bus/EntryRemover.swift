import Model
import Planning
import Ports
import XenProtocol

/// How marking a batch for removal ended.
enum MarkResult {
  /// The round runs, for these marked devices. The others have been released before, and are off the bus.
  case round(Set<PCIAddress>)
  /// The guest has released them, or never had them.
  case released
  /// The bus at rest does not list all devices that were expected. Nothing was marked.
  case overwritten
  case refused(BusRefusal, String)
  case restless(BusCondition)
  case interrupted
}

/// Takes entries off the bus: marks them in one round, and deletes them when both ends have finished with them.
struct EntryRemover {
  let session: DomainSession
  let records: DomainRecords
  let removals: RemovalLedger
  let waits: BusWait
  let rounds: RoundKeeper
  let buses: BusKeeper

  /// What the transaction that marks devices found.
  private enum Finding {
    case overwritten
    case decision(DetachDecision)
  }

  /// Marks the devices and starts the round, in one transaction under libxl's lock. The bus must list those that are
  /// `expected`.
  func mark(_ devices: Set<PCIAddress>, expecting expected: Set<PCIAddress> = []) throws(EngineError) -> MarkResult {
    var lastCondition = BusCondition.absent
    var staying: [BackEndEntry]?
    // A guest that has not looked at its bus for a whole wait never had the devices: as one that has never run.
    var mode = session.mode
    let patience = waits.deadlineForRest()
    try removals.adoptThoseOfEndedRuns()
    for _ in 0..<100 {
      if session.host.isInterrupted(), staying == nil { return .interrupted }
      if let entries = staying {
        return try buses.recreateEmptyBus(keeping: entries) ? .released : .restless(.vanishing)
      }
      let finding = try session.locked { (lock) throws(HostError) -> Finding? in
        let finding = try lock.decideExport { view, pciback -> (Finding, [StoreEdit]) in
          let decision = view.backEnd.detachDecision(
            devices, mode: mode, finishing: removals.mayFinish, exportable: pciback.exportable,
            knowing: pciback.history)
          switch decision {
          // A bus that is not at rest may list the devices again.
          case .wait, .refuse: return (.decision(decision), [])
          case _ where !expected.isSubset(of: view.backEnd.entries.compactMap(\.device)): return (.overwritten, [])
          case .mark(let edits, _), .dropBus(let edits, _): return (.decision(decision), edits)
          case .notListed, .alreadyMarked: return (.decision(decision), [])
          }
        }
        if case .decision(.mark)? = finding { lock.roundStarted() }
        return finding
      }
      let decision: DetachDecision
      switch finding {
      case nil: throw .domainGone
      case .overwritten?: return .overwritten
      case .decision(let found)?: decision = found
      }
      switch decision {
      case .mark(_, let marked):
        removals.retract(marked)
        return .round(marked)
      case .notListed, .alreadyMarked: return .released
      case .dropBus(_, let entries): staying = entries
      case .refuse(let reason, let evidence): return .refused(reason, evidence)
      case .wait(let condition):
        lastCondition = condition
        guard ContinuousClock.now < patience else { return .restless(condition) }
        switch try waits.awaitRest(from: condition) {
        case .satisfied: continue
        case .interrupted: return .interrupted
        case .timedOut:
          switch condition {
          case .halfRemoved(let left): try removals.adoptOverdue(left)
          case .torn, .round: guard try rounds.completeStuckRound() else { return .restless(condition) }
          case .connecting where mode == .hot: mode = .cold
          default: return .restless(condition)
          }
        }
      }
    }
    return .restless(lastCondition)
  }

  /// Deletes the entries whose removal both ends have finished. Returns the devices that are still listed.
  func compact(_ devices: Set<PCIAddress>) throws(EngineError) -> Set<PCIAddress> {
    let listed = try session.locked { (lock) throws(HostError) in
      try lock.decide { view -> (Set<PCIAddress>, [StoreEdit]) in
        let compaction = view.backEnd.compaction(of: devices)
        return (Set((compaction?.kept ?? view.backEnd.entries).compactMap(\.device)), compaction?.edits ?? [])
      }
    }
    guard let listed else { throw .domainGone }
    return listed
  }

  /// Gives pciback the time to release marked devices of a bus that nobody answers. Returns false if the user stopped
  /// the wait.
  ///
  /// If another toolstack wrote 7 meanwhile, pciback may not have read the marks: they are shown again.
  func awaitSilentRelease(of devices: Set<PCIAddress>) throws(EngineError) -> Bool {
    removals.addOwn(devices)
    for _ in 0..<3 {
      guard try waits.awaitSilentRelease() else { return false }
      let bus = try session.look().backEnd
      guard bus.isUnsettled, case .halfRemoved = bus.condition, case .round = try mark(devices) else { break }
    }
    return true
  }

  /// Takes devices that no guest uses off the bus. Returns false if that did not end. The caller returns them to Xen.
  func clearBus(of devices: Set<PCIAddress>) throws(EngineError) -> Bool {
    guard !devices.isEmpty else { return true }
    switch try mark(devices) {
    case .released: break
    case .round:
      let isOver =
        try session.route.hasFrontEndDriver ? isSatisfied(waits.awaitEndOfRound()) : awaitSilentRelease(of: devices)
      guard isOver else { return false }
    case .refused, .restless, .interrupted, .overwritten: return false
    }
    removals.addOwn(devices)
    try records.forgetExports(devices)
    let listed = try compact(devices)
    try buses.closeEmptyBus()
    return listed.isDisjoint(with: devices)
  }

  private func isSatisfied(_ outcome: WaitOutcome<BackEnd>) -> Bool {
    if case .satisfied = outcome { true } else { false }
  }
}
