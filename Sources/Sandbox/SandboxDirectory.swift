import Glibc

/// A sandbox's directory, held open. It is this user's alone.
///
/// Every file of a sandbox is reached from this descriptor, one directory at a time, and no link is followed. So nothing
/// that stands in the directory leads the sandbox to a file outside of it. All paths are those of `paths`.
package final class SandboxDirectory: Sendable {
  package let paths: SandboxPaths
  let number: Int32

  /// Takes over the descriptor of a directory that was checked.
  init(taking number: Int32, at path: String) {
    self.number = number
    paths = SandboxPaths(directory: path)
  }

  deinit { close(number) }

  // MARK: Files

  /// Opens a file that children do not inherit. Throws if it is a link, is not of this type, or has a second name and is
  /// to be written.
  func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0o600, type: mode_t = S_IFREG
  ) throws(SandboxError) -> Descriptor {
    try at(path) { (folder, name) throws(SandboxError) in
      // Without O_NONBLOCK, opening a FIFO in the file's place could wait for ever.
      let number = unsafe openat(folder, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode)
      guard number >= 0 else { throw Self.failure("opening", path) }
      let file = Descriptor(number)
      var found = stat()
      guard unsafe fstat(file.number, &found) == 0 else { throw systemError("looking at \(path)") }
      guard found.st_mode & S_IFMT == type, flags & O_ACCMODE == O_RDONLY || found.st_nlink <= 1 else {
        throw SandboxError(.inUse, "\(path) is not what the sandbox made", errno: EEXIST)
      }
      return file
    }
  }

  /// Returns the file's bytes; nil if there is no file.
  func readBytes(_ path: String) throws(SandboxError) -> [UInt8]? {
    try ifThere { () throws(SandboxError) in try Files.read(try open(path, O_RDONLY), path) }
  }

  /// Returns the file's text; nil if there is no file.
  func read(_ path: String) throws(SandboxError) -> String? {
    try readBytes(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Replaces a file's content, in place. A reader without a lock may find the end of the old content after the new.
  func write(_ path: String, _ bytes: [UInt8]) throws(SandboxError) {
    let file = try open(path, O_WRONLY | O_CREAT)
    try Files.write(bytes, to: file, path)
    guard ftruncate(file.number, bytes.count) == 0 else { throw systemError("shortening \(path)") }
  }

  func write(_ path: String, _ text: String) throws(SandboxError) { try write(path, Array(text.utf8)) }

  func append(_ path: String, _ text: String) throws(SandboxError) {
    try Files.write(Array(text.utf8), to: try open(path, O_WRONLY | O_CREAT | O_APPEND), path)
  }

  /// Gives a file another name in the same folder, and replaces the file that has it.
  func rename(_ path: String, to newName: String) throws(SandboxError) {
    try at(path) { (folder, name) throws(SandboxError) in
      guard unsafe renameat(folder, name, folder, newName) == 0 else { throw systemError("renaming \(path)") }
    }
  }

  // MARK: Directories

  /// Makes a directory and its missing parents.
  func makeDirectories(_ path: String) throws(SandboxError) {
    var made = paths.directory
    for name in try names(in: path) {
      made += "/" + name
      try at(made) { (folder, name) throws(SandboxError) in
        if unsafe mkdirat(folder, name, 0o700) != 0, errno != EEXIST { throw systemError("making \(path)") }
      }
    }
    // What existed may be something else than a directory.
    _ = try open(path, O_RDONLY | O_DIRECTORY, type: S_IFDIR)
  }

  /// Returns the names in a directory, sorted; nil if there is no directory.
  func list(_ path: String) throws(SandboxError) -> [String]? {
    try ifThere { () throws(SandboxError) in
      try Files.entries(of: try open(path, O_RDONLY | O_DIRECTORY, type: S_IFDIR), path).map(Files.text).sorted()
    }
  }

  /// Makes a symbolic link, replacing an existing one.
  func link(_ path: String, to target: String) throws(SandboxError) {
    try remove(path)
    try at(path) { (folder, name) throws(SandboxError) in
      guard unsafe symlinkat(target, folder, name) == 0 else { throw systemError("making the link \(path)") }
    }
  }

  /// Removes a file, a link or an empty directory. A missing one is no error.
  func remove(_ path: String) throws(SandboxError) {
    _ = try ifThere { () throws(SandboxError) in
      try at(path) { (folder, name) throws(SandboxError) in
        try Removal.remove(Array(name.utf8CString), in: folder, path)
      }
    }
  }

  /// Removes a directory and its content. It removes links and does not follow them, and it stays in one file system.
  func removeTree(_ path: String) throws(SandboxError) {
    _ = try ifThere { () throws(SandboxError) in
      try at(path) { (folder, name) throws(SandboxError) in
        try Removal.removeTree(Array(name.utf8CString), in: folder, path)
      }
    }
  }

  // MARK: Sockets

  /// Listens at `path`, for this user alone. A stale socket there is replaced.
  ///
  /// A socket's address has room for 107 bytes, so it names its folder by the descriptor, `/proc/self/fd/N` (proc(5)).
  /// `bind` makes the last name, and follows no link there.
  func listen(_ path: String) throws(SandboxError) -> Descriptor {
    try remove(path)
    return try at(path) { (folder, name) throws(SandboxError) in
      try Sockets.listen("/proc/self/fd/\(folder)/\(name)", called: path)
    }
  }

  // MARK: Steps

  /// Runs `body` with the descriptor of a path's folder and the last name of the path.
  func at<Result: ~Copyable>(
    _ path: String, _ body: (_ folder: Int32, _ name: String) throws(SandboxError) -> Result
  ) throws(SandboxError) -> Result {
    var names = try names(in: path)
    let last = names.removeLast()
    var folder = Descriptor(fcntl(number, F_DUPFD_CLOEXEC, 0))
    guard folder.number >= 0 else { throw systemError("opening \(paths.directory)") }
    for name in names {
      let next = unsafe openat(folder.number, name, handleOnly | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard next >= 0 else { throw Self.failure("opening the folder of", path) }
      folder = Descriptor(next)
    }
    let result = try body(folder.number, last)
    // The folder must be open up to here.
    _ = consume folder
    return result
  }

  /// Returns the components of a path below the directory.
  private func names(in path: String) throws(SandboxError) -> [String] {
    let names = path.dropFirst(paths.directory.count).split(separator: "/").map(String.init)
    guard path.hasPrefix(paths.directory + "/"), !names.isEmpty, !names.contains(where: { $0 == "." || $0 == ".." })
    else { throw SandboxError(.inUse, "\(path) is not below \(paths.directory)", errno: EINVAL) }
    return names
  }

  private func ifThere<Result>(_ body: () throws(SandboxError) -> Result) throws(SandboxError) -> Result? {
    do throws(SandboxError) { return try body() } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }

  /// Returns the failure of opening something, which is most often a link or another kind of file in its place.
  private static func failure(_ what: String, _ path: String) -> SandboxError {
    let error = errno
    guard [ELOOP, ENOTDIR, EISDIR, ENXIO].contains(error) else { return systemError("\(what) \(path)", error) }
    return SandboxError(
      .inUse, "\(what) \(path): a link, or something else that the sandbox did not make, stands there", errno: error)
  }
}

/// Removes names from open folders. `path` is only for messages.
private enum Removal {
  static func remove(_ name: [CChar], in folder: Int32, _ path: String) throws(SandboxError) {
    if unsafe unlinkat(folder, name, 0) == 0 || (errno == EISDIR && unlinkat(folder, name, AT_REMOVEDIR) == 0) {
      return
    }
    throw systemError("removing \(path)")
  }

  static func removeTree(_ name: [CChar], in folder: Int32, _ path: String) throws(SandboxError) {
    var (found, above) = (stat(), stat())
    guard unsafe fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0, unsafe fstat(folder, &above) == 0 else {
      throw systemError("looking at \(path)")
    }
    if found.st_mode & S_IFMT == S_IFDIR {
      guard found.st_dev == above.st_dev else {
        throw SandboxError(.inUse, "another file system is mounted at \(path): unmount it first", errno: EBUSY)
      }
      let number = unsafe openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard number >= 0 else { throw systemError("opening \(path)") }
      let directory = Descriptor(number)
      // The listing has a descriptor of its own; both are open at once.
      let listed = Descriptor(unsafe openat(number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
      guard listed.number >= 0 else { throw systemError("listing \(path)") }
      for entry in try Files.entries(of: listed, path) {
        try removeTree(entry, in: directory.number, path + "/" + Files.text(entry))
      }
      _ = consume directory
    }
    try remove(name, in: folder, path)
  }
}
