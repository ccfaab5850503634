import Model
import Planning
import Ports
import XenProtocol

/// libxl waits this long for a back end before it gives up (`libxl__wait_for_backend`,
/// tools/libs/light/libxl_device.c), and a little more for the work around it. After this, no toolstack acts on what it
/// once read.
let longestToolstackWait = Duration.seconds(12)

/// A removal that another toolstack marked is left alone this long: it continues by the index it has read.
let foreignRemovalGrace = Duration.seconds(15)

/// pciback answers in milliseconds. It is given this long when it is shown a guest's answer again.
let pcibackPatience = Duration.seconds(2)

/// What a guest made of a round.
enum RoundResult {
  /// Every device is exported, and both ends are connected.
  case taken(BackEnd)
  /// At rest, and these entries are not there any more: someone overwrote them.
  case lost(Set<PCIAddress>, BackEnd)
  /// At rest, and these entries were not looked at: the bus needs one more round.
  case overlooked(BackEnd)
  /// pciback ended the bus.
  case dead(BackEnd)
}

/// Waits for a domain's bus, on watches and with a deadline.
///
/// None of these writes. What a wait finds is read again in the transaction that acts on it. The caller must hold no
/// lock.
struct BusWait {
  let session: DomainSession
  let removals: RemovalLedger

  /// Returns when to give up on a bus that is never at rest. A guest can keep its bus moving for ever.
  func deadlineForRest() -> ContinuousClock.Instant {
    ContinuousClock.now.advanced(by: session.options.waitTimeout * 6).advanced(by: foreignRemovalGrace)
  }

  // MARK: A round

  /// Waits until the guest has all of `devices`, or until that can no longer be.
  ///
  /// `base` is the index of the first new entry: a hint that makes most looks cheap. Entries are found by address.
  func awaitTaken(_ devices: [PCIAddress], base: Int, until deadline: ContinuousClock.Instant) throws(EngineError)
    -> WaitOutcome<RoundResult>
  {
    let back = StorePath.backEnd(session.busID)
    let hint = back.child("dev-\(base)")
    return try session.wait(until: deadline) { () throws(EngineError) -> RoundResult? in
      let state = StateNode(try session.read(back.child("state"))).state
      switch state {
      case .reconfiguring, .reconfigured: return nil
      case .connected:
        let front = StateNode(try session.read(StorePath.frontEnd(session.busID).child("state"))).state
        guard front == .connected else { return nil }
      case .initialising, .initWait,
        .initialised where session.route.hasFrontEndDriver:
        // The guest is connecting. Only a bus that somebody recreated meanwhile is of interest.
        if try session.read(hint).flatMap({ PCIAddress($0) }) == devices.first { return nil }
      default: break
      }
      return try self.judge(devices, try session.look().backEnd)
    }
  }

