import Glibc
import Ports

/// Files and folders that are looked at before they are opened: opening alone can have an effect, or wait without end.
///
/// A regular file that only root or this program's user can change is trusted with what Berth does next. A link, a pipe,
/// a device, or a file of another user is reported with the words for its kind, and stays as it is.
enum CheckedFile {
  /// Who may have made a file.
  enum Maker {
    /// Berth: only root or this program's user can change the file.
    case berth
    /// Any toolstack: only the kind of the file is checked. Its folder decides who can change it.
    case toolstack
  }

  /// The attempts to open a file on which another Berth has a lease. The lease ends after microseconds
  /// (`Descriptor.isOpenHereOnly`), and each pause takes a millisecond at most.
  private static let mostAttempts = 1000

  /// Opens a regular file. Links are not followed, and nothing is waited for but the end of a lease.
  static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0, madeBy maker: Maker, during operation: String
  ) throws(SystemFailure) -> Descriptor {
    if let found = try look(path, followsLinks: false, during: operation) {
      try check(found, S_IFREG, maker, during: operation)
    }
    let file = try openUnleased(path, flags | O_NOFOLLOW | O_NONBLOCK, mode, during: operation)
    // Another file may have taken the place of the one that was looked at.
    var opened = stat()
    guard unsafe fstat(file.number, &opened) == 0 else { throw SystemFailure(operation, errno) }
    try check(opened, S_IFREG, maker, during: operation)
    return file
  }

  /// Opens a file, and tries again while somebody has a lease on it.
  private static func openUnleased(
    _ path: String, _ flags: Int32, _ mode: mode_t, during operation: String
  ) throws(SystemFailure) -> Descriptor {
    for attempt in 1... {
      do throws(SystemFailure) { return try Descriptor(opening: path, flags, mode: mode) } catch {
        if error.errno == ELOOP { throw SystemFailure(operation, 0, oddity: "is a symbolic link") }
        guard error.errno == EWOULDBLOCK, attempt < mostAttempts else { throw SystemFailure(operation, error.errno) }
      }
      pauseAtRandom(nanoseconds: 1_000_000)
    }
    throw SystemFailure(operation, EWOULDBLOCK)
  }

  /// Returns the bytes of a file that Berth made, at most `most` of them.
  static func read(_ path: String, atMost most: Int) throws(SystemFailure) -> [UInt8] {
    try read(open(path, O_RDONLY, madeBy: .berth, during: "read"), atMost: most)
  }

  /// Returns the bytes of an open file that Berth made, at most `most` of them.
  static func read(_ file: borrowing Descriptor, atMost most: Int) throws(SystemFailure) -> [UInt8] {
    do throws(SystemFailure) { return try file.readAll(atMost: most) } catch {
      guard error.errno == EFBIG else { throw error }
      throw SystemFailure("read", 0, oddity: "has more than \(most) bytes")
    }
  }

  /// Checks a folder of Berth's, and the one that it is in. Throws ENOENT if there is none.
  static func checkFolder(_ path: String, during operation: String) throws(SystemFailure) {
    // The folder above may be a link to another file system.
    if let slash = path.lastIndex(of: "/") {
      try checkFolder(String(path[..<slash]), followsLinks: true, during: operation)
    }
    try checkFolder(path, followsLinks: false, during: operation)
  }

  private static func checkFolder(
    _ path: String, followsLinks: Bool, during operation: String
  ) throws(SystemFailure) {
    guard let found = try look(path, followsLinks: followsLinks, during: operation) else {
      throw SystemFailure(operation, ENOENT)
    }
    try check(found, S_IFDIR, .berth, during: operation)
  }

  /// Throws unless the path leads to a regular file, or to nothing: a device, for example, must not become a file.
  static func checkReplaceable(_ path: String, during operation: String) throws(SystemFailure) {
    guard let found = try look(path, followsLinks: true, during: operation) else { return }
    try check(found, S_IFREG, .toolstack, during: operation)
  }

  /// Returns the names in a folder of Berth's; none if there is no such folder.
  static func names(in folder: String) throws(SystemFailure) -> [String] {
    do throws(SystemFailure) {
      try checkFolder(folder, during: "list")
      return try listFolder(folder)
    } catch {
      if error.errno == ENOENT { return [] }
      throw error
    }
  }

  /// Makes a folder of Berth's, or checks the one that is there.
  static func makeFolder(_ path: String) throws(SystemFailure) {
    try makeFolders(path)
    try checkFolder(path, during: "make-folder")
  }

  /// Returns what is at a path; nil if nothing is.
  private static func look(
    _ path: String, followsLinks: Bool, during operation: String
  ) throws(SystemFailure) -> stat? {
    var found = stat()
    let status = unsafe followsLinks ? stat(path, &found) : lstat(path, &found)
    if status == 0 { return found }
    let failure = errno
    if failure == ENOENT { return nil }
    throw SystemFailure(operation, failure)
  }

  private static func check(
    _ found: stat, _ kind: mode_t, _ maker: Maker, during operation: String
  ) throws(SystemFailure) {
    guard let oddity = oddity(of: found, kind, maker) else { return }
    throw SystemFailure(operation, 0, oddity: oddity)
  }

  private static func oddity(of found: stat, _ kind: mode_t, _ maker: Maker) -> String? {
    guard found.st_mode & S_IFMT == kind else { return "is \(name(of: found.st_mode & S_IFMT))" }
    guard maker == .berth else { return nil }
    if !User.isTrusted(found.st_uid) { return "belongs to user \(User.name(of: found.st_uid))" }
    guard found.st_mode & 0o022 == 0 else {
      return "can be changed by other users (mode \(String(found.st_mode & 0o7777, radix: 8)))"
    }
    return nil
  }

  private static func name(of kind: mode_t) -> String {
    switch kind {
    case S_IFREG: "a file"
    case S_IFDIR: "a folder"
    case S_IFLNK: "a symbolic link"
    case S_IFIFO: "a named pipe"
    case S_IFSOCK: "a socket"
    case S_IFBLK, S_IFCHR: "a device"
    default: "of an unknown kind"
    }
  }
}

