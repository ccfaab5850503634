package import Model

/// Berth's own record of what it owns: one file per domain, under its state directory.
package protocol OwnershipPort: Sendable {
  /// Returns all usable records, in order of UUID, and the damaged ones.
  func readRecords() throws(HostError) -> OwnFiles<OwnershipRecord>
  /// Returns the record of one domain; nil if there is none. Throws if it is damaged.
  func record(of domain: DomainUUID) throws(HostError) -> OwnershipRecord?
  /// Reads, changes and replaces one record under its own lock. The file is on disk when the call returns.
  ///
  /// `change` gets nil if there is no record, and leaves nil to remove the record. If nothing changes, nothing is
  /// written. Throws `busy` if another process keeps the record's lock for too long.
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError)
  /// Removes useless files of killed processes: files that had no final name yet, and locks without a holder.
  ///
  /// Files that cannot be removed stay until the next time. Nothing is read from them.
  func sweep()
}

/// An intent that is on disk, and whose file this process keeps locked.
package protocol OpenIntent: Sendable {
  /// Removes the intent, because the outcome is proven.
  func close() throws(HostError)
}

/// The journal of what is about to happen. The next run reads it after a crash.
package protocol IntentPort: Sendable {
  /// Writes the intent. The file is on disk when the call returns.
  func open(_ intent: Intent) throws(HostError) -> any OpenIntent
  /// Returns every usable intent, and the damaged ones. The intents of live processes are marked as live.
  func readIntents() throws(HostError) -> OwnFiles<Intent>
  /// Removes a leftover intent, once its outcome is known.
  func discard(identifier: String) throws(HostError)
  /// Removes files of killed processes that had no final name yet. Files that cannot be removed stay until the next
  /// time.
  func sweep()
}

extension OwnershipPort {
  /// Returns all records, in order of UUID. Throws if one of them is damaged.
  package func records() throws(HostError) -> [OwnershipRecord] { try readRecords().whole() }
}

extension IntentPort {
  /// Returns every intent. Throws if one of them is damaged.
  package func intents() throws(HostError) -> [Intent] { try readIntents().whole() }
}
