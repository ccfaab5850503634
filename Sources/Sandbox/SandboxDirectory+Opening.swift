import Glibc

/// How a directory becomes a sandbox's.
extension SandboxDirectory {
  /// Opens the directory of an existing sandbox, running or not.
  ///
  /// Throws `notFound` if there is no directory, and `notOwned` if another user owns the directory or could replace it.
  /// Throws `inUse` if others may enter the directory, and `notRunning` if no sandbox is in it.
  package static func open(_ path: String) throws(SandboxError) -> SandboxDirectory {
    let directory = try reach(path, makesMissing: false).directory
    try directory.content.requirePrivate()
    guard try directory.content.description() != nil else {
      throw SandboxError(.notRunning, "there is no sandbox in \(directory.paths.directory)")
    }
    return directory
  }

  /// Opens a directory for a new sandbox: one that it makes, an empty one of this user, or that of a sandbox that does
  /// not run. An empty directory is closed to all others first.
  static func make(_ path: String) throws(SandboxError) -> (directory: SandboxDirectory, isNew: Bool) {
    let (directory, isNew) = try reach(path, makesMissing: true)
    let found = try directory.status()
    // A home is never a sandbox: the end of the sandbox would remove it.
    if let home = Processes.environment()["HOME"], isSame(found, home) {
      throw SandboxError(
        .inUse, "\(directory.paths.directory) is your home directory: choose an empty directory in it")
    }
    if try directory.content.names().isEmpty, found.st_uid == geteuid() {
      guard fchmod(directory.number, 0o700) == 0 else { throw systemError("protecting \(directory.paths.directory)") }
    }
    try directory.content.requirePrivate()
    return (directory, isNew)
  }

  private static func reach(
    _ path: String, makesMissing: Bool
  ) throws(SandboxError) -> (directory: SandboxDirectory, isNew: Bool) {
    let wanted = SandboxPaths(directory: path).directory
    let walk = try TrustedWalk.directory(at: wanted, makesMissing: makesMissing)
    let (place, isNew) = (walk.path.isEmpty ? "/" : walk.path, walk.isNew)
    let number = unsafe openat(walk.directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    let error = errno
    _ = consume walk
    guard number >= 0 else { throw systemError("opening \(place)", error) }
    return (SandboxDirectory(taking: number, at: place), isNew)
  }

  func status() throws(SandboxError) -> stat {
    var found = stat()
    guard unsafe fstat(number, &found) == 0 else { throw systemError("looking at \(paths.directory)") }
    return found
  }

  /// What a sandbox has made in the directory.
  var content: SandboxContent { SandboxContent(directory: self) }

  /// Returns what stands at a path; nil if nothing does. A link counts by itself.
  func look(_ path: String) throws(SandboxError) -> stat? {
    do throws(SandboxError) {
      return try at(path) { (folder, name) throws(SandboxError) in
        var found = stat()
        guard unsafe fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
          throw systemError("looking at \(path)")
        }
        return found
      }
    } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }
}

/// Returns whether a path names what was found.
private func isSame(_ found: stat, _ path: String) -> Bool {
  var other = stat()
  return unsafe stat(path, &other) == 0 && other.st_dev == found.st_dev && other.st_ino == found.st_ino
}
