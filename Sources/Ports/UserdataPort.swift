package import Model

/// libxl's userdata of one domain while its lock is held. Userdata can be written only through this protocol.
package protocol LockedUserdata: ~Copyable {
  /// Returns the bytes of `libxl-json`; nil if there is no such file.
  borrowing func savedConfiguration() throws(HostError) -> [UInt8]?
  /// Replaces `libxl-json` as libxl does: new file, then rename. `bytes` must end in NUL.
  borrowing func replaceSavedConfiguration(_ bytes: [UInt8]) throws(HostError)
  /// Returns whether another process sleeps in flock on this lock. Berth never sleeps there, so the process is another
  /// toolstack. It may already have read what Berth is about to change.
  borrowing func hasWaiter() -> Bool
}

/// libxl's userdata files and their lock (`libxl__lock_file`, `libxl__userdata_store`, Xen 4.17).
package protocol UserdataPort: Sendable {
  /// Returns the bytes of `libxl-json`, read without the lock. This is safe because libxl replaces the file by rename.
  func savedConfiguration(of domain: DomainKey) throws(HostError) -> [UInt8]?

  /// Returns the lock files of all domains that exist now; none if libxl has no folder yet.
  func locks() throws(HostError) -> [UserdataLock]

  /// Runs `body` with libxl's `domain-userdata-lock` of the domain.
  ///
  /// The body must not wait, reset, talk to QEMU, or call anything that takes the lock itself. Throws `busy` with the
  /// holder if the deadline passes first.
  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result
}
