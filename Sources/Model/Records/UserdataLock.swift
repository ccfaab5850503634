/// A lock file of libxl's, held or left over.
package struct UserdataLock: Hashable, Sendable {
  package var domain: DomainKey
  /// `domain-userdata-lock`, `libxl-device-changes-lock` or `qmp-socket-lock`.
  package var name: String
  package var path: String
  /// Whether some process holds it. A file that nobody holds does no harm: the next one takes it.
  package var isHeld: Bool
  /// Who holds it, where `/proc/locks` tells: number and command line.
  package var holder: String?
  /// When the file was made, in seconds since 1970: whoever takes the lock makes it.
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
