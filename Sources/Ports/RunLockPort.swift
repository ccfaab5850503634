package import Model

/// A run lock that this process holds. The lock is released with the last reference, or with the process.
package protocol HeldRunLock: Sendable {
  /// Releases the lock; releasing it again does nothing.
  func release()
}

/// How an attempt to take a run lock ended.
package enum RunLockAttempt: Sendable {
  case held(any HeldRunLock)
  /// Another run held the lock until the deadline; nil if the kernel does not show which one.
  case busy(RunHolder?)
  /// The user asked the program to stop.
  case interrupted
}

/// Berth's own lock per domain. One run at a time works on a domain, from its fresh look to the end of its waits.
///
/// The lock is not libxl's, and no other toolstack knows it. So it may be held across a wait.
package protocol RunLockPort: Sendable {
  /// Takes the domain's run lock, at the latest at `deadline`; tries at least once.
  ///
  /// A killed process holds no lock. To exclude deadlocks, a caller that takes several locks must take them in order
  /// of UUID. Throws if the lock's file does not have Berth's form, or cannot be created.
  func lock(
    _ domain: DomainUUID, until deadline: ContinuousClock.Instant, isInterrupted: () -> Bool
  ) throws(HostError) -> RunLockAttempt

  /// Returns the marks of all domains whose lock was ever taken since the host booted, and the damaged files. The call
  /// never waits.
  func readMarks() throws(HostError) -> (marks: [DomainUUID: RunMark], damaged: [DamagedFile])

  /// Removes the locks of domains that are gone, if nobody holds them. Files that cannot be removed stay until the
  /// next time.
  func sweep(keeping living: Set<DomainUUID>)
}

extension RunLockPort {
  /// Returns the marks of all domains whose lock was ever taken since the host booted. Damaged files have none: a run
  /// that wants such a lock reports the file.
  package func marks() throws(HostError) -> [DomainUUID: RunMark] { try readMarks().marks }
}
