/// A run of Berth that holds a domain's run lock.
package struct RunHolder: Hashable, Sendable, Codable {
  /// The process that holds the lock.
  package var process: Int
  /// The process's command line, made visible and cut at 200 columns; nil if the kernel does not show it.
  package var command: String?
  /// When the lock was taken, in seconds since 1970; nil if the holder has not written it yet.
  package var since: Int64?
  /// Whether the process is stopped (SIGSTOP, or a debugger): it holds the lock until somebody continues or ends it.
  package var isStopped: Bool
  /// The user of the process, if that is neither root nor the user of this program: no run of Berth is such a user's.
  package var stranger: String?

  package init(
    process: Int, command: String? = nil, since: Int64? = nil, isStopped: Bool = false, stranger: String? = nil
  ) {
    self.process = process
    self.command = command
    self.since = since
    self.isStopped = isStopped
    self.stranger = stranger
  }
}

extension RunHolder: CustomStringConvertible {
  /// `4711 (berth apply web.yaml), since 12:03:04 UTC, stopped`.
  package var description: String {
    "\(LockHolder(process: process, command: command, stranger: stranger))"
      + (since.map { ", since \(timeOfDay($0)) UTC" } ?? "")
      + (isStopped ? ", stopped" : "")
  }
}

/// What a domain's run lock looked like at one moment.
package struct RunMark: Hashable, Sendable, Codable {
  /// The run that holds the lock; nil if no run does, or if the kernel does not show which one does.
  package var holder: RunHolder?
  package var isHeld: Bool
  /// A value that differs after each taking of the lock. Two equal marks without a holder mean that no run was at work
  /// in between.
  package var lastTaking: String

  package init(holder: RunHolder? = nil, isHeld: Bool, lastTaking: String) {
    self.holder = holder
    self.isHeld = isHeld
    self.lastTaking = lastTaking
  }
}

/// Returns the time of day in UTC, `12:03:04`, of a moment in seconds since 1970.
private func timeOfDay(_ moment: Int64) -> String {
  let second = (moment % 86_400 + 86_400) % 86_400
  return [second / 3600, second / 60 % 60, second % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
}
