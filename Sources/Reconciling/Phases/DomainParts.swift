import Model
import Planning

/// The parts of one run's work on one domain. The phases share them.
struct DomainParts {
  let session: DomainSession
  let report: RunReport
  let records: DomainRecords
  let intents: IntentLog
  let removals: RemovalLedger
  let claims: ClaimLedger
  let otherRuns: OtherRuns
  let waits: BusWait
  let rounds: RoundKeeper
  let buses: BusKeeper
  let restorer: EntryRestorer
  let remover: EntryRemover
  let others: OtherToolstacks
  let model: any GuestModel

  /// `known` are the devices that the domain had when it was planned.
  init(_ session: DomainSession, known: Set<PCIAddress>, announce: @escaping (RunEvent.Kind) -> Void) {
    self.session = session
    report = RunReport(session: session, announce: announce)
    records = DomainRecords(session: session)
    intents = IntentLog(session: session)
    removals = RemovalLedger(session: session, intents: intents, records: records)
    let exports = PriorExports(session: session, records: records, intents: intents, removals: removals)
    claims = ClaimLedger(
      session: session, report: report, intents: intents, removals: removals, records: records, exports: exports)
    otherRuns = OtherRuns(session: session, report: report, intents: intents)
    waits = BusWait(session: session, removals: removals)
    rounds = RoundKeeper(session: session, waits: waits)
    buses = BusKeeper(session: session, removals: removals, waits: waits, rounds: rounds)
    restorer = EntryRestorer(
      session: session, report: report, removals: removals, exports: exports, waits: waits)
    remover = EntryRemover(
      session: session, records: records, removals: removals, waits: waits, rounds: rounds, buses: buses)
    others = OtherToolstacks(
      session: session, report: report, records: records, intents: intents, removals: removals, waits: waits,
      buses: buses, known: known)
    model = session.route.guestModel(session, report, records, intents)
  }
}
