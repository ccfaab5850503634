import Model
import Planning
import Ports
import XenProtocol

extension DomainWorker {
  /// Attaches the devices of `steps`, all in one transaction and one round.
  func attach(_ steps: [Addition]) throws(Stop) {
    guard !steps.isEmpty else { return }
    // The intent first: whoever finds a record of a device that is not attached must find the intent as well, or takes
    // the record for a left-over. Recorded before it is so: the reverse is never removed again.
    let intent = try openIntent(.attach, steps.map(\.device))
    let steps = try awaitDetachingRuns(steps)
    guard !steps.isEmpty else { return try intent.finish() }
    let devices = steps.map(\.device)
    try record { $0.formUnion(devices) }

    var held: [Held] = []
    for step in steps {
      switch claim(step) {
      case .held(let device): held.append(device)
      case .blocked(let reason, let evidence): conclude([step], .blocked, "\(reason.name): \(evidence)")
      case .failed(let error): conclude([step], .failed, OutcomeDetail(error))
      }
    }
    let refused = steps.filter { step in !held.contains { $0.step.device == step.device } }
    if !refused.isEmpty {
      let listed = Set(try look().backEnd.entries.compactMap(\.device))
      try forget(refused.filter { !listed.contains($0.device) })
    }
    guard !held.isEmpty else { return try finish(intent) }

    let log = host.tree.listenForExports(sinceBoot: false)
    let published: Published
    do throws(Stop) {
      // On disk before the bus lists it: what QEMU was never asked for it is not asked to take away.
      if route.deviceModel == .traditional { try note(.gone, of: held.filter(\.isAssignedHere).map(\.step.device)) }
      published = try publish(held)
    } catch {
      if error.isLockBusy {
        // Nothing was written yet; the devices alone go back.
        release(held)
        try forget(held.map(\.step))
        try finish(intent)
        throw error
      }
      // A commit whose answer was lost may have been made: then the entries are listed, and nothing is undone.
      undo(held, describe(error), result: .failed)
      return intent.leave()
    }
    do throws(Stop) { try settle(published, held, log: log, intent: intent) } catch {
      // Published: the guest may have the devices, so nothing is taken back. The next run takes it up.
      let open = held.map(\.step).filter { step in
        !outcome.steps.contains { $0.device == step.device && $0.action == step.kind }
      }
      conclude(open, .unknown, describe(error))
      intent.leave()
    }
  }

  /// Brings the outcome of a published batch to an end: proof, repair, or undoing.
  private func settle(
    _ published: Published, _ held: [Held], log: (any ExportLog)?, intent: HeldIntent
  ) throws(Stop) {
    switch published {
    case .refused(let reason, let evidence):
      undo(held, "\(reason.rawValue): \(evidence)", result: .blocked)
      try finish(intent)
    case .building:
      undo(held, "libxl has no saved configuration of the domain: it is being built", result: .pending)
      try finish(intent)
    case .interrupted:
      undo(held, "stopped before the change", result: .interrupted)
      try finish(intent)
    case .restless(let condition):
      undo(held, "the bus did not come to rest: \(String(describing: condition))", result: .unknown)
      try finish(intent)
    case .listed where mode == .cold, .done where mode == .cold:
      if try concludeCold(held) { try finish(intent) } else { intent.leave() }
    case .listed: try follow(held, base: 0, log: log, intent: intent)
    case .done(let base): try follow(held, base: base, log: log, intent: intent)
    }
  }

  // MARK: After the commit

  /// Waits for the guest, and mends what another toolstack did to the entries meanwhile.
  private func follow(_ held: [Held], base: Int, log: (any ExportLog)?, intent: HeldIntent) throws(Stop) {
    var held = held
    var rebuilds = 0
    var isUnstuck = false
    report(
      .waiting(
        eventDomain, held.map { StepID($0.step, in: key.uuid) }, until: ContinuousClock.now + options.waitTimeout))
    // Each pass is caused by somebody else's write; more of them than this is no accident.
    for _ in 0..<8 {
      // Anew for each: the guest needs its time for each round, and an audit may have taken longer than that.
      let deadline = ContinuousClock.now + options.waitTimeout
      let devices = held.map(\.step.device)
      switch try awaitTaken(devices, base: base, until: deadline) {
      case .satisfied(.taken(let bus)):
        guard try audit(devices, bus, log: log) else { continue }
        guard route.hasDeviceModel else {
          try concludeTaken(held, bus, at: [:])
          return try finish(intent)
        }
        return try concludeShown(held, bus, try show(held), intent: intent)
      case .satisfied(.lost(let lost, _)):
        sawOthers = true
        let detached = try detachedByOthers(lost)
        if !detached.isEmpty {
          try concludeDetached(held.filter { detached.contains($0.step.device) })
          held.removeAll { detached.contains($0.step.device) }
          guard !held.isEmpty else { return try finish(intent) }
          continue
        }
        guard try readopt(lost, of: held, log: log) else {
          conclude(
            held.map(\.step), .unknown,
            "another toolstack overwrote the entry, and the kernel log cannot tell whether the guest has the device; "
              + "nothing was written")
          return intent.leave()
        }
      case .satisfied(.overlooked): try kick()
      case .satisfied(.dead) where rebuilds == 1:
        // The guest had devices on the earlier bus. It lets go of them slowly, since they answer it no more, and closes
        // what has its front end's path by then (`xenbus_dev_remove`, drivers/xen/xenbus/xenbus_probe.c, Linux 6.1).
        rebuilds += 1
        try rebuild(held) { $0.condition == .closing || $0.isGoing }
      case .satisfied(.dead(let bus)):
        try abandonDead(held, bus)
        return try finish(intent)
      case .timedOut:
        if !isUnstuck, try unstickRound() {
          isUnstuck = true
          continue
        }
        let hasDriver = route.hasFrontEndDriver
        guard rebuilds == 0,
          try rebuild(held, where: { $0.hasGoneUnnoticed && (hasDriver || $0.frontEndState.isAbsent) })
        else { return try giveUp(held, intent: intent) }
        rebuilds += 1
      case .interrupted:
        return try giveUp(held, intent: intent)
      }
    }
    try giveUp(held, intent: intent)
  }

