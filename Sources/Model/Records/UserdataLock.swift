/// A lock file of libxl, held or left over.
package struct UserdataLock: Hashable, Sendable, Codable {
  package var domain: DomainKey
  /// `domain-userdata-lock`, `libxl-device-changes-lock` or `qmp-socket-lock`.
  package var name: String
  package var path: String
  /// Whether a process holds the lock. A file without a holder is harmless: the next process takes it.
  package var isHeld: Bool
  /// The holder, if `/proc/locks` reports it.
  package var holder: LockHolder?
  /// When the file was created, in seconds since 1970: each taking of the lock creates it.
  package var since: Int64

  package init(domain: DomainKey, name: String, path: String, isHeld: Bool, holder: LockHolder? = nil, since: Int64) {
    self.domain = domain
    self.name = name
    self.path = path
    self.isHeld = isHeld
    self.holder = holder
    self.since = since
  }
}
