import Model
import Planning
import Ports
import XenProtocol

/// How the wait for a bus ended that could not take a change.
enum RestResult {
  /// It may take one now.
  case tryAgain
  case restless(BusCondition)
  case interrupted
}

/// Creates a domain's bus, replaces one that nobody notices, and ends one that is empty.
struct BusKeeper {
  let session: DomainSession
  let removals: RemovalLedger
  let waits: BusWait
  let rounds: RoundKeeper

  // MARK: Making

  /// Creates a bus that is not there, and proves that it lists `kept`, and that a guest will find it.
  ///
  /// The devices of `kept` are no step of this run, so no other place reports what becomes of them.
  func createBus(of wanted: [BackEndEntry], keeping kept: [BackEndEntry]) throws(EngineError) {
    let fresh = kept.compactMap { entry in entry.device.map { BackEndEntry(wanted: $0, options: entry.options) } }
    _ = try session.locked { (lock) throws(HostError) in
      try lock.decide { view in
        guard view.backEnd.condition == .absent else { return ((), []) }
        return ((), BackEnd.creation(for: session.busID, named: session.busName, of: wanted + fresh))
      }
    }
    guard !fresh.isEmpty else { return }
    let bus = try session.look().backEnd
    guard bus.awaitsGuest, fresh.compactMap(\.device).allSatisfy({ bus.entry(for: $0) != nil }) else {
      throw .host(.store(StoreError(.other, operation: "write", place: StorePath.backEnd(session.busID).text)))
    }
  }

  /// Recreates the bus if `isDue` says so of what the transaction that removes it reads. Returns false if it does not.
  ///
  /// This is for a bus that was replaced under its kernel object, which neither end notices. Both directories go, the
  /// kernel drops its object, and the guest sees its own side go. Then the whole batch is listed again, with what
  /// another toolstack had listed.
  @discardableResult
  func replaceBus(of held: [ClaimedDevice], where isDue: (BackEnd) -> Bool) throws(EngineError) -> Bool {
    let ours = Set(held.map(\.step.device))
    let others = try session.locked { (lock) throws(HostError) -> [BackEndEntry]? in
      try lock.decideExport { view, pciback -> ([BackEndEntry]?, [StoreEdit]) in
        let bus = view.backEnd
        guard isDue(bus) else { return (nil, []) }
        let others = bus.entries.filter {
          $0.device.map { !ours.contains($0) && pciback.exportable.contains($0) } ?? false
        }
        return (others, bus.isAbsent ? [] : bus.removal())
      } ?? nil
    }
    guard let others else { return false }
    guard try isReleased() else {
      throw .host(
        .tree(
          DeviceTreeError(
            .other, operation: "release", place: StorePath.backEnd(session.busID).text,
            detail: "pciback still holds the bus that was removed")))
    }
    try waits.awaitGuestNotice(isInterruptible: false)
    let wanted = held.map { BackEndEntry(wanted: $0.step.device, options: $0.step.options) }
    try createBus(of: wanted, keeping: others)
    return true
  }

  /// Creates the bus of a domain that never ran again, with the entries that stay. Returns false if the kernel did not
  /// drop the earlier one.
  func recreateEmptyBus(keeping entries: [BackEndEntry]) throws(EngineError) -> Bool {
    guard try isReleased() else { return false }
    if !entries.isEmpty { try createBus(of: [], keeping: entries) }
    return true
  }

  /// Waits for the kernel to drop the bus that this run has removed. The wait also goes on if the user stops the run:
  /// the devices that stay are on no bus until the bus is recreated. Returns false if the kernel still has the bus.
  private func isReleased() throws(EngineError) -> Bool {
    let outcome = try waits.awaitKernelRelease(until: session.answerDeadline(), isInterruptible: false)
    if case .satisfied = outcome { return true }
    return false
  }

  // MARK: Ending

  /// Closes a bus without devices, with the guest's acknowledgement, and takes its directories away.
  ///
  /// It is no failure if the guest does not answer: an empty bus is legal, and the next attach uses it.
  func closeEmptyBus() throws(EngineError) {
    // Most often there are others: then neither the lock nor the whole bus is needed to see it.
    guard try session.read(.backEnd(session.busID).child("num_devs")) == "0" else { return }
    var isClosing: Bool?
    for attempt in 0..<3 {
      var isAnotherWaiting = false
      isClosing = try session.locked { (lock) throws(HostError) -> Bool? in
        if attempt < 2, try lock.hasWaiter() {
          // Another toolstack sleeps on this lock, and has read a bus that is there: let it write first.
          isAnotherWaiting = true
          return false
        }
        return try lock.decide { $0.backEnd.endIfEmpty() }
      }
      guard isAnotherWaiting else { break }
      try waits.yieldToOther()
    }
    guard isClosing == true else { return }
    try waits.awaitClosed(until: session.answerDeadline())
    _ = try session.locked { (lock) throws(HostError) in
      try lock.decide { view in
        guard view.backEnd.isEmptyAndClosed, view.backEnd.hasKernelObject == false else { return ((), []) }
        return ((), view.backEnd.removal())
      }
    }
  }

