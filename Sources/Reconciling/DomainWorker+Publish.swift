import Model
import Ports
import XenProtocol

/// How publishing a batch ended.
enum Published {
  /// In the store; `base` is the index of the first new entry, `asksGuest` whether a round was started or a bus made.
  case done(base: Int)
  /// All of it was listed before.
  case listed
  case refused(BusRefusal, String)
  /// libxl has no saved configuration of the domain: it is still building it.
  case building
  /// The bus did not come to rest in time.
  case restless(BusCondition)
  case interrupted
}

extension DomainWorker {
  /// Writes the saved configuration and commits entries, claims and state, under libxl's lock.
  ///
  /// Goes back to waiting, outside the lock, as often as the bus is found busy; each wait has its own deadline.
  func publish(_ held: [Held]) throws(Stop) -> Published {
    let wanted = held.map(\.wanted)
    let devices = wanted.map(\.device)
    var lastCondition = BusCondition.absent
    let patience = busiestBus
    try adoptOwnRemovals()
    for attempt in 0..<100 {
      if host.isInterrupted() { return .interrupted }
      var isAnotherWaiting = false
      let exportable = try pcibackDevices()
      let decision = try locked { (userdata) throws(HostError) -> (AttachDecision, base: Int)? in
        if attempt < 3, userdata.hasWaiter() {
          // Another toolstack sleeps on this lock, with a device count it read before: let it write first.
          isAnotherWaiting = true
          return (.wait(.round), 0)
        }
        let old: SavedConfiguration
        switch try savedConfiguration(userdata) {
        case .absent: return nil
        case .corrupt(let what): return (.refuse(.corruptSavedConfiguration, what), 0)
        case .present(let configuration): old = configuration
        }
        // The file first: libxl's rule is that what the store lists is saved, and a saved device that the store
        // does not list is legal. A crash between the two leaves the legal state.
        let new = try adding(wanted.map { SavedDevice(address: $0.device, options: $0.options) }, to: old)
        try save(new, over: old, userdata)
        let decision = try transact(claimsOn: devices) { view in
          let decision = view.backEnd.attachDecision(
            wanted, named: busName, mode: mode, finishing: finished, exportable: exportable)
          guard case .publish(let edits, _) = decision else { return ((decision, base: 0), []) }
          let claims = devices.filter { view.claims[$0] != key.id }
            .map { StoreEdit.write(.claim($0), key.id.description) }
          return ((decision, base: view.backEnd.entries.count), edits + claims)
        }
        switch decision?.0 {
        case .publish, .alreadyListed: break
        default: try save(old, over: new, userdata)
        }
        return decision ?? (.refuse(.domainDestroying, "the domain is going, or its stub domain is another one now"), 0)
      }
      switch decision {
      case nil: return .building
      case (.publish(_, let startsRound), let base)?:
        if startsRound { noteRound() }
        return .done(base: base)
      case (.alreadyListed, _)?: return .listed
      case (.refuse(let reason, let evidence), _)?: return .refused(reason, evidence)
      case (.wait(let condition), _)?:
        if isAnotherWaiting {
          try yieldToOther()
          continue
        }
        lastCondition = condition
        guard ContinuousClock.now < patience else { return .restless(condition) }
        if let end = try rest(from: condition, devices: Set(devices)) { return end }
      }
    }
    return .restless(lastCondition)
  }

  /// Waits for the bus to come to rest; nil to try again.
  private func rest(from condition: BusCondition, devices: Set<PCIAddress>) throws(Stop) -> Published? {
    if condition == .closing {
      // An emptied bus whose closing nobody finished would never come to rest, nor one that somebody wrote to after.
      try closeEmptyBus()
      if try clearClosedBus(of: devices) { return nil }
    }
    switch try awaitRest(from: condition) {
    case .satisfied:
      // A bus made anew at once after the old one went is one the guest never notices.
      if condition == .vanishing || condition == .closing { try awaitGuestNotice() }
      return nil
    case .interrupted: return .interrupted
    case .timedOut:
      switch condition {
      case .halfRemoved(let removed):
        // Nobody waits this long: whoever marked them is gone, and its index with it.
        try adoptRemovals(removed)
        return nil
      case .torn, .round:
        // An xl may have begun it over the end of an empty bus.
        try closeEmptyBus()
        if try look().backEnd.isAbsent { return nil }
        return try unstickRound() ? nil : .restless(condition)
      case .vanishing:
        return try clearFrontEnd() ? nil : .restless(condition)
      default: return .restless(condition)
      }
    }
  }

  /// Removes a front end whose back end and kernel object are gone: nobody else ever would. False where that is not so.
  private func clearFrontEnd() throws(Stop) -> Bool {
    let isCleared = try locked { (_) throws(HostError) -> Bool? in
      try transact { view -> (Bool, [StoreEdit]) in
        guard view.backEnd.isAbsent, view.backEnd.hasKernelObject == false else { return (false, []) }
        return (true, view.backEnd.frontEndRemoval())
      }
    }
    guard isCleared == true else { return false }
    // It loses devices that answer it no more, which takes its time: at its end it would close the bus that is new.
    try awaitGuestNotice(for: min(options.waitTimeout, .seconds(10)))
    return true
  }

  /// Gives another toolstack that was seen asleep on the lock a moment to get it and write.
  func yieldToOther() throws(Stop) {
    let before = try look().backEnd
    _ = try wait(until: ContinuousClock.now + .milliseconds(200), watching: [.backEnd(busID)]) {
      () throws(Stop) -> Void? in try self.look().backEnd == before ? nil : ()
    }
  }

  func pcibackDevices() throws(Stop) -> Set<PCIAddress> {
    do throws(HostError) { return try host.tree.pcibackDevices() } catch { throw .failed(error) }
  }
}
