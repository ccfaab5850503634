import Model
import Planning
import Ports
import XenProtocol

/// How marking a batch for removal ended.
private enum Marked {
  /// The round runs.
  case round
  /// The guest has let go, or never had them.
  case released
  case refused(BusRefusal, String)
  case restless(BusCondition)
  case interrupted
}

extension DomainWorker {
  /// Detaches the devices of `steps` in one round: the guest lets go first, then access is taken away.
  ///
  /// `keepsBus` leaves an emptied bus standing for the attach that follows. Of devices to reattach nothing is
  /// concluded where they are gone.
  func detach(_ steps: [Removal], keepsBus: Bool) throws(Stop) {
    guard !steps.isEmpty else { return }
    var steps = try restoreEntries(of: steps)
    guard !steps.isEmpty else { return }
    // On disk before the marks: it tells this half-done removal from another toolstack's.
    let intent = try openIntent(.detach, steps.map(\.device).sorted())
    steps = try withdrawn(steps)
    guard !steps.isEmpty else { return try intent.finish() }
    let all = steps.count
    if route.hasDeviceModel { steps = try withdraw(steps) }
    guard !steps.isEmpty else { return intent.leave() }
    let devices = Set(steps.map(\.device))
    // Once QEMU has let go, the guest has lost the devices, whatever becomes of the rest: the intent tells of it.
    func end() throws(Stop) { if route.hasDeviceModel { intent.leave() } else { try intent.finish() } }
    var marked: Marked
    do throws(Stop) {
      marked = try mark(devices)
      if case .released = marked, try relistExported(steps) { marked = try mark(devices) }
    } catch {
      // Without the lock nothing was marked; otherwise a commit may have been made whose answer was lost.
      if error.isLockBusy { try end() } else { intent.leave() }
      throw error
    }
    switch marked {
    case .refused(let reason, let evidence):
      conclude(steps, .blocked, "\(reason.rawValue): \(evidence)")
      return try end()
    case .restless(let condition):
      conclude(steps, .unknown, "the bus did not come to rest: \(String(describing: condition))")
      return try end()
    case .interrupted:
      conclude(
        steps, .interrupted,
        route.hasDeviceModel ? "stopped after QEMU had taken it from the guest" : "stopped before the change")
      return try end()
    case .round:
      guard try route.hasFrontEndDriver ? awaitRemoval(steps) : awaitSilentRelease() else {
        if !route.hasFrontEndDriver {
          conclude(steps, .interrupted, "stopped before pciback had released it; the next apply ends it")
        }
        return intent.leave()
      }
    case .released: break
    }
    finished.formUnion(devices)
    try forgetExports(devices)
    let isDone = try giveBack(steps, listed: try compact(devices))
    if !keepsBus { try closeEmptyBus() }
    if isDone, steps.count == all { try intent.finish() } else { intent.leave() }
  }

  /// Marks the devices and starts the round, in one transaction under libxl's lock.
  private func mark(_ devices: Set<PCIAddress>) throws(Stop) -> Marked {
    var lastCondition = BusCondition.absent
    var staying: [BackEndEntry]?
    let patience = busiestBus
    try adoptOwnRemovals()
    for _ in 0..<100 {
      if host.isInterrupted(), staying == nil { return .interrupted }
      if let entries = staying { return try remake(entries) }
      let decision = try locked { (_) throws(HostError) -> DetachDecision? in
        try transact { view -> (DetachDecision, [StoreEdit]) in
          let decision = view.backEnd.detachDecision(devices, mode: mode, finishing: finished)
          switch decision {
          case .mark(let edits), .dropBus(let edits, _): return (decision, edits)
          default: return (decision, [])
          }
        }
      }
      switch decision {
      case nil: throw .gone
      case .mark?:
        noteRound()
        return .round
      case .notListed?, .alreadyMarked?: return .released
      case .dropBus(_, let entries)?: staying = entries
      case .refuse(let reason, let evidence)?: return .refused(reason, evidence)
      case .wait(let condition)?:
        lastCondition = condition
        guard ContinuousClock.now < patience else { return .restless(condition) }
        switch try awaitRest(from: condition) {
        case .satisfied: continue
        case .interrupted: return .interrupted
        case .timedOut:
          switch condition {
          case .halfRemoved(let left): try adoptRemovals(left)
          case .torn, .round: guard try unstickRound() else { return .restless(condition) }
          default: return .restless(condition)
          }
        }
      }
    }
    return .restless(lastCondition)
  }

  /// Removals that a dead run of Berth marked are this run's to finish, without waiting for anyone.
  func adoptOwnRemovals() throws(Stop) { finished.formUnion(try removalsOfDeadRuns()) }

  /// The devices whose removal a run of Berth began that has ended since.
  func removalsOfDeadRuns() throws(Stop) -> Set<PCIAddress> {
    do throws(HostError) {
      let dead = try host.intents.intents().filter { !$0.isLive && $0.domain == key && $0.operation == .detach }
      return Set(dead.flatMap(\.devices))
    } catch {
      throw .failed(error)
    }
  }

  /// Makes the bus of a domain that never ran anew with the entries that stay.
  private func remake(_ entries: [BackEndEntry]) throws(Stop) -> Marked {
    guard case .satisfied = try awaitKernelRelease(until: ContinuousClock.now + options.waitTimeout) else {
      return .restless(.vanishing)
    }
    if !entries.isEmpty { try makeBus(of: [], keeping: entries) }
    return .released
  }

