import Model
import Ports
import XenProtocol

/// The end of a bus, when its last device has gone.
extension DomainWorker {
  /// Closes a bus without devices, with the guest's acknowledgement, and takes its directories away.
  ///
  /// Not a failure where the guest does not answer: an empty bus is legal, and the next attach uses it.
  func closeEmptyBus() throws(Stop) {
    // Most often there are others: then neither the lock nor the whole bus is needed to see it.
    guard try read(.backEnd(busID).child("num_devs")) == "0" else { return }
    var isClosing: Bool?
    for attempt in 0..<3 {
      var isAnotherWaiting = false
      isClosing = try locked { (userdata) throws(HostError) -> Bool? in
        if attempt < 2, userdata.hasWaiter() {
          // Another toolstack sleeps on this lock, and has read a bus that is there: let it write first.
          isAnotherWaiting = true
          return false
        }
        return try transact { $0.backEnd.endIfEmpty() }
      }
      guard isAnotherWaiting else { break }
      try yieldToOther()
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

  /// Removes a closed bus that pciback has dropped, and that lists nothing but `devices`: an xl which had read the bus
  /// before it closed has added them since, and nobody ever looks at them. False where that is not so.
  func clearClosedBus(of devices: Set<PCIAddress>) throws(Stop) -> Bool {
    let isCleared = try locked { (_) throws(HostError) -> Bool? in
      try transact { view -> (Bool, [StoreEdit]) in
        let bus = view.backEnd
        guard bus.condition == .closing, bus.state.state == .closed, bus.hasKernelObject == false,
          !bus.entries.isEmpty, bus.entries.allSatisfy({ $0.device.map(devices.contains) == true })
        else { return (false, []) }
        return (true, bus.removal())
      }
    }
    guard isCleared == true else { return false }
    try awaitGuestNotice()
    return true
  }

  /// Waits until the kernel has dropped the closed bus.
  private func awaitClosed(until deadline: ContinuousClock.Instant) throws(Stop) -> Bool {
    var pause = Duration.milliseconds(2)
    while true {
      let end = min(deadline, ContinuousClock.now + pause)
      let outcome = try wait(until: end) { () throws(Stop) -> Bool? in
        do throws(HostError) {
          return try self.host.tree.hasBackEndObject(for: self.busID) ? nil : true
        } catch {
          throw .failed(error)
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
  /// What ends the bus if it is empty, and whether its end is then to be waited for.
  fileprivate func endIfEmpty() -> (decision: Bool, edits: [StoreEdit]) {
    guard count == .number(0) else { return (false, []) }
    switch condition {
    case .holding: return (false, removal())
    case .connected: return (true, closing())
    case .closing where online != "0":
      // The guest closed it, or pciback ended it, before anybody asked: at 6 pciback is done, and drops it with its node.
      if state.state == .closed { return (false, removal()) }
      return state.state == .closing ? (true, closing()) : (false, [])
    default: return (isEmptyAndClosed, [])
    }
  }

  /// A bus that lost its last device and was asked to close. Another toolstack may have begun a round over that, which
  /// nobody hears once the kernel has dropped it.
  fileprivate var isEmptyAndClosed: Bool {
    count == .number(0) && online == "0"
      && (state.state == .closing || state.state == .closed || hasKernelObject == false)
  }
}
