import Model
import Ports
import XenProtocol

/// libxl waits this long for a back end before it gives up (`libxl__wait_for_backend`, tools/libs/light/libxl_device.c),
/// and a little more for the work around it: after this, what another toolstack once read is no longer acted on.
let longestToolstackWait = Duration.seconds(12)

/// A removal that another toolstack marked is left alone this long: it goes on by the index it has read.
let foreignRemovalGrace = Duration.seconds(15)

/// pciback answers in milliseconds; this is how long it is given when it is shown a guest's answer again.
let pcibackPatience = Duration.seconds(2)

/// What a guest made of a round.
enum Answer {
  /// Every device is exported, and both ends are connected.
  case taken(BackEnd)
  /// At rest, and these entries are not there any more: someone overwrote them.
  case lost(Set<PCIAddress>, BackEnd)
  /// At rest, and these entries were not looked at: the bus needs one more round.
  case overlooked(BackEnd)
  /// pciback ended the bus.
  case dead(BackEnd)
}

extension DomainWorker {
  private var busNodes: [StorePath] {
    // Where no front end answers, pciback tells of what it did in the entries alone.
    route.hasFrontEndDriver
      ? [StorePath.backEnd(busID).child("state"), StorePath.frontEnd(busID).child("state")] : [.backEnd(busID)]
  }

  /// When to give up on a bus that is never at rest, though each wait saw it move: a guest can keep it so for ever.
  var busiestBus: ContinuousClock.Instant {
    ContinuousClock.now.advanced(by: options.waitTimeout * 6).advanced(by: foreignRemovalGrace)
  }

  /// Waits until the guest has all of `devices`, or until that can no longer be.
  ///
  /// `base` is where the entries were put: a hint that makes most looks cheap. What counts is found by address.
  /// The caller must hold no lock.
  func awaitTaken(_ devices: [PCIAddress], base: Int, until deadline: ContinuousClock.Instant) throws(Stop)
    -> WaitOutcome<Answer>
  {
    let back = StorePath.backEnd(busID)
    let hint = back.child("dev-\(base)")
    return try wait(until: deadline) { () throws(Stop) -> Answer? in
      let state = StateNode(try self.read(back.child("state"))).state
      switch state {
      case .reconfiguring, .reconfigured: return nil
      case .connected:
        let front = StateNode(try self.read(StorePath.frontEnd(self.busID).child("state"))).state
        guard front == .connected else { return nil }
      case .initialising, .initWait,
        .initialised where self.route.hasFrontEndDriver:
        // The guest is connecting. Only a bus that was made anew under us is of interest.
        if try self.read(hint).flatMap({ PCIAddress($0) }) == devices.first { return nil }
      default: break
      }
      return try self.judge(devices, try self.look().backEnd)
    }
  }

  /// What one consistent look says of `devices`; nil where the answer is still to come.
  func judge(_ devices: [PCIAddress], _ bus: BackEnd) throws(Stop) -> Answer? {
    let entries = devices.map { bus.entry(for: $0) }
    switch bus.condition {
    case .round, .settling, .torn: return nil
    case .closing: return .dead(bus)
    case .absent, .vanishing, .corrupt, .connecting:
      let lost = zip(devices, entries).filter { $0.1 == nil }.map(\.0)
      return lost.isEmpty ? nil : .lost(Set(lost), bus)
    case .holding:
      let lost = zip(devices, entries).filter { $0.1 == nil }.map(\.0)
      if !lost.isEmpty { return .lost(Set(lost), bus) }
      return entries.allSatisfy { $0?.isExported == true } ? .taken(bus) : nil
    case .connected, .halfRemoved:
      let lost = zip(devices, entries).filter { $0.1 == nil }.map(\.0)
      if !lost.isEmpty { return .lost(Set(lost), bus) }
      return entries.allSatisfy { $0?.isExported == true } ? .taken(bus) : .overlooked(bus)
    }
  }

  /// Waits until no round, start or closing is under way; false when the deadline came first.
  ///
  /// A round may leave entries marked for removal. Whoever began it deletes them, unless it is dead: then the caller has
  /// to, so that this is an end of the wait for the round.
  /// The caller must hold no lock. What it finds is proved again inside the next transaction.
  func awaitRest(from condition: BusCondition) throws(Stop) -> WaitOutcome<Void> {
    let patience: Duration
    if case .halfRemoved(let devices) = condition {
      patience = foreignRemovalGrace
      sawOthers = sawOthers || !isOurs(devices)
    } else {
      patience = options.waitTimeout
    }
    let deadline = ContinuousClock.now + patience
    if condition == .vanishing || condition == .closing {
      return try awaitKernelRelease(until: deadline)
    }
    let watched: [StorePath] =
      if case .halfRemoved = condition { [.backEnd(busID)] } else { busNodes }
    return try wait(until: deadline, watching: watched) { () throws(Stop) -> Void? in
      switch try self.look().backEnd.condition {
      case .round, .settling, .torn: nil
      case .halfRemoved:
        if case .halfRemoved = condition { nil } else { () }
      case .connecting where condition == .connecting: nil
      default: ()
      }
    }
  }

