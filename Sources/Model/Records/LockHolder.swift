/// A process that holds a lock, as the kernel shows it.
package struct LockHolder: Hashable, Sendable, Codable {
  /// The process that took the lock.
  package var process: Int
  /// The process's command line, at most 200 printable characters; nil if the kernel does not show it.
  package var command: String?
  /// The user of the process, `nobody (65534)`, if that is neither root nor the user of this program; otherwise nil.
  ///
  /// Toolstacks run as root, so no toolstack runs as such a user.
  package var stranger: String?

  package init(process: Int, command: String? = nil, stranger: String? = nil) {
    self.process = process
    self.command = command
    self.stranger = stranger
  }
}

extension LockHolder: CustomStringConvertible {
  /// `4711 (xl pci-attach web 03:00.0)`, or `4711 (sleep 60) of user nobody (65534)`.
  package var description: String {
    "\(process)" + (command.map { " (\($0))" } ?? "") + (stranger.map { " of user \($0)" } ?? "")
  }
}
