import Glibc
package import Ports
import Synchronization

/// A connection that only watches, for programs that serve many nodes instead of waiting for one.
package final class XenStoreWatcher: Sendable {
  /// A change at or below a watched path.
  package struct Event: Hashable, Sendable {
    /// The node that changed. If a parent is removed, the watched path itself is reported.
    package let path: String
    /// The token of the watch.
    package let token: String
  }

  /// How waiting for events ended.
  package enum Outcome: Hashable, Sendable {
    /// At least one event.
    case events([Event])
    case timedOut
    case interrupted
  }

  /// Longest sleep between two looks at the connection. The library does not wake a sleeper when the daemon dies
  /// (`read_thread`, tools/libs/store/xs.c, Xen 4.17).
  private static let longestSleep = Duration.seconds(1)

  /// The largest number of events returned at once, if they come faster than they are taken.
  private static let mostEvents = 1024

  private let handle: XenStoreHandle
  private let tokens = Atomic(0)

  /// `socket` has the same meaning as in `XenStoreConnector`.
  package convenience init(socket: String?) throws(HostError) {
    try self.init(socket: socket, counters: StoreCounters())
  }

  init(socket: String?, counters: StoreCounters) throws(HostError) {
    handle = try XenStoreHandle(socket: socket, counters: counters)
  }

  /// Returns a token that was not used before on this connection.
  func nextToken() -> String { "w" + String(tokens.add(1, ordering: .relaxed).newValue) }

  /// Watches a path, or `@introduceDomain` or `@releaseDomain`. One event follows immediately.
  package func watch(path: String, token: String) throws(HostError) { try handle.watch(path, token: token) }

  /// Stops a watch. Events that are already on their way are still delivered.
  package func unwatch(path: String, token: String) throws(HostError) { try handle.unwatch(path, token: token) }

  /// Sleeps until there are events, and returns the pending ones. An interruption is returned before events.
  ///
  /// Without a deadline, the call sleeps until an event or an interruption. If the daemon is gone, the call throws
  /// `lost` within a second.
  package func nextEvents(
    until deadline: ContinuousClock.Instant?, interruptDescriptor: Int32? = nil
  ) throws(HostError) -> Outcome {
    let descriptor = try handle.eventDescriptor()
    while true {
      var events: [Event] = []
      while events.count < Self.mostEvents, let event = try handle.nextEvent() {
        events.append(Event(path: event.path, token: event.token))
      }
      if !events.isEmpty { return isReadable(interruptDescriptor) ? .interrupted : .events(events) }

      var sleep = Self.longestSleep
      if let deadline {
        let left = deadline - ContinuousClock.now
        if left <= .zero { return .timedOut }
        sleep = min(sleep, left)
      }
      var descriptors = [
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: interruptDescriptor ?? -1, events: Int16(POLLIN), revents: 0),
      ]
      if unsafe poll(&descriptors, 2, sleep.pollMilliseconds) < 0 {
        let failure = errno
        guard failure == EINTR || failure == EAGAIN else {
          throw .store(StoreError(.other, operation: "wait", errno: failure))
        }
        continue
      }
      if descriptors[1].revents != 0 { return .interrupted }
    }
  }
}

/// Returns whether a descriptor has something to read now.
private func isReadable(_ descriptor: Int32?) -> Bool {
  guard let descriptor else { return false }
  var ends = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
  return unsafe poll(&ends, 1, 0) > 0
}

extension Duration {
  /// The duration in whole milliseconds, rounded up, so that a sleep never ends just before its deadline.
  fileprivate var pollMilliseconds: Int32 {
    let (seconds, attoseconds) = components
    return Int32(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
