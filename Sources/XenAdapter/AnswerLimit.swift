import Glibc
import Ports

/// How long xenstored, or the hypervisor's device, may take for one answer.
package struct AnswerLimit: Sendable {
  /// The time for one answer after the user has asked the program to stop, or while an earlier answer is overdue.
  static let afterStop = Duration.seconds(1)

  /// The time for one answer.
  package let time: Duration
  /// A descriptor that is readable as soon as the user has asked the program to stop, and stays so; nil if there is none.
  package let interruptDescriptor: Int32?

  package init(_ time: Duration = Host.answerTimeout, interruptDescriptor: Int32? = nil) {
    (self.time, self.interruptDescriptor) = (time, interruptDescriptor)
  }

  /// The same limit, with a second at most.
  var shortened: AnswerLimit { AnswerLimit(min(time, Self.afterStop), interruptDescriptor: interruptDescriptor) }

  /// Returns a deadline for a request that is made now.
  func deadline() -> Deadline { Deadline(end: .now + time, interruptDescriptor: interruptDescriptor) }

  /// When one answer must be here. It comes closer if the user asks the program to stop.
  struct Deadline {
    private var end: ContinuousClock.Instant
    /// Nil from the moment on at which the stop is known.
    private var interruptDescriptor: Int32?

    fileprivate init(end: ContinuousClock.Instant, interruptDescriptor: Int32?) {
      (self.end, self.interruptDescriptor) = (end, interruptDescriptor)
    }

    /// Waits until `descriptor` is ready for `events`, or has failed. Returns false if the deadline has passed.
    mutating func awaitReady(_ descriptor: Int32, _ events: Int32) -> Bool {
      while true {
        let left = end - .now
        var descriptors = [
          pollfd(fd: descriptor, events: Int16(events), revents: 0),
          pollfd(fd: interruptDescriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        let ready = unsafe poll(&descriptors, 2, max(left, .zero).pollMilliseconds)
        if ready > 0, descriptors[0].revents != 0 { return true }
        if ready > 0, descriptors[1].revents != 0 { shorten() }
        if left <= .zero { return false }
      }
    }

    /// Sleeps for `pause`, or until the deadline. Returns false if the deadline has passed.
    mutating func pause(_ pause: Duration) -> Bool {
      let left = end - .now
      if left <= .zero { return false }
      var stop = pollfd(fd: interruptDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&stop, 1, min(pause, left).pollMilliseconds) > 0 { shorten() }
      return true
    }

    /// Brings the deadline closer, since the user has asked the program to stop.
    private mutating func shorten() {
      end = min(end, .now + AnswerLimit.afterStop)
      interruptDescriptor = nil
    }
  }
}

extension Duration {
  /// The duration in whole milliseconds, rounded up, so that a sleep never ends just before its deadline.
  var pollMilliseconds: Int32 {
    let (seconds, attoseconds) = components
    return Int32(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