  /// Returns what one consistent look says of `devices`; nil if the answer is still to come.
  func judge(_ devices: [PCIAddress], _ bus: BackEnd) throws(EngineError) -> RoundResult? {
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

  /// Waits until no round is running. Returns the bus as it is then.
  func awaitEndOfRound() throws(EngineError) -> WaitOutcome<BackEnd> {
    let (back, front) = (
      StorePath.backEnd(session.busID).child("state"), StorePath.frontEnd(session.busID).child("state")
    )
    return try session.wait(until: session.answerDeadline()) { () throws(EngineError) -> BackEnd? in
      switch StateNode(try session.read(back)).state {
      case .reconfiguring, .reconfigured: return nil
      case .connected where session.route.hasFrontEndDriver:
        // The guest's half is to come. The state of a bus that has ended shows nothing of that half.
        if StateNode(try session.read(front)).state == .reconfiguring { return nil }
      default: break
      }
      let bus = try session.look().backEnd
      switch bus.condition {
      case .round, .settling, .torn: return nil
      default: return bus
      }
    }
  }

  /// Gives pciback the time to answer a guest that has done its half of a round.
  func awaitPCIBack() throws(EngineError) -> WaitOutcome<Void> {
    try session.wait(until: ContinuousClock.now + pcibackPatience) { () throws(EngineError) -> Void? in
      try session.look().backEnd.isRoundStuck ? nil : ()
    }
  }

  /// Gives pciback the time to release marked devices of a bus that nobody answers.
  ///
  /// pciback does so in milliseconds. It writes no node, and sysfs shows nothing of it (`xen_pcibk_be_watch`, Linux
  /// drivers/xen/xen-pciback/xenbus.c). Only a bus that goes as a whole is seen to go. Returns false if the user
  /// stopped the wait: then nothing may be deleted yet.
  func awaitSilentRelease() throws(EngineError) -> Bool {
    let outcome = try session.wait(until: ContinuousClock.now + .seconds(1)) { () throws(EngineError) -> Void? in
      try session.look().backEnd.isAbsent ? () : nil
    }
    if case .interrupted = outcome { return false }
    return true
  }

  // MARK: Rest

  /// Waits until no round, start or closing is running.
  ///
  /// A round may leave entries marked for removal, and that ends the wait for the round. Whoever began the round
  /// deletes them. If that run has ended, the caller has to.
  func awaitRest(from condition: BusCondition) throws(EngineError) -> WaitOutcome<Void> {
    let patience: Duration
    if case .halfRemoved(let devices) = condition {
      patience = foreignRemovalGrace
      if !session.hasSeenOthers, !removals.areOurs(devices) { session.noteOthers() }
    } else {
      patience = session.options.waitTimeout
    }
    let deadline = ContinuousClock.now + patience
    if condition == .vanishing || condition == .closing {
      return try awaitKernelRelease(until: deadline)
    }
    let watched: [StorePath] =
      if case .halfRemoved = condition { [.backEnd(session.busID)] } else { session.busNodes }
    return try session.wait(until: deadline, watching: watched) { () throws(EngineError) -> Void? in
      switch try session.look().backEnd.condition {
      case .round, .settling, .torn: nil
      case .halfRemoved:
        if case .halfRemoved = condition { nil } else { () }
      case .connecting where condition == .connecting: nil
      default: ()
      }
    }
  }

  /// Gives another toolstack that was seen asleep on the lock a moment to get it and write.
  func yieldToOther() throws(EngineError) {
    let before = try session.look().backEnd
    _ = try session.wait(until: ContinuousClock.now + .milliseconds(200), watching: [.backEnd(session.busID)]) {
      () throws(EngineError) -> Void? in try session.look().backEnd == before ? nil : ()
    }
  }

  // MARK: The end of a bus

  /// Waits until dom0's kernel has dropped its object of the back end, or the bus is connected again.
  ///
  /// sysfs reports no event when an object goes, so this looks again after short, growing pauses.
  func awaitKernelRelease(
    until deadline: ContinuousClock.Instant, isInterruptible: Bool = true
  ) throws(EngineError) -> WaitOutcome<Void> {
    try lookAgain(until: deadline, isInterruptible: isInterruptible) { () throws(EngineError) -> Void? in
      switch try session.look().backEnd.condition {
      case .vanishing, .closing: nil
      default: ()
      }
    }
  }

  /// Waits until the kernel has dropped the closed bus, at most until the deadline.
  func awaitClosed(until deadline: ContinuousClock.Instant) throws(EngineError) {
    _ = try lookAgain(until: deadline, isInterruptible: true) { () throws(EngineError) -> Void? in
      do throws(HostError) {
        return try session.host.tree.hasBackEndObject(for: session.busID) ? nil : ()
      } catch {
        throw .host(error)
      }
    }
  }

  /// Looks again and again at what sysfs shows, after growing pauses, until the deadline.
  private func lookAgain(
    until deadline: ContinuousClock.Instant, isInterruptible: Bool, _ condition: () throws(EngineError) -> Void?
  ) throws(EngineError) -> WaitOutcome<Void> {
    var backoff = Backoff(from: .milliseconds(2), to: .milliseconds(100))
    while true {
      let end = min(deadline, ContinuousClock.now + backoff.next())
      let outcome = try session.wait(until: end, isInterruptible: isInterruptible, condition)
      if case .timedOut = outcome, end < deadline { continue }
      return outcome
    }
  }

  /// Gives a running guest the time to see that its front end is gone. No node shows when it has.
  func awaitGuestNotice(for time: Duration = .seconds(1), isInterruptible: Bool = true) throws(EngineError) {
    guard session.mode == .hot, session.route.hasFrontEndDriver else { return }
    let end = ContinuousClock.now + time
    _ = try session.wait(until: end, watching: [.frontEnd(session.busID)], isInterruptible: isInterruptible) {
      () throws(EngineError) -> Void? in nil
    }
  }
}