  /// Asks both ends to look again at entries that a round left out.
  private func kick() throws(Stop) {
    let exportable = try pcibackDevices()
    let kicked = try locked { (_) throws(HostError) -> Bool? in
      try transact { view -> (Bool, [StoreEdit]) in
        let waiting = view.backEnd.entries.filter { $0.state.state == .initialising }.compactMap(\.device)
        guard view.backEnd.condition == .connected, !waiting.isEmpty, exportable.isSuperset(of: waiting) else {
          return (false, [])
        }
        return (true, view.backEnd.kick())
      }
    }
    if kicked == true { noteRound() }
  }

  // MARK: When it does not end well

  /// The guest did not answer in time: taken back only where it is known to sleep.
  private func giveUp(_ held: [Held], intent: HeldIntent) throws(Stop) {
    let devices = Set(held.map(\.step.device))
    if try takeBack(removing: devices, restoring: []) {
      undo(held, "the domain is paused and cannot answer", result: .unknown)
      return try finish(intent)
    }
    let bus = try look().backEnd
    if bus.condition == .closing {
      try abandonDead(held, bus)
      return try finish(intent)
    }
    for held in held {
      conclude(
        [held.step], .unknown,
        "the guest did not answer in time (back end \(bus.state), front end \(bus.frontEndState)); "
          + "left as it is, the next apply takes it up",
        evidence: bus.evidence(for: bus.entry(for: held.step.device)))
    }
    intent.leave()
  }

  /// Takes a round back from a domain that has slept since before it began; false where that is not safe.
  ///
  /// Nor is it where the round carries somebody else's change as well: that would be left half done.
  func takeBack(removing added: Set<PCIAddress>, restoring marked: Set<PCIAddress>) throws(Stop) -> Bool {
    let isTaken = try locked { (_) throws(HostError) -> Bool? in
      guard try hasSleptThroughRound() else { return false }
      return try transact { view -> (Bool, [StoreEdit]) in
        let bus = view.backEnd
        guard bus.state.state == .reconfiguring, bus.frontEndState.state == .connected,
          bus.devices(in: .initialising).isSubset(of: added), bus.devices(in: .closing).isSubset(of: marked)
        else { return (false, []) }
        return (true, bus.takingBack(removing: added, restoring: marked))
      }
    }
    guard isTaken == true else { return false }
    do throws(HostError) { return try hasSleptThroughRound() } catch { throw .failed(error) }
  }

  /// pciback ended the bus: the entries it never exported are taken out again, what it exported stays.
  private func abandonDead(_ held: [Held], _ bus: BackEnd) throws(Stop) {
    let devices = Set(held.map(\.step.device))
    _ = try locked { (_) throws(HostError) in
      try transact { view in
        guard view.backEnd.condition == .closing else { return ((), []) }
        let kept = view.backEnd.entries.filter { entry in
          guard let device = entry.device, devices.contains(device) else { return true }
          return entry.isExported
        }
        return ((), view.backEnd.replacingEntries(with: kept, startRound: false))
      }
    }
    let text = try read(.backEndError(busID)) ?? "no text"
    undo(
      held, "pciback ended the guest's PCI bus (back end \(bus.state), front end \(bus.frontEndState)): \(text)",
      result: .failed)
  }

  /// Gives the devices back and takes the marks of this run away, where the bus does not list them.
  private func undo(_ held: [Held], _ detail: OutcomeDetail, result: StepResult) {
    do throws(Stop) {
      let listed = Set(try look().backEnd.entries.compactMap(\.device))
      let gone = held.filter { !listed.contains($0.step.device) }
      release(gone)
      try unmark(Set(gone.filter(\.isAssignedHere).map(\.step.device)))
      try forget(gone.map(\.step))
      for held in held {
        let isUndone = !listed.contains(held.step.device)
        conclude([held.step], result, detail, isUndone: isUndone)
      }
    } catch {
      guard case .gone = error else {
        return conclude(held.map(\.step), result, "\(detail); undoing it failed: \(describe(error))")
      }
      release(held)
      conclude(held.map(\.step), result, detail, isUndone: true)
    }
  }
}

extension BackEnd {
  /// Made anew under one that had it before, and a whole wait has passed: exported, with a guest that missed that an
  /// earlier bus went and this one came; or made while pciback still held the earlier one, which it then goes on holding;
  /// or made without the front end's state, which no guest notices at all.
  var hasGoneUnnoticed: Bool {
    if frontEndState.isAbsent { return state.state == .initialising }
    // A guest that was at work on the bus before writes its 4 into the directory that is new.
    guard frontEndState.state == .initialising || frontEndState.state == .connected else { return false }
    return state.state == .initialised || state.state == .initialising && hasKernelObject == true
  }

  fileprivate func devices(in state: XenbusState) -> Set<PCIAddress> {
    Set(entries.filter { $0.state.state == state }.compactMap(\.device))
  }
}
