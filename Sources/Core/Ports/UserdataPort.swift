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

/// A lock file of libxl, held or left over.
package struct UserdataLock: Hashable, Sendable {
  package var domain: DomainKey
  /// `domain-userdata-lock`, `libxl-device-changes-lock` or `qmp-socket-lock`.
  package var name: String
  package var path: String
  /// Whether a process holds the lock. A file without a holder is harmless: the next process takes it.
  package var isHeld: Bool
  /// The holder's process number and command line, if `/proc/locks` reports it.
  package var holder: String?
  /// When the file was created, in seconds since 1970: each taking of the lock creates it.
  package var since: Int64

  package init(domain: DomainKey, name: String, path: String, isHeld: Bool, holder: String? = nil, since: Int64) {
    self.domain = domain
    self.name = name
    self.path = path
    self.isHeld = isHeld
    self.holder = holder
    self.since = since
  }
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
