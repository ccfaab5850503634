import Model
import Planning
import Ports
import XenProtocol

/// The devices are saved, listed and claimed. The guest may have them.
struct PublishedAttach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let held: [ClaimedDevice]
  private let log: (any ExportLog)?
  /// The index of the first new entry: a hint, since entries are found by address.
  private let base: Int
  /// The devices that the guest had before this run wrote anything.
  private let present: Set<PCIAddress>

  init(
    _ parts: DomainParts, _ intent: consuming OpenedIntent, _ held: [ClaimedDevice], _ log: (any ExportLog)?,
    base: Int, present: Set<PCIAddress>
  ) {
    (self.parts, self.held, self.log, self.base, self.present) = (parts, held, log, base, present)
    self.intent = intent
  }

  /// Proves what can be proven of a domain that has never run, and ends the intent if everything is proven.
  consuming func proveCold() throws(EngineError) {
    if try AttachProof(parts: parts).concludeCold(held) { try parts.claims.close(intent) }
  }

  /// Waits for the guest, and repairs what another toolstack did to the entries meanwhile. `RoundPolicy` says what is
  /// done next; each move is made here.
  ///
  /// Returns nil if no device is left of which the guest has been proven to have it; then everything is reported.
  consuming func follow() throws(EngineError) -> TakenAttach? {
    var held = held
    var policy = RoundPolicy()
    var move = policy.first()
    parts.report.announceWait(held.map(\.step), until: parts.session.answerDeadline())
    while true {
      let reading: RoundReading
      switch move {
      case .prove(let bus):
        if try parts.others.audit(held.map(\.step.device), bus, log: log) {
          parts.report.reached(.taken, held.map(\.step))
          return TakenAttach(parts, intent, held, bus, present: present)
        }
        reading = .notMade
      case .dropDetached(let detached):
        try AttachProof(parts: parts).concludeDetached(held.filter { detached.contains($0.step.device) })
        held.removeAll { detached.contains($0.step.device) }
        guard !held.isEmpty else {
          try parts.claims.close(intent)
          return nil
        }
        reading = .made
      case .abandon(let bus):
        try ClaimedAttach(parts, intent, held, log).abandon(bus)
        return nil
      case .leave:
        parts.report.conclude(
          held.map(\.step), .unknown,
          OutcomeDetail(.overwrittenUnclear))
        return nil
      case .concludeTimedOut:
        try concludeTimedOut(held)
        return nil
      case .look, .findCause, .readopt, .requestAnotherRound, .completeStuckRound, .replaceBus:
        reading = try make(move, of: held)
      }
      move = policy.next(after: reading)
    }
  }

  /// Makes a move after which the devices are still to be followed. Returns what came of it.
  private borrowing func make(_ move: RoundMove, of held: [ClaimedDevice]) throws(EngineError) -> RoundReading {
    switch move {
    case .findCause(let lost):
      parts.session.noteOthers()
      let detached = try parts.others.detachedByOthers(lost)
      return detached.isEmpty ? .overwritten(lost) : .detached(detached)
    case .readopt(let lost): return try parts.others.readopt(lost, of: held, log: log) ? .made : .notMade
    case .requestAnotherRound:
      try parts.rounds.requestAnotherRound()
      return .made
    case .completeStuckRound: return try parts.rounds.completeStuckRound() ? .made : .notMade
    case .replaceBus(.endedWithEarlierBus):
      // The guest had devices on the earlier bus. It releases them slowly, because they no longer answer, and closes
      // what has its front end's path by then (`xenbus_dev_remove`, drivers/xen/xenbus/xenbus_probe.c, Linux 6.1).
      return try parts.buses.replaceBus(of: held) { $0.condition == .closing || $0.isGoing } ? .made : .notMade
    case .replaceBus(.unnoticed):
      let hasDriver = parts.session.route.hasFrontEndDriver
      return try parts.buses.replaceBus(of: held) {
        $0.hasGoneUnnoticed && (hasDriver || $0.frontEndState.isAbsent)
      } ? .made : .notMade
    case .look: return try look(for: held)
    // These end the batch, or change it: `follow` makes them.
    case .prove, .dropDetached, .abandon, .leave, .concludeTimedOut: return .notMade
    }
  }

  /// Waits once for the guest.
  private borrowing func look(for held: [ClaimedDevice]) throws(EngineError) -> RoundReading {
    // A new deadline for each: the guest needs its time for each round, and an audit may have taken longer than that.
    let deadline = parts.session.answerDeadline()
    switch try parts.waits.awaitTaken(held.map(\.step.device), base: base, until: deadline) {
    case .satisfied(.taken(let bus)): return .taken(bus)
    case .satisfied(.lost(let lost, _)): return .lost(lost)
    case .satisfied(.overlooked): return .overlooked
    case .satisfied(.dead(let bus)): return .dead(bus)
    case .timedOut: return .timedOut
    case .interrupted: return .interrupted
    }
  }

  // MARK: Undoing

  /// The guest did not answer in time: the round is cancelled only if the guest is known to sleep.
  private consuming func concludeTimedOut(_ held: [ClaimedDevice]) throws(EngineError) {
    let devices = Set(held.map(\.step.device))
    switch try parts.rounds.cancelRound(removing: devices, restoring: []) {
    case .cancelled:
      return ClaimedAttach(parts, intent, held, log)
        .returnToXen(OutcomeDetail(.cannotAnswer), result: .unknown)
    case .woken: return parts.report.conclude(held.map(\.step), .unknown, OutcomeDetail(.wokeMeanwhile))
    case .left: break
    }
    let bus = try parts.session.look().backEnd
    if bus.condition == .closing { return try ClaimedAttach(parts, intent, held, log).abandon(bus) }
    for held in held {
      parts.report.conclude(
        held.step, .unknown,
        OutcomeDetail(.silentAttach, silence(of: bus), "\(bus.state)", "\(bus.frontEndState)"),
        evidence: bus.evidence(for: bus.entry(for: held.step.device)))
    }
  }

  /// Returns what a guest has not done that did not answer.
  private borrowing func silence(of bus: BackEnd) -> OutcomeDetail {
    guard bus.condition == .connecting, bus.frontEndState.state == .initialising else {
      return OutcomeDetail(parts.session.host.isInterrupted() ? .guestSilentAtStop : .guestSilent)
    }
    let who = parts.session.route.stubDomain.map { "stub domain \($0.id)" } ?? "the guest"
    return OutcomeDetail(.notConnected, who)
  }
}
