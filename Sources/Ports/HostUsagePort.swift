package import Model

/// What dom0 uses its devices for.
package protocol HostUsagePort: Sendable {
  /// Returns what could be read. What could not is in the answer's `unread`.
  func usage() -> HostUsage
}
