import Glibc

/// Programs that begin at moments of their own, beside each other.
package struct ProgramStarts: Sendable {
  /// How a program ended, and when it ran, since the schedule began.
  package struct Ended: Sendable {
    /// From a moment before the program began to a moment after it ended.
    package var time: ClosedRange<Duration>
    package var result: Command.Result
  }

  private var entries: [(delay: Duration, command: Command)]

  /// A schedule of programs, each with its delay since the schedule's begin.
  package init(_ entries: [(delay: Duration, command: Command)]) { self.entries = entries }

  /// Runs all programs to their ends, each on a thread of its own, and returns their ends in the order of the entries.
  package func run(within deadline: Duration = .seconds(120)) async throws -> [Ended] {
    let begin = ContinuousClock.now
    return try await withThrowingTaskGroup(of: (Int, Ended).self) { group in
      for (number, entry) in entries.enumerated() {
        group.addTask {
          try await onThread { Self.pass(until: begin + entry.delay) }
          let began = ContinuousClock.now - begin
          let result = try await entry.command.run(within: deadline)
          return (number, Ended(time: began...(ContinuousClock.now - begin), result: result))
        }
      }
      return try await group.reduce(into: [(Int, Ended)]()) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  /// Lets time pass on this thread. Nothing is waited for: the moment itself is what a schedule tries.
  private static func pass(until moment: ContinuousClock.Instant) {
    while case let left = moment - ContinuousClock.now, left > .zero {
      let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
      _ = poll(nil, 0, Int32(clamping: milliseconds + 1))
    }
  }
}