  /// Takes devices that no guest uses off the bus; false where that did not end. The caller gives them back.
  func clearBus(of devices: Set<PCIAddress>) throws(Stop) -> Bool {
    guard !devices.isEmpty else { return true }
    switch try mark(devices) {
    case .released: break
    case .round:
      let isOver = try route.hasFrontEndDriver ? isSatisfied(awaitEndOfRound()) : awaitSilentRelease()
      guard isOver else { return false }
    case .refused, .restless, .interrupted: return false
    }
    finished.formUnion(devices)
    try forgetExports(devices)
    let listed = try compact(devices)
    try closeEmptyBus()
    return listed.isDisjoint(with: devices)
  }

  private func isSatisfied(_ outcome: WaitOutcome<BackEnd>) -> Bool {
    if case .satisfied = outcome { true } else { false }
  }

  /// Gives pciback the time to release marked devices of a bus that nobody answers.
  ///
  /// It does so in milliseconds and tells nobody: no node is written, and sysfs shows nothing of it (`xen_pcibk_be_watch`,
  /// Linux drivers/xen/xen-pciback/xenbus.c). Only a bus that goes as a whole is seen to go. False where the user stopped
  /// the wait: then nothing may be deleted yet.
  private func awaitSilentRelease() throws(Stop) -> Bool {
    let outcome = try wait(until: ContinuousClock.now + .seconds(1)) { () throws(Stop) -> Void? in
      try self.look().backEnd.isAbsent ? () : nil
    }
    if case .interrupted = outcome { return false }
    return true
  }

  /// Waits until no round is under way; what the bus is like then.
  private func awaitEndOfRound() throws(Stop) -> WaitOutcome<BackEnd> {
    let (back, front) = (StorePath.backEnd(busID).child("state"), StorePath.frontEnd(busID).child("state"))
    return try wait(until: ContinuousClock.now + options.waitTimeout) { () throws(Stop) -> BackEnd? in
      switch StateNode(try self.read(back)).state {
      case .reconfiguring, .reconfigured: return nil
      case .connected where self.route.hasFrontEndDriver:
        // The guest's half is to come. Of a bus that has ended its state says nothing.
        if StateNode(try self.read(front)).state == .reconfiguring { return nil }
      default: break
      }
      let bus = try self.look().backEnd
      switch bus.condition {
      case .round, .settling, .torn: return nil
      default: return bus
      }
    }
  }

  /// Waits until the guest has let the devices go; where it does not, says so and takes back what is safe.
  private func awaitRemoval(_ steps: [Removal]) throws(Stop) -> Bool {
    let devices = Set(steps.map(\.device))
    report(
      .waiting(eventDomain, steps.map { StepID($0, in: key.uuid) }, until: ContinuousClock.now + options.waitTimeout))
    var answer = try awaitEndOfRound()
    if case .timedOut = answer, try unstickRound() { answer = try awaitEndOfRound() }
    if case .satisfied(let bus) = answer {
      switch bus.condition {
      case .connected, .halfRemoved, .absent, .vanishing: return true
      default: break
      }
      let text = try read(.backEndError(busID)) ?? "no text"
      conclude(
        steps, .failed, "the guest's PCI bus ended (back end \(bus.state), front end \(bus.frontEndState)): \(text)")
      return false
    }
    let isUndone = try takeBack(removing: [], restoring: devices)
    let bus = try look().backEnd
    conclude(
      steps, .unknown,
      isUndone
        ? "the domain is paused and cannot answer; the devices stay attached"
        : "the guest did not let go in time (back end \(bus.state), front end \(bus.frontEndState)); "
          + "left as it is, the next apply takes it up",
      isUndone: isUndone)
    return false
  }

  /// Deletes the entries whose removal both ends have finished; tells which devices are still listed.
  private func compact(_ devices: Set<PCIAddress>) throws(Stop) -> Set<PCIAddress> {
    let listed = try locked { (_) throws(HostError) in
      try transact { view -> (Set<PCIAddress>, [StoreEdit]) in
        let compaction = view.backEnd.compaction(of: devices)
        return (Set((compaction?.kept ?? view.backEnd.entries).compactMap(\.device)), compaction?.edits ?? [])
      }
    }
    guard let listed else { throw .gone }
    return listed
  }

  /// Takes access away, gives the devices back to Xen, and removes claim, saved entry and record.
  private func giveBack(_ steps: [Removal], listed: Set<PCIAddress>) throws(Stop) -> Bool {
    let again = steps.filter { listed.contains($0.device) }
    conclude(again, .unknown, "the back end lists it again; look at it with berth status")
    var leaving: [PCIAddress: DeviceGrants] = [:]
    var returned: [Removal] = []
    let sharers: Sharers
    do throws(HostError) {
      for step in steps where !listed.contains(step.device) { leaving[step.device] = try grants(of: step.device) }
      sharers = try self.sharers(with: leaving)
    } catch {
      conclude(steps.filter { !listed.contains($0.device) }, .failed, "the guest has let go, but \(error)")
      return false
    }
    for step in steps {
      guard let grants = leaving[step.device] else { continue }
      do throws(HostError) {
        try revoke(step.device, grants, besides: sharers)
        returned.append(step)
      } catch {
        conclude([step], .failed, "the guest has let go, but \(error)")
      }
    }
    do throws(HostError) { try grantAgain(leaving, sharers) } catch { throw .failed(error) }
    let left = try unmark(Set(returned.map(\.device)))
    let undeleted = returned.filter { left.contains($0.device) }
    conclude(undeleted, .unknown, "given back, and its entry or its claim is still there; the next apply ends it")
    returned.removeAll { left.contains($0.device) }
    // A device that is attached again at once stays on record.
    try forget(returned.filter { $0.kind != .reattach })
    for step in returned where step.kind != .reattach {
      conclude([step], .done, evidence: ["no entry", "given back to Xen", "no claim"])
    }
    return returned.count == steps.count
  }
}
