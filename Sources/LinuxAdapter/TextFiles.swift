import Glibc
package import Ports

/// Replaces a text file that people read, as a whole: a reader finds the old content or the new.
///
/// A link at the path is replaced, too, but only if it leads to a regular file or to nothing. All may read the file, as far
/// as the umask permits, or with `isPrivate` only its owner.
package func replaceTextFile(
  _ path: String, with bytes: [UInt8], isPrivate: Bool = false
) throws(RecordError) {
  do throws(SystemFailure) {
    try CheckedFile.checkReplaceable(path, during: "write")
    try replace(path, with: bytes, mode: isPrivate ? 0o600 : 0o644) { _ in }
  } catch {
    throw RecordError(error, path)
  }
}

/// Replaces a text file by another text, as a whole, if it still has the text `old`. The file keeps its owner and its
/// rights.
///
/// A link is not followed, and what is no regular file stays as it is. Between the last look at the file and its
/// replacement, microseconds pass, in which a write of another program would be lost.
///
/// - Returns: why the file was left alone, to be put behind its name: `is a symbolic link`. Nil if it was replaced.
package func rewriteTextFile(
  _ path: String, from old: [UInt8], to new: [UInt8]
) throws(RecordError) -> String? {
  do throws(SystemFailure) {
    let file = try CheckedFile.open(path, O_RDONLY, madeBy: .toolstack, during: "write")
    let found = try status(of: file)
    guard found.st_nlink == 1 else { return "has \(found.st_nlink) names, and the others would keep the old text" }
    do throws(SystemFailure) {
      guard try file.readAll(atMost: old.count) == old else { return changed }
    } catch {
      if error.errno == EFBIG { return changed }
      throw error
    }
    try replace(path, with: new, mode: 0o600) { copy throws(SystemFailure) in
      let made = try status(of: copy)
      if made.st_uid != found.st_uid || made.st_gid != found.st_gid {
        _ = try retrying("chown") { fchown(copy.number, found.st_uid, found.st_gid) }
      }
      _ = try retrying("chmod") { fchmod(copy.number, found.st_mode & 0o7777) }
      var now = stat()
      guard unsafe lstat(path, &now) == 0, isUnchanged(found, now) else {
        throw SystemFailure("write", 0, oddity: changed)
      }
    }
    return nil
  } catch {
    if let oddity = error.oddity { return oddity }
    throw RecordError(error, path)
  }
}

private let changed = "was changed by another program meanwhile"

private func status(of file: borrowing Descriptor) throws(SystemFailure) -> stat {
  var status = stat()
  guard unsafe fstat(file.number, &status) == 0 else { throw SystemFailure("stat", errno) }
  return status
}

private func isUnchanged(_ before: stat, _ now: stat) -> Bool {
  before.st_dev == now.st_dev && before.st_ino == now.st_ino && before.st_size == now.st_size
    && before.st_mtim.tv_sec == now.st_mtim.tv_sec && before.st_mtim.tv_nsec == now.st_mtim.tv_nsec
    && before.st_ctim.tv_sec == now.st_ctim.tv_sec && before.st_ctim.tv_nsec == now.st_ctim.tv_nsec
}

/// Writes a new file beside the path, lets `finish` complete it, and gives it the path's name.
private func replace(
  _ path: String, with bytes: [UInt8], mode: mode_t,
  _ finish: (borrowing Descriptor) throws(SystemFailure) -> Void
) throws(SystemFailure) {
  let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  let temporary = "\(path[..<slash]).\(path[slash...]).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
  let file = try Descriptor(opening: temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
  do throws(SystemFailure) {
    try file.writeAll(bytes)
    try finish(file)
    try file.synchronise()
    try renameFile(temporary, path)
  } catch {
    _ = unsafe unlink(temporary)
    throw error
  }
  try synchroniseFolder(slash == path.startIndex ? "." : String(path[..<slash]))
}
