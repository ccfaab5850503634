package import Model

/// libxl's userdata of one domain while its lock is held: the only door to writing it.
package protocol LockedUserdata: ~Copyable {
  /// The bytes of `libxl-json`; nil where there is no such file.
  borrowing func savedConfiguration() throws(HostError) -> [UInt8]?
  /// Replaces `libxl-json` as libxl does: new file, rename. `bytes` must end in NUL.
  borrowing func replaceSavedConfiguration(_ bytes: [UInt8]) throws(HostError)
  /// Whether another process sleeps in flock on this lock. Berth never does, so it is another toolstack,
  /// which may already have read what we are about to change.
  borrowing func hasWaiter() -> Bool
}

/// libxl's userdata files and their lock (`libxl__lock_file`, `libxl__userdata_store`, Xen 4.17).
package protocol UserdataPort: Sendable {
  /// The bytes of `libxl-json`, read without the lock; safe, since libxl replaces it by rename.
  func savedConfiguration(of domain: DomainKey) throws(HostError) -> [UInt8]?

  /// The lock files that are there now, of all domains; none where libxl has no folder yet.
  func locks() throws(HostError) -> [UserdataLock]

  /// Runs `body` with libxl's `domain-userdata-lock` of the domain.
  ///
  /// The body must not wait, reset, talk to QEMU, or call anything that takes the lock itself.
  /// Throws `busy` with the holder when the deadline passes first.
  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result
}
