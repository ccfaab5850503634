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

  /// The largest number of events returned at once, if they come faster than they are taken.
  private static let mostEvents = 1024

  private let handle: XenStoreHandle
  private let tokens = Atomic(0)

  /// Connects to the daemon at `place`.
  package convenience init(_ place: StorePlace) throws(HostError) {
    try self.init(
      XenStoreHandle(place, limit: AnswerLimit(), counters: StoreCounters(), describe: { "process \($0)" }))
  }

  init(_ handle: XenStoreHandle) { self.handle = handle }

  /// Returns a token that was not used before on this connection.
  func nextToken() -> String { "w" + String(tokens.add(1, ordering: .relaxed).newValue) }

  /// Watches a path, or `@introduceDomain` or `@releaseDomain`. One event follows immediately.
  package func watch(path: String, token: String) throws(HostError) { try handle.watch(path, token: token) }

  /// Stops a watch. Events that are already on their way are still delivered.
  package func unwatch(path: String, token: String) throws(HostError) { try handle.unwatch(path, token: token) }

  /// Sleeps until there are events, and returns the pending ones. An interruption is returned before events.
  ///
  /// Without a deadline, the call sleeps until an event or an interruption. If the daemon is gone, the call throws
  /// `lost`.
  package func nextEvents(
    until deadline: ContinuousClock.Instant?, interruptDescriptor: Int32? = nil
  ) throws(HostError) -> Outcome {
    while true {
      let events = try handle.events(atMost: Self.mostEvents)
      if !events.isEmpty { return isReadable(interruptDescriptor) ? .interrupted : .events(events) }
      let left = deadline.map { $0 - .now }
      if let left, left <= .zero { return .timedOut }
      var descriptors = [
        pollfd(fd: handle.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: interruptDescriptor ?? -1, events: Int16(POLLIN), revents: 0),
      ]
      if unsafe poll(&descriptors, 2, left?.pollMilliseconds ?? -1) < 0 {
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
