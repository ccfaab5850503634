import Glibc
package import Ports

/// Replaces a text file that people read, as a whole: a reader finds the old content or the new. A link at the path is
/// replaced, too, but only if it leads to a regular file or to nothing. The file is readable by all, as far as the umask permits, or only by its owner.
package func replaceTextFile(
  _ path: String, with bytes: [UInt8], isPrivate: Bool = false
) throws(RecordError) {
  let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  let folder = slash == path.startIndex ? "." : String(path[..<slash])
  let temporary = "\(path[..<slash]).\(path[slash...]).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
  do throws(SystemFailure) {
    try CheckedFile.checkReplaceable(path, during: "write")
    let file = try Descriptor(
      opening: temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: isPrivate ? 0o600 : 0o644)
    do throws(SystemFailure) {
      try file.writeAll(bytes)
      try file.synchronise()
      try renameFile(temporary, path)
    } catch {
      _ = unsafe unlink(temporary)
      throw error
    }
    try synchroniseFolder(folder)
  } catch {
    throw RecordError(error, path)
  }
}
