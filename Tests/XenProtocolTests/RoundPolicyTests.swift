import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// What is done next about a batch of devices that is followed to its guest.
@Suite struct RoundPolicyTests {
  private let device: Set = [Sample.address(1)]
  private let bus = BackEnd(domain: DomainID(5), hasFrontEndDriver: true)

  /// Returns the moves that follow the first one, one per reading.
  private func moves(_ readings: RoundReading...) -> [RoundMove] {
    var policy = RoundPolicy()
    _ = policy.first()
    return readings.map { policy.next(after: $0) }
  }

  @Test func `The guest is waited for first`() {
    var policy = RoundPolicy()
    #expect(policy.first() == .look)
  }

  @Test func `A taken bus is proven, and looked at again if the proof fails`() {
    #expect(moves(.taken(bus), .notMade) == [.prove(bus), .look])
  }

  @Test func `The cause is found before anything is done about a lost entry`() {
    #expect(moves(.lost(device), .overwritten(device), .made) == [.findCause(device), .readopt(device), .look])
    #expect(moves(.lost(device), .detached(device), .made) == [.findCause(device), .dropDetached(device), .look])
  }

  @Test func `An entry that cannot be put back is left alone`() {
    #expect(moves(.lost(device), .overwritten(device), .notMade).last == .leave)
  }

  @Test func `A round that left entries out is followed by another one`() {
    #expect(moves(.overlooked, .made) == [.requestAnotherRound, .look])
  }

  @Test func `A bus that pciback ended is abandoned`() {
    #expect(moves(.dead(bus)) == [.abandon(bus)])
  }

  @Test func `A guest that does not answer may be stuck, or may not have noticed the bus`() {
    let moves = moves(.timedOut, .notMade, .made)
    #expect(moves == [.completeStuckRound, .replaceBus(.unnoticed), .look])
  }

  @Test func `A guest that did not answer is given up if nothing was to be done`() {
    #expect(moves(.timedOut, .notMade, .notMade).last == .concludeTimedOut)
  }

  @Test func `A stuck round is completed once, and sought again if there was none`() {
    let completed = moves(.timedOut, .made, .timedOut, .notMade)
    #expect(completed == [.completeStuckRound, .look, .replaceBus(.unnoticed), .concludeTimedOut])
    let sought = moves(.timedOut, .notMade, .made, .timedOut)
    #expect(sought.last == .completeStuckRound)
  }

  @Test func `A bus is replaced once because nobody notices it`() {
    let moves = moves(.timedOut, .notMade, .made, .timedOut, .notMade)
    #expect(moves.suffix(2) == [.completeStuckRound, .concludeTimedOut])
  }

  @Test(arguments: [RoundReading.made, .notMade])
  func `A replacement that the guest closes is replaced once more, and then abandoned`(outcome: RoundReading) {
    let moves = moves(.timedOut, .notMade, .made, .dead(bus), outcome, .dead(bus))
    #expect(moves.suffix(3) == [.replaceBus(.endedWithEarlierBus), .look, .abandon(bus)])
  }

  @Test func `A person who stops the wait ends it`() {
    #expect(moves(.interrupted) == [.concludeTimedOut])
  }

  @Test func `The looks are bounded, whatever is found`() {
    for reading in [RoundReading.overlooked, .taken(bus), .lost(device)] {
      var policy = RoundPolicy()
      var move = policy.first()
      var looks = 0
      while move == .look, looks <= RoundPolicy.mostLooks {
        looks += 1
        move = policy.next(after: reading)
        if move == .findCause(device) { move = policy.next(after: .overwritten(device)) }
        move = policy.next(after: move == .prove(bus) ? .notMade : .made)
      }
      #expect(looks == RoundPolicy.mostLooks)
      #expect(move == .concludeTimedOut)
    }
  }
}
