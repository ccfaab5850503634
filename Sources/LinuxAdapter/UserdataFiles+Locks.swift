import Glibc
package import Model
package import Ports

extension UserdataFiles {
  /// Examines each lock file. The examination briefly takes a shared lock of the file, and nothing more.
  package func locks() throws(HostError) -> [UserdataLock] {
    let names: [String]
    do throws(SystemFailure) { names = try listFolder(folder) } catch {
      if error.errno == ENOENT { return [] }
      throw .userdata(UserdataError(error, folder))
    }
    var locks: [UserdataLock] = []
    for name in names {
      guard let (domain, what) = Self.parse(name) else { continue }
      let path = folder + "/" + name
      do throws(SystemFailure) {
        let file = try CheckedFile.open(path, O_RDONLY, madeBy: .toolstack, during: "open")
        let isHeld = try !file.lock(LOCK_SH)
        // The holder unlocked the file in the meantime; it unlinks the file first.
        if !isHeld, try !file.isNamed(path) { continue }
        locks.append(
          UserdataLock(
            domain: domain, name: what, path: path, isHeld: isHeld, holder: isHeld ? LockTable.holder(of: file) : nil,
            since: try file.changedAt()))
      } catch {
        if error.errno == ENOENT { continue }
        throw .userdata(UserdataError(error, path))
      }
    }
    return locks
  }

  /// Reads `userdata-l.<domid>.<uuid>.<userid>`; the user ids of locks end in `-lock`.
  private static func parse(_ name: String) -> (DomainKey, String)? {
    let parts = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "userdata-l", let number = decimal(parts[1]), let uuid = DomainUUID(parts[2]),
      parts[3].hasSuffix("-lock")
    else { return nil }
    return (DomainKey(id: DomainID(UInt32(number)), uuid: uuid), String(parts[3]))
  }
}
