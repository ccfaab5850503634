import Dispatch
import Glibc
package import Model
package import Ports

/// libxl's userdata files, written and locked as libxl does.
///
/// Names: `userdata-<w>.<domid>.<uuid>.<userid>` with w d (data), n (new), l (lock): `libxl__userdata_path`, libxl_dom.c.
package struct UserdataFiles: UserdataPort {
  /// Larger than any domain's configuration.
  private static let longestFile = 16 << 20

  private let root: Root
  /// The process changes one domain at a time under its lock. xenstored serves one request at a time, and transactions
  /// that create nodes side by side conflict. In parallel, each would hold its lock for as long as all of them together
  /// take.
  private let gate = DispatchSemaphore(value: 1)

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  package init(root: String) { self.root = Root(root) }

  package func savedConfiguration(of domain: DomainKey) throws(HostError) -> [UInt8]? {
    let path = self.path("d", domain, "libxl-json")
    let bytes: [UInt8]
    do throws(SystemFailure) { bytes = try readFile(path, atMost: Self.longestFile) } catch {
      if error.errno == ENOENT { return nil }
      throw .userdata(UserdataError(error, path))
    }
    // libxl removes a file without content, and refuses an empty file (libxl__userdata_retrieve).
    if bytes.isEmpty { throw .userdata(UserdataError(.empty, operation: "read", place: path)) }
    return bytes
  }

  package func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    let path = self.path("l", domain, "domain-userdata-lock")
    let lock: FileLock
    do throws(FileLock.Failure) { lock = try FileLock(path: path, until: deadline, gate: gate) } catch {
      switch error {
      case .busy(let holder):
        throw .userdata(UserdataError(.busy, operation: "lock", place: path, errno: EWOULDBLOCK, holder: holder))
      case .system(let failure): throw .userdata(UserdataError(failure, path))
      }
    }
    return try body(LockedFiles(files: self, domain: domain, lock: lock))
  }

  fileprivate func replaceSavedConfiguration(of domain: DomainKey, _ bytes: [UInt8]) throws(HostError) {
    let new = path("n", domain, "libxl-json")
    // libxl would read past the end of a file without the NUL, and it refuses an empty file.
    guard bytes.last == 0 else { throw .userdata(UserdataError(.other, operation: "write", place: new, errno: EINVAL)) }
    do throws(SystemFailure) {
      let file = try CheckedFile.open(
        new, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600, madeBy: .toolstack, during: "open")
      try file.writeAll(bytes)
      // As in libxl, nothing is forced to disk. The rename alone ensures that no process sees half a file. A crash that
      // loses the file also ends its domain. Forcing would take most of the time for which the lock is held.
      try renameFile(new, path("d", domain, "libxl-json"))
    } catch { throw .userdata(UserdataError(error, new)) }
  }

  var folder: String { root.userdata }

  private func path(_ what: String, _ domain: DomainKey, _ user: String) -> String {
    "\(root.userdata)/userdata-\(what).\(domain.id).\(domain.uuid).\(user)"
  }
}

/// The files of one domain while their lock is held. The destruction releases the lock.
private struct LockedFiles: ~Copyable, LockedUserdata {
  let files: UserdataFiles
  let domain: DomainKey
  let lock: FileLock

  borrowing func savedConfiguration() throws(HostError) -> [UInt8]? { try files.savedConfiguration(of: domain) }

  borrowing func replaceSavedConfiguration(_ bytes: [UInt8]) throws(HostError) {
    try files.replaceSavedConfiguration(of: domain, bytes)
  }

  borrowing func hasWaiter() -> Bool { lock.hasWaiter }
}