extension PortError<RecordCode> {
  /// Returns the failure of a system call on a file of Berth's. A file that is none of Berth's counts as damaged.
  init(_ failure: SystemFailure, _ place: String) {
    self.init(
      failure.oddity == nil ? RecordCode(errno: failure.errno) : .damaged, operation: failure.operation, place: place,
      errno: failure.errno, detail: failure.oddity)
  }

  /// Whether the failure is one of this file alone, so that other files are still read. Scarce memory or descriptors,
  /// for example, concern all files.
  var isOfThisFile: Bool {
    switch code {
    case .damaged, .notPermitted, .unproven: true
    // A later layout has no number.
    case .other: errno == 0 || errno == EIO
    case .busy: false
    }
  }
}

/// Users of this machine.
enum User {
  /// Returns whether a user is root or the user of this program. Toolstacks run as root; in a sandbox, all programs run
  /// as the user who started it.
  static func isTrusted(_ user: uid_t) -> Bool { user == 0 || user == geteuid() }

  /// Returns `nobody (65534)`, or only the number if the name is not known.
  ///
  /// The names are read from their file. The C library's functions may ask a server, which need not answer.
  static func name(of user: uid_t) -> String {
    let number = String(user)
    // Without the file there are no names.
    do throws(SystemFailure) {
      for line in String(decoding: try readFile(Root.users, atMost: 1 << 20), as: UTF8.self).split(separator: "\n") {
        // `nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin` (passwd(5)).
        let fields = line.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
        if fields.count == 4, fields[2] == number { return "\(fields[0]) (\(number))" }
      }
    } catch { return number }
    return number
  }
}
