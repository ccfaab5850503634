package import Model

/// Berth's own memory of what it owns: one file a domain, under its state directory.
package protocol OwnershipPort: Sendable {
  /// All records, in order of UUID.
  func records() throws(HostError) -> [OwnershipRecord]
  /// Reads, changes and replaces one record under its own lock; the file is on disk when this returns.
  ///
  /// `change` gets nil where there is no record, and leaves nil to remove it. Nothing is written where nothing changed.
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError)
  /// Removes what killed processes left that says nothing: files that had not got their names, locks that nobody holds.
  ///
  /// What cannot be removed stays for the next time: nothing is read from it.
  func sweep()
}

/// An intent that is on disk, and whose file this process keeps locked.
package protocol OpenIntent: Sendable {
  /// Removes the record: the outcome is proven.
  func close() throws(HostError)
}

/// The journal of what is about to happen, for the next run after a crash.
package protocol IntentPort: Sendable {
  /// Writes the intent and has it on disk when this returns.
  func open(_ intent: Intent) throws(HostError) -> any OpenIntent
  /// Every intent found, those of live processes marked so.
  func intents() throws(HostError) -> [Intent]
  /// Removes what a dead process left, once its outcome is known.
  func discard(identifier: String) throws(HostError)
  /// Removes the files of killed processes that had not got their names; what cannot be removed stays for the next time.
  func sweep()
}
