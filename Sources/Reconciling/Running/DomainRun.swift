import Model
import Planning
import XenProtocol

/// The work of one run on one domain: its own connection, one thread, one step after the other.
///
/// A folder calls only what is to its right, and nothing calls back; `make rules` checks it:
///
/// ```
/// Running   ─► Phases ─► Bus, DeviceModels          ─► Ledgers       ─► Session       ─► ports
///              Attach    OtherToolstacks               ClaimLedger      DomainSession
///              Detach    EntryRestorer, EntryRemover   RemovalLedger      lends LockedDomain
///              Repair    BusKeeper ─► RoundKeeper      IntentLog        DomainRecords
///              Adopt     BusWait                       OtherRuns        RunReport
///                        GuestModel                    PriorExports
/// ```
///
/// The phases read like the protocol that they carry out: claim, publish in one transaction under libxl's lock, wait
/// outside both, prove, and undo what this run did if that is safe.
struct DomainRun {
  private let parts: DomainParts

  /// `known` are the devices that the domain had when it was planned.
  init(_ session: DomainSession, known: Set<PCIAddress>, announce: @escaping (RunEvent.Kind) -> Void) {
    parts = DomainParts(session, known: known, announce: announce)
  }

  /// Returns what `body` has done to the domain, and discards the intents of ended runs that it settled.
  func outcome(of body: (DomainRun) throws(EngineError) -> Void) -> DomainOutcome {
    do throws(EngineError) {
      try body(self)
      try parts.intents.discardSettled(by: parts.report)
    } catch {
      parts.report.endedEarly(error)
    }
    do throws(EngineError) { try parts.records.noteRefusals(parts.report.whole) } catch {
      parts.report.endedEarly(error)
    }
    return parts.report.whole
  }

  /// Makes all changes but the attaches that wait for a moved device: adoptions, repairs, removals, then additions.
  func begin(_ work: DomainWork) throws(EngineError) {
    try AdoptPhase(parts: parts).adopt(work.adoptions)
    try RepairPhase(parts: parts).repair(work.repairs)
    let additions = work.additions + work.reattachments.map(\.addition) + work.arrivals
    try DetachPhases(parts: parts).detach(
      work.removals + work.reattachments.map(\.removal), keepsBus: !additions.isEmpty)
    guard !work.waitsForOthers else { return }
    // Nothing is reported yet of the reattaching of devices that this run has detached. What was repaired of them
    // before is another matter.
    try AttachPhases(parts: parts).attach(work.additions + parts.report.unconcluded(work.reattachments.map(\.addition)))
    try closeBusKeptInVain(work)
  }

  /// Closes an empty bus that was left standing for attaches which came to nothing: libxl cannot use such a bus.
  private func closeBusKeptInVain(_ work: DomainWork) throws(EngineError) {
    guard !work.removals.isEmpty || !work.reattachments.isEmpty else { return }
    guard try parts.session.look().backEnd.count == .number(0) else { return }
    try parts.buses.closeEmptyBus()
  }

  /// Makes the attaches of a domain that gets a moved device.
  func completeMoves(_ work: DomainWork, given: Set<PCIAddress>, besides kept: Set<PCIAddress>) throws(EngineError) {
    let arrived = work.arrivals.filter { given.contains($0.device) }
    let missing = work.arrivals.filter { !given.contains($0.device) }
    parts.report.conclude(missing, .pending, OutcomeDetail(.oldDomainKeepsIt))
    let listed = Set(try parts.session.look().backEnd.entries.compactMap(\.device))
    let returned = work.reattachments.map(\.addition)
      .filter { !listed.contains($0.device) && !kept.contains($0.device) }
    try AttachPhases(parts: parts).attach(work.additions + returned + arrived)
    try closeBusKeptInVain(work)
  }
}
