package import Model

/// What was found while a batch of devices is followed to its guest.
package enum RoundReading: Hashable, Sendable {
  // A look at the bus.

  /// Both ends are connected, and every device is exported.
  case taken(BackEnd)
  /// The bus is at rest, and these devices are no longer listed.
  case lost(Set<PCIAddress>)
  /// The bus is at rest, and the round left entries out.
  case overlooked
  /// pciback ended the bus.
  case dead(BackEnd)
  /// The guest did not answer in time.
  case timedOut
  /// The user asked the program to stop.
  case interrupted

  // What came of the move that was made last.

  /// Another toolstack detached these devices.
  case detached(Set<PCIAddress>)
  /// The entries of these devices were overwritten.
  case overwritten(Set<PCIAddress>)
  case made
  /// It was not due, or could not be made.
  case notMade
}

/// What is to be done next about a batch of devices.
package enum RoundMove: Hashable, Sendable {
  /// Wait for the guest, up to its deadline.
  case look
  /// Prove that nothing overwrote the entries of a bus that the guest has taken; not made if something did.
  case prove(BackEnd)
  /// Find out why devices are no longer listed.
  case findCause(Set<PCIAddress>)
  /// Report devices that another toolstack detached, and follow the others.
  case dropDetached(Set<PCIAddress>)
  /// Put overwritten entries back; not made if nothing tells whether the guest has the devices.
  case readopt(Set<PCIAddress>)
  /// Ask both ends to look at the entries that a round left out.
  case requestAnotherRound
  /// Complete a round in which each end waits for the other; not made if that is not so.
  case completeStuckRound
  /// Replace the whole bus; not made if that is not due.
  case replaceBus(BusReplacement)
  /// Take the devices back from a bus that pciback has ended.
  case abandon(BackEnd)
  /// Write nothing more: nothing tells whether the guest has the devices.
  case leave
  /// Report that the guest did not answer.
  case concludeTimedOut
}

/// Why a bus is replaced.
package enum BusReplacement: Hashable, Sendable {
  /// It was created under the kernel's object of an earlier one, and no end notices it.
  case unnoticed
  /// The guest closed it together with the earlier bus that it replaced.
  case endedWithEarlierBus
}

/// Decides what is done next while a batch of devices is followed to its guest.
///
/// Pure: whoever makes the moves asks again with what came of each. It ends, since there are at most eight looks, and
/// between two looks each move is made once.
package struct RoundPolicy: Sendable {
  /// Each look but the first follows somebody else's write. More of them than this is no accident.
  package static let mostLooks = 8

  private var looks = 0
  private var replacements = 0
  private var hasCompletedRound = false
  private var last = RoundMove.look

  package init() {}

  /// Returns the first move.
  package mutating func first() -> RoundMove { next(after: .made) }

  /// Returns the next move, by what was found, or by what came of the last move.
  package mutating func next(after reading: RoundReading) -> RoundMove {
    last = decide(after: reading)
    return last
  }

  private mutating func decide(after reading: RoundReading) -> RoundMove {
    switch reading {
    case .taken(let bus): return .prove(bus)
    case .lost(let devices): return .findCause(devices)
    case .detached(let devices): return .dropDetached(devices)
    case .overwritten(let devices): return .readopt(devices)
    case .overlooked: return .requestAnotherRound
    // A guest that had devices on an earlier bus may close the new one once. A second time is its answer.
    case .dead(let bus): return replacements == 1 ? .replaceBus(.endedWithEarlierBus) : .abandon(bus)
    case .timedOut: return hasCompletedRound ? replacement() : .completeStuckRound
    case .interrupted: return .concludeTimedOut
    case .made, .notMade: return afterMove(wasMade: reading == .made)
    }
  }

  private mutating func afterMove(wasMade: Bool) -> RoundMove {
    switch last {
    case .completeStuckRound:
      guard wasMade else { return replacement() }
      hasCompletedRound = true
    case .replaceBus(.unnoticed):
      guard wasMade else { return .concludeTimedOut }
      replacements += 1
    case .replaceBus(.endedWithEarlierBus): replacements += 1
    case .readopt: guard wasMade else { return .leave }
    case .look, .prove, .findCause, .dropDetached, .requestAnotherRound, .abandon, .leave, .concludeTimedOut: break
    }
    guard looks < Self.mostLooks else { return .concludeTimedOut }
    looks += 1
    return .look
  }

  private func replacement() -> RoundMove { replacements == 0 ? .replaceBus(.unnoticed) : .concludeTimedOut }
}