  /// Removes a closed bus that pciback has dropped, and that lists nothing but `devices`. An xl which had read the bus
  /// before it closed has added them since, and nobody ever looks at them. Returns false if that is not so.
  func clearClosedBus(of devices: Set<PCIAddress>) throws(EngineError) -> Bool {
    let isCleared = try session.locked { (lock) throws(HostError) -> Bool? in
      try lock.decide { view -> (Bool, [StoreEdit]) in
        let bus = view.backEnd
        guard bus.condition == .closing, bus.state.state == .closed, bus.hasKernelObject == false,
          !bus.entries.isEmpty, bus.entries.allSatisfy({ $0.device.map(devices.contains) == true })
        else { return (false, []) }
        return (true, bus.removal())
      }
    }
    guard isCleared == true else { return false }
    try waits.awaitGuestNotice()
    return true
  }

  /// Removes a front end whose back end and kernel object are gone: nobody else ever would. Returns false if that is
  /// not so.
  func clearFrontEnd() throws(EngineError) -> Bool {
    let isCleared = try session.locked { (lock) throws(HostError) -> Bool? in
      try lock.decide { view -> (Bool, [StoreEdit]) in
        guard view.backEnd.isAbsent, view.backEnd.hasKernelObject == false else { return (false, []) }
        return (true, view.backEnd.frontEndRemoval())
      }
    }
    guard isCleared == true else { return false }
    // The guest loses devices that no longer answer, which takes seconds. At the end it would close the new bus.
    try waits.awaitGuestNotice(for: min(session.options.waitTimeout, .seconds(10)))
    return true
  }

  /// Takes those of `devices` that pciback never exported out of a bus that it ended. What it exported stays.
  func dropUnexported(_ devices: Set<PCIAddress>) throws(EngineError) {
    _ = try session.locked { (lock) throws(HostError) in
      try lock.decide { view in
        guard view.backEnd.condition == .closing else { return ((), []) }
        let kept = view.backEnd.entries.filter { entry in
          guard let device = entry.device, devices.contains(device) else { return true }
          return entry.isExported
        }
        return ((), view.backEnd.replacingEntries(with: kept, startRound: false))
      }
    }
  }

  // MARK: Rest

  /// Waits for the bus to come to rest; `devices` are those that the caller is about to list.
  func rest(from condition: BusCondition, devices: Set<PCIAddress>) throws(EngineError) -> RestResult {
    if condition == .closing {
      // An emptied bus whose closing nobody finished would never come to rest, nor one that somebody wrote to after.
      try closeEmptyBus()
      if try clearClosedBus(of: devices) { return .tryAgain }
    }
    switch try waits.awaitRest(from: condition) {
    case .satisfied:
      // The guest never notices a bus that is created at once after the old one went.
      if condition == .vanishing || condition == .closing { try waits.awaitGuestNotice() }
      return .tryAgain
    case .interrupted: return .interrupted
    case .timedOut:
      switch condition {
      case .halfRemoved(let removed):
        // Nobody waits this long: whoever marked them is gone, and its index with it.
        try removals.adoptOverdue(removed)
        return .tryAgain
      case .torn, .round:
        // An xl may have begun it over the end of an empty bus.
        try closeEmptyBus()
        if try session.look().backEnd.isAbsent { return .tryAgain }
        return try rounds.completeStuckRound() ? .tryAgain : .restless(condition)
      case .vanishing:
        return try clearFrontEnd() ? .tryAgain : .restless(condition)
      default: return .restless(condition)
      }
    }
  }
}

extension BackEnd {
  /// Returns what ends the bus if it is empty, and whether its end is then to be waited for.
  fileprivate func endIfEmpty() -> (decision: Bool, edits: [StoreEdit]) {
    guard count == .number(0) else { return (false, []) }
    switch condition {
    case .holding: return (false, removal())
    case .connected: return (true, closing())
    case .closing where online != "0":
      // The guest closed it, or pciback ended it, before anybody asked: at 6 pciback is done, and drops it with its
      // node.
      if state.state == .closed { return (false, removal()) }
      return state.state == .closing ? (true, closing()) : (false, [])
    default: return (isEmptyAndClosed, [])
    }
  }

  /// Whether the bus lost its last device and was asked to close. Another toolstack may have begun a round since, which
  /// nobody serves once the kernel has dropped the bus.
  fileprivate var isEmptyAndClosed: Bool {
    count == .number(0) && online == "0"
      && (state.state == .closing || state.state == .closed || hasKernelObject == false)
  }

  /// Whether no end notices this bus, if a whole wait has passed. It was exported, and the guest missed that an earlier
  /// bus went and this one came. Or it was created while pciback still held the earlier one, which pciback then goes on
  /// holding. Or it was created without the front end's state, which no guest notices.
  var hasGoneUnnoticed: Bool {
    if frontEndState.isAbsent { return state.state == .initialising }
    // A guest that was at work on the bus before writes its 4 into the directory that is new.
    guard frontEndState.state == .initialising || frontEndState.state == .connected else { return false }
    return state.state == .initialised || state.state == .initialising && hasKernelObject == true
  }
}