  /// Waits until dom0's kernel has dropped its object of the back end, or the bus is connected again.
  ///
  /// sysfs tells nobody when an object goes, so this looks again at short, growing intervals.
  func awaitKernelRelease(until deadline: ContinuousClock.Instant) throws(Stop) -> WaitOutcome<Void> {
    var pause = Duration.milliseconds(2)
    while true {
      let now = ContinuousClock.now
      let end = min(deadline, now + pause)
      let outcome = try wait(until: end) { () throws(Stop) -> Void? in
        switch try self.look().backEnd.condition {
        case .vanishing, .closing: nil
        default: ()
        }
      }
      if case .timedOut = outcome, end < deadline {
        pause = min(pause * 2, .milliseconds(100))
        continue
      }
      return outcome
    }
  }

  /// Gets a round going again in which each end waits for the other; false where that is not so.
  ///
  /// Only after a whole wait in vain: until then pciback or the guest may be about to answer. First pciback is shown
  /// the guest's answer once more, then again past each mark; where that changes nothing, the guest is given pciback's.
  /// Whether pciback ends that round too is for the caller to wait for: it does if it had answered, and only then.
  func unstickRound() throws(Stop) -> Bool {
    if try correct({ $0.lettingGuestConnect() }) { return true }
    if try correct({ $0.restartingAnsweredRound() }) {
      noteRound()
      let outcome = try wait(until: ContinuousClock.now + options.waitTimeout) { () throws(Stop) -> Void? in
        let bus = try self.look().backEnd
        return bus.state.state == .reconfiguring && bus.frontEndState.state != .reconfiguring ? nil : ()
      }
      guard case .satisfied = outcome, case .timedOut = try awaitPCIBack() else { return true }
    }
    guard try correctStuckRound({ $0.repeatingWholeRound() }) else { return false }
    while case .timedOut = try awaitPCIBack() {
      if try correctStuckRound({ $0.passingFirstMark() }) { continue }
      _ = try correctStuckRound { $0.givingPCIBackAnswer() }
      break
    }
    return true
  }

  /// Gives pciback the time to answer a guest that has done its half of a round.
  private func awaitPCIBack() throws(Stop) -> WaitOutcome<Void> {
    try wait(until: ContinuousClock.now + pcibackPatience) { () throws(Stop) -> Void? in
      try self.look().backEnd.isRoundStuck ? nil : ()
    }
  }

  private func correctStuckRound(_ edits: (BackEnd) -> [StoreEdit]?) throws(Stop) -> Bool {
    try correct { $0.isRoundStuck ? edits($0) : nil }
  }

  /// Writes what `edits` makes of one transaction's reads; false where that is nil.
  private func correct(_ edits: (BackEnd) -> [StoreEdit]?) throws(Stop) -> Bool {
    let isCorrected = try locked { (_) throws(HostError) -> Bool? in
      try transact { view in
        guard let edits = edits(view.backEnd) else { return (false, []) }
        return (true, edits)
      }
    }
    return isCorrected == true
  }

  /// Whether every one of `devices` is in a Berth's journal for this domain.
  func isOurs(_ devices: Set<PCIAddress>) -> Bool {
    do throws(HostError) {
      let intended = try host.intents.intents().filter { $0.domain == key }.flatMap(\.devices)
      return devices.subtracting(finished).isSubset(of: intended)
    } catch {
      // A journal that cannot be read proves nothing: treat the devices as another's, which only waits longer.
      return false
    }
  }

  func read(_ path: StorePath) throws(Stop) -> String? {
    do throws(HostError) { return try store.read(path) } catch { throw .failed(error) }
  }

  /// Waits on the bus's state nodes with a condition that may find the domain gone.
  func wait<Result>(
    until deadline: ContinuousClock.Instant, watching paths: [StorePath]? = nil,
    _ condition: () throws(Stop) -> Result?
  ) throws(Stop) -> WaitOutcome<Result> {
    var stop: Stop?
    let outcome: WaitOutcome<Result?>
    do throws(HostError) {
      outcome = try store.wait(watching: paths ?? busNodes, until: deadline) { () throws(HostError) -> Result?? in
        do throws(Stop) {
          guard let result = try condition() else { return nil }
          return .some(result)
        } catch {
          stop = error
          return .some(nil)
        }
      }
    } catch {
      throw .failed(error)
    }
    if let stop { throw stop }
    switch outcome {
    case .satisfied(let result?): return .satisfied(result)
    case .satisfied(nil), .timedOut: return .timedOut
    case .interrupted: return .interrupted
    }
  }
}
