/// Berth's own memory of what it owns: one file a domain, under its state directory.
package protocol OwnershipPort: Sendable {
  /// All records, in order of UUID.
  func records() throws(RecordError) -> [OwnershipRecord]
  /// Reads, changes and replaces one record under its own lock; the file is on disk when this returns.
  ///
  /// `change` gets nil where there is no record, and leaves nil to remove it. Nothing is written where nothing changed.
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(RecordError)
  /// Removes what killed processes left that says nothing: files that had not got their names, locks that nobody holds.
  ///
  /// What cannot be removed stays for the next time: nothing is read from it.
  func sweep()
}

/// An intent that is on disk, and whose file this process keeps locked.
package protocol OpenIntent: Sendable {
  /// Removes the record: the outcome is proven.
  func close() throws(RecordError)
}

/// The journal of what is about to happen, for the next run after a crash.
package protocol IntentPort: Sendable {
  /// Writes the intent and has it on disk when this returns.
  func open(_ intent: Intent) throws(RecordError) -> any OpenIntent
  /// Every intent found, those of live processes marked so.
  func intents() throws(RecordError) -> [Intent]
  /// Removes what a dead process left, once its outcome is known.
  func discard(identifier: String) throws(RecordError)
  /// Removes the files of killed processes that had not got their names; what cannot be removed stays for the next time.
  func sweep()
}

/// A failure of Berth's own files.
package struct RecordError: Error, Hashable, Sendable {
  package enum Code: String, Sendable {
    case notPermitted
    /// The file is there and is not what Berth writes.
    case damaged
    case other
  }
  package let code: Code
  package let operation: String
  package let path: String
  package let errno: Int32
  package init(_ code: Code, operation: String, path: String, errno: Int32 = 0) {
    self.code = code
    self.operation = operation
    self.path = path
    self.errno = errno
  }
}
