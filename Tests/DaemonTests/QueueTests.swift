import Daemon
import Model
import Planning
import TestSupport
import Testing

/// The pure parts of the daemon, on a clock that is only a number.
@Suite struct QueueTests {
  @Test func `a look is due after a quiet moment, and never later than the longest wait`() {
    var queue = TriggerQueue(quiet: .milliseconds(5), longest: .milliseconds(20))
    var taken = queue.take(at: .seconds(9))
    #expect(queue.due == nil && taken == nil)
    for step in 0..<10 { queue.add(.store, at: .milliseconds(10 + 3 * step)) }
    // Something happens every 3 ms, so that it is never quiet.
    #expect(queue.due == .milliseconds(30))
    taken = queue.take(at: .milliseconds(29))
    #expect(taken == nil)
    taken = queue.take(at: .milliseconds(30))
    #expect(taken == [.store] && queue.due == nil)
    queue.add(.store, at: .milliseconds(100))
    #expect(queue.due == .milliseconds(105))
    queue.add(.request, at: .milliseconds(101))
    taken = queue.take(at: .milliseconds(101))
    #expect(taken == [.store, .request])
  }

  @Test(arguments: UInt64(0)..<50)
  func `no trigger is lost, and none waits too long`(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let (quiet, longest) = (Duration.milliseconds(5), Duration.milliseconds(40))
    var queue = TriggerQueue(quiet: quiet, longest: longest)
    var now = Moment.zero
    var waiting: [Trigger: Moment] = [:]
    for _ in 0..<500 {
      now += .milliseconds(Int.random(in: 0...12, using: &random))
      if Bool.random(using: &random), let trigger = Trigger.allCases.randomElement(using: &random) {
        queue.add(trigger, at: now)
        if waiting[trigger] == nil { waiting[trigger] = now }
      }
      let isDue = queue.due.map { $0 <= now } ?? false
      let taken = queue.take(at: now)
      #expect((taken != nil) == isDue)
      if let taken {
        #expect(taken == Set(waiting.keys))
        waiting = [:]
      }
      // What waits is due within the bounds.
      if let due = queue.due, let first = waiting.values.min() {
        #expect(due <= first + longest && due >= first)
      }
      #expect((queue.due == nil) == waiting.isEmpty)
    }
  }

  @Test func `each failure in a row doubles the wait, up to the longest`() {
    var backoff = Backoff<String>(first: .seconds(1), longest: .seconds(300))
    var now = Moment.zero
    var waits: [Duration] = []
    for _ in 0..<70 {
      backoff.failed("a", at: now)
      let next = backoff.next("a") ?? .zero
      #expect(!backoff.mayTry("a", at: next - .nanoseconds(1)) && backoff.mayTry("a", at: next))
      waits.append(next - now)
      now = next
    }
    #expect(waits.prefix(5) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16)])
    #expect(waits.dropFirst(9).allSatisfy { $0 == .seconds(300) } && backoff.failures("a") == 70)
    #expect(backoff.mayTry("b", at: .zero) && backoff.nextWake(after: .zero) == now)
    backoff.release()
    #expect(backoff.mayTry("a", at: .zero) && backoff.failures("a") == 70)
    backoff.failed("b", at: now)
    backoff.keep(only: ["b"])
    #expect(backoff.failures("a") == 0 && backoff.nextWake(after: now) == now + .seconds(1))
    backoff.succeeded("b")
    #expect(backoff.nextWake(after: .zero) == nil)
  }

  private func change(_ number: UInt32, _ kind: ChangeKind = .attach) -> RepeatedChange {
    RepeatedChange(
      domain: DomainKey(id: DomainID(number), uuid: Sample.uuid(1)), device: Sample.address(0), kind: kind)
  }

  @Test func `a change that comes back is stopped, and only that one`() {
    var breaker = ChangeBreaker(most: 3, window: .seconds(600))
    func note(_ change: RepeatedChange, _ second: Int) -> Bool { breaker.note(change, at: .seconds(second)) }
    let early = [note(change(5), 0), note(change(5), 599), note(change(5, .detach), 599), note(change(6), 599)]
    #expect(early == [false, false, false, false])
    // The first one is too old to count.
    let late = [note(change(5), 600), note(change(5), 700)]
    #expect(late == [false, true] && breaker.isStopped(change(5)))
    #expect(!breaker.isStopped(change(6)) && !breaker.isStopped(change(5, .detach)))
    #expect(breaker.stopped == [change(5): 3])
    breaker.keep(only: [change(5).domain], at: .seconds(9000))
    #expect(breaker.isStopped(change(5)))
    breaker.keep(only: [change(6).domain], at: .seconds(9000))
    #expect(breaker.stopped.isEmpty)
  }

  @Test(arguments: UInt64(0)..<30)
  func `a change is never made more often than permitted within the window`(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let window = Duration.seconds(100)
    var breaker = ChangeBreaker(most: 3, window: window)
    var now = Moment.zero
    var made: [RepeatedChange: [Moment]] = [:]
    for _ in 0..<400 {
      now += .seconds(Int.random(in: 0...40, using: &random))
      let one = change(UInt32.random(in: 1...4, using: &random))
      if Int.random(in: 0..<40, using: &random) == 0 {
        breaker.reset()
        made = [:]
      }
      if breaker.isStopped(one) { continue }
      _ = breaker.note(one, at: now)
      made[one, default: []].append(now)
      for times in made.values {
        for time in times { #expect(times.count { $0 <= time && $0 + window > time } <= 3) }
      }
    }
  }
}
