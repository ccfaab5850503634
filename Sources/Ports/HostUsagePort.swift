package import Model

/// What dom0 uses its devices for.
package protocol HostUsagePort: Sendable {
  /// Returns what could be read. What could not is in the answer's `unread`.
  func usage() -> HostUsage

  /// Tries to open each of these block devices exclusively for reading, and closes it at once.
  ///
  /// It is the last question before a device is taken, about that device's own disks only: while one is open here, nobody
  /// else can mount it.
  func openings(of disks: [String]) -> [DiskOpening]
}
