import Core

/// How marking a batch for removal ended.
private enum Marked {
  /// The round runs.
  case round
  /// The guest has let go, or never had them.
  case released
  case refused(Reason, String)
  case restless(BusCondition)
  case interrupted
}

extension DomainWorker {
  /// Detaches the devices of `steps` in one round: the guest lets go first, then access is taken away.
  ///
  /// `keepsBus` leaves an emptied bus standing for the attach that follows. Of devices to reattach nothing is
  /// concluded where they are gone.
  func detach(_ steps: [PlannedStep], keepsBus: Bool) throws(Stop) {
    guard !steps.isEmpty else { return }
    var steps = try restoreEntries(of: steps)
    guard !steps.isEmpty else { return }
    // On disk before the marks: it tells this half-done removal from another toolstack's.
    let intent = try openIntent(.detach, steps.map(\.device).sorted())
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
      conclude(steps, .unknown, "the bus did not come to rest: \(condition)")
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
    try compact(devices)
    let isDone = try giveBack(steps)
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
          case .halfRemoved(let left): try takeOver(left)
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
    do throws(RecordError) {
      let dead = try host.intents.intents().filter { !$0.isLive && $0.domain == key && $0.operation == .detach }
      return Set(dead.flatMap(\.devices))
    } catch {
      throw .failed(.record(error))
    }
  }

  /// Makes the bus of a domain that never ran anew with the entries that stay.
  private func remake(_ entries: [BackEndEntry]) throws(Stop) -> Marked {
    guard case .satisfied = try awaitKernelRelease(until: ContinuousClock.now + options.waitTimeout) else {
      return .restless(.vanishing)
    }
    guard !entries.isEmpty else { return .released }
    let fresh = entries.compactMap { entry in entry.device.map { BackEndEntry(wanted: $0, options: entry.options) } }
    _ = try locked { (_) throws(HostError) in
      try transact { view in
        guard view.backEnd.condition == .absent else { return ((), []) }
        return ((), BackEnd.creation(for: busID, named: busName, of: fresh))
      }
    }
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
    try compact(devices)
    try closeEmptyBus()
    return try look().backEnd.entries.compactMap(\.device).allSatisfy { !devices.contains($0) }
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
    let state = StorePath.backEnd(busID).child("state")
    return try wait(until: ContinuousClock.now + options.waitTimeout) { () throws(Stop) -> BackEnd? in
      switch StateNode(try self.read(state)).state {
      case .reconfiguring, .reconfigured: return nil
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
  private func awaitRemoval(_ steps: [PlannedStep]) throws(Stop) -> Bool {
    let devices = Set(steps.map(\.device))
    report(.waiting(domain: name, devices: devices.count, until: ContinuousClock.now + options.waitTimeout))
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

  /// Deletes the entries whose removal both ends have finished.
  private func compact(_ devices: Set<PCIAddress>) throws(Stop) {
    _ = try locked { (_) throws(HostError) in
      try transact { view in ((), view.backEnd.compaction(of: devices)?.edits ?? []) }
    }
  }

  /// Takes access away, gives the devices back to Xen, and removes claim, saved entry and record.
  private func giveBack(_ steps: [PlannedStep]) throws(Stop) -> Bool {
    let listed = Set(try look().backEnd.entries.compactMap(\.device))
    let assignable: [PCIAddress: DeviceGrants]
    do throws(HostError) { assignable = try assignableDevices() } catch { throw .failed(error) }
    var returned: [PlannedStep] = []
    for step in steps {
      if listed.contains(step.device) {
        conclude([step], .unknown, "the back end lists it again; look at it with berth status")
        continue
      }
      do throws(HostError) {
        let grants = if let known = assignable[step.device] { known } else { try grants(of: step.device) }
        try revoke(step.device, grants, besides: assignable)
        returned.append(step)
      } catch {
        conclude([step], .failed, "the guest has let go, but \(describe(error))")
      }
    }
    try unmark(Set(returned.map(\.device)))
    // A device that is attached again at once stays on record.
    try forget(returned.filter { $0.action != .reattach })
    for step in returned where step.action != .reattach {
      conclude([step], .done, evidence: ["no entry", "given back to Xen", "no claim"])
    }
    return returned.count == steps.count
  }

  /// Closes a bus without devices, with the guest's acknowledgement, and takes its directories away.
  ///
  /// Not a failure where the guest does not answer: an empty bus is legal, and the next attach uses it.
  func closeEmptyBus() throws(Stop) {
    let isClosing = try locked { (_) throws(HostError) -> Bool? in
      try transact { view -> (Bool, [StoreEdit]) in
        let bus = view.backEnd
        if bus.count == .number(0), bus.condition == .holding { return (false, bus.removal()) }
        guard bus.count == .number(0), bus.condition == .connected else { return (bus.isEmptyAndClosed, []) }
        return (true, bus.closing())
      }
    }
    guard isClosing == true else { return }
    _ = try awaitClosed(until: ContinuousClock.now + options.waitTimeout)
    _ = try locked { (_) throws(HostError) in
      try transact { view in
        guard view.backEnd.isEmptyAndClosed, view.backEnd.hasKernelObject == false else { return ((), []) }
        return ((), view.backEnd.removal())
      }
    }
  }

  /// Waits until the kernel has dropped the closed bus.
  private func awaitClosed(until deadline: ContinuousClock.Instant) throws(Stop) -> Bool {
    var pause = Duration.milliseconds(2)
    while true {
      let end = min(deadline, ContinuousClock.now + pause)
      let outcome = try wait(until: end) { () throws(Stop) -> Bool? in
        do throws(DeviceTreeError) {
          return try self.host.tree.hasBackEndObject(for: self.busID) ? nil : true
        } catch {
          throw .failed(.tree(error))
        }
      }
      switch outcome {
      case .satisfied: return true
      case .interrupted: return false
      case .timedOut:
        if end >= deadline { return false }
        // sysfs tells nobody when an object goes: look again, less and less often.
        pause = min(pause * 2, .milliseconds(100))
      }
    }
  }
}

extension BackEnd {
  /// A bus that lost its last device and was asked to close.
  fileprivate var isEmptyAndClosed: Bool {
    count == .number(0) && online == "0" && (state.state == .closing || state.state == .closed)
  }
}
