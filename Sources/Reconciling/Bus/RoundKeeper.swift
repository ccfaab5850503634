import Model
import Planning
import Ports
import XenProtocol

/// How cancelling a round ended.
enum CancelResult {
  /// The round was cancelled before any guest could see it.
  case cancelled
  /// The round was cancelled, but the domain woke at that time: it may have begun the round.
  case woken
  /// Cancelling was not safe, and nothing was written.
  case left
}

/// Keeps rounds going, and cancels those that no guest has seen.
struct RoundKeeper {
  let session: DomainSession
  let waits: BusWait

  /// Asks both ends to look again at entries that a round left out.
  func requestAnotherRound() throws(EngineError) {
    _ = try session.locked { (lock) throws(HostError) in
      let isAsked = try lock.decideExport { view, pciback -> (Bool, [StoreEdit]) in
        let waiting = view.backEnd.devices(in: .initialising)
        guard view.backEnd.condition == .connected, !waiting.isEmpty, pciback.exportable.isSuperset(of: waiting) else {
          return (false, [])
        }
        return (true, view.backEnd.requestingRound())
      }
      if isAsked == true { lock.roundStarted() }
    }
  }

  /// Cancels a round of a domain that has slept since before the round began.
  ///
  /// Cancelling is not safe if the round carries somebody else's change as well: that would be left half done.
  func cancelRound(
    removing added: Set<PCIAddress>, restoring marked: Set<PCIAddress>
  ) throws(EngineError) -> CancelResult {
    let isTaken = try session.locked { (lock) throws(HostError) -> Bool? in
      guard try session.hasSleptThroughRound() else { return false }
      return try lock.decide { view -> (Bool, [StoreEdit]) in
        let bus = view.backEnd
        guard bus.state.state == .reconfiguring, bus.frontEndState.state == .connected,
          bus.devices(in: .initialising).isSubset(of: added), bus.devices(in: .closing).isSubset(of: marked)
        else { return (false, []) }
        return (true, bus.cancellingRound(removing: added, restoring: marked))
      }
    }
    guard isTaken == true else { return .left }
    do throws(HostError) { return try session.hasSleptThroughRound() ? .cancelled : .woken } catch {
      throw .host(error)
    }
  }

  /// Completes a round in which each end waits for the other. Returns false if that is not so.
  ///
  /// The caller must have waited for a whole round in vain: until then pciback or the guest may be about to answer.
  /// First pciback is shown the guest's answer once more, then again past each mark. If that changes nothing, the guest
  /// is given pciback's answer. pciback ends that round only if it had answered, and the caller waits for that.
  func completeStuckRound() throws(EngineError) -> Bool {
    if try correct({ $0.lettingGuestConnect() }) { return true }
    if try correct({ $0.restartingAnsweredRound() }, startsRound: true) {
      let outcome = try session.wait(until: session.answerDeadline()) { () throws(EngineError) -> Void? in
        let bus = try session.look().backEnd
        return bus.state.state == .reconfiguring && bus.frontEndState.state != .reconfiguring ? nil : ()
      }
      guard case .satisfied = outcome, case .timedOut = try waits.awaitPCIBack() else { return true }
    }
    guard try correctStuckRound({ $0.repeatingWholeRound() }) else { return false }
    while case .timedOut = try waits.awaitPCIBack() {
      if try correctStuckRound({ $0.passingFirstMark() }) { continue }
      _ = try correctStuckRound { $0.givingPCIBackAnswer() }
      break
    }
    return true
  }

  private func correctStuckRound(_ edits: (BackEnd) -> [StoreEdit]?) throws(EngineError) -> Bool {
    try correct { $0.isRoundStuck ? edits($0) : nil }
  }

  /// Writes what `edits` makes of one transaction's reads. Returns false if that is nil.
  private func correct(
    _ edits: (BackEnd) -> [StoreEdit]?, startsRound: Bool = false
  ) throws(EngineError) -> Bool {
    try session.locked { (lock) throws(HostError) in
      guard try lock.correct(edits) else { return false }
      if startsRound { lock.roundStarted() }
      return true
    }
  }
}

extension BackEnd {
  /// The devices whose entries are in `state`.
  fileprivate func devices(in state: XenbusState) -> Set<PCIAddress> {
    Set(entries.filter { $0.state.state == state }.compactMap(\.device))
  }
}
