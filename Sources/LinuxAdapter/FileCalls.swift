import Glibc
import Ports

/// A failed system call. Each adapter adds its own name for the failure, and the path.
struct SystemFailure: Error {
  let operation: String
  /// The error number; 0 if no call failed, because something else than a file of the wanted kind was found.
  let errno: Int32
  /// What was found in place of the wanted file, `is a named pipe`; nil if a call failed.
  let oddity: String?
  init(_ operation: String, _ errno: Int32, oddity: String? = nil) {
    (self.operation, self.errno, self.oddity) = (operation, errno, oddity)
  }

  /// Whether there is no such file or folder.
  var isAbsence: Bool { errno == ENOENT || errno == ENOTDIR }
}

extension PortError {
  /// Returns the failure of a system call on `place`, as its port reports it.
  init(_ failure: SystemFailure, _ place: String) {
    self.init(
      Code(errno: failure.errno), operation: failure.operation, place: place, errno: failure.errno,
      detail: failure.oddity)
  }
}

/// Owns one open file. Only its destruction closes the file.
struct Descriptor: ~Copyable, Sendable {
  let number: Int32

  /// Opens a file, which is closed in programs that this one starts.
  init(opening path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemFailure) {
    number = try retrying("open") { unsafe open(path, flags | O_CLOEXEC, mode) }
  }

  /// Takes ownership of a descriptor that a call opened.
  init(opened number: Int32) { self.number = number }

  deinit { _ = close(number) }

  /// Reads to the end. Throws `EFBIG` if there are more than `most` bytes.
  func readAll(atMost most: Int) throws(SystemFailure) -> [UInt8] {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let count = Int(try retrying("read") { unsafe Int32(read(number, &buffer, buffer.count)) })
      if count == 0 { return result }
      result += buffer[..<count]
      if result.count > most { throw SystemFailure("read", EFBIG) }
    }
  }

  func writeAll(_ bytes: [UInt8]) throws(SystemFailure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Int(
        try retrying("write") {
          unsafe rest.withUnsafeBytes { unsafe Int32(write(number, $0.baseAddress, $0.count)) }
        })
      rest = rest.dropFirst(count)
    }
  }

  /// Waits until the file's content is on disk.
  func synchronise() throws(SystemFailure) { _ = try retrying("fsync") { fsync(number) } }

  /// Whether no other process has the file open for writing; false also if that cannot be determined.
  ///
  /// For this question, the process briefly holds a lease, which the kernel grants only in that case
  /// (`check_conflicting_open`, fs/locks.c). A process that opens the file at that moment waits until the lease ends.
  /// The resulting signal is one that is ignored by default.
  var isOpenHereOnly: Bool {
    guard fcntl(number, setSignal, SIGURG) == 0, fcntl(number, setLease, Int32(F_WRLCK)) == 0 else { return false }
    return fcntl(number, setLease, Int32(F_UNLCK)) == 0
  }

  /// Returns when the file's content last changed, in seconds since 1970.
  func changedAt() throws(SystemFailure) -> Int64 {
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw SystemFailure("stat", errno) }
    return Int64(status.st_mtim.tv_sec)
  }

  /// Makes the file its owner's alone, if it is not.
  func makePrivate() throws(SystemFailure) {
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw SystemFailure("stat", errno) }
    guard status.st_mode & 0o077 != 0 else { return }
    _ = try retrying("chmod") { fchmod(number, 0o600) }
  }

  /// Locks the file without waiting, `LOCK_SH` or `LOCK_EX`; returns false if another process's lock prevents it.
  func lock(_ mode: Int32) throws(SystemFailure) -> Bool {
    do throws(SystemFailure) {
      _ = try retrying("lock") { flock(number, mode | LOCK_NB) }
      return true
    } catch {
      if error.errno == EWOULDBLOCK { return false }
      throw error
    }
  }

  /// Unlocks the file now. Closing it would not be enough while a process that was forked meanwhile still has the file
  /// open.
  func unlock() { _ = flock(number, LOCK_UN) }

  /// Returns whether the path still names this file: nobody has unlinked or replaced it.
  func isNamed(_ path: String) throws(SystemFailure) -> Bool {
    var mine = stat()
    guard unsafe fstat(number, &mine) == 0 else { throw SystemFailure("stat", errno) }
    var named = stat()
    guard unsafe stat(path, &named) == 0 else {
      let failure = errno
      if failure == ENOENT { return false }
      throw SystemFailure("stat", failure)
    }
    return mine.st_dev == named.st_dev && mine.st_ino == named.st_ino
  }
}

/// `F_SETSIG` and `F_SETLEASE` (bits/fcntl-linux.h), which Swift's Glibc does not have.
private let (setSignal, setLease): (Int32, Int32) = (10, 1024)

/// Repeats a call while signals interrupt it. `call` returns a negative number for a failure, with an `errno`.
func retrying(_ operation: String, _ call: () -> Int32) throws(SystemFailure) -> Int32 {
  while true {
    let result = call()
    if result >= 0 { return result }
    let failure = errno
    if failure != EINTR { throw SystemFailure(operation, failure) }
  }
}

/// Returns the bytes of a file. Throws `EFBIG` if there are more than `most`. A pipe in its place has none.
func readFile(_ path: String, atMost most: Int) throws(SystemFailure) -> [UInt8] {
  let file = try Descriptor(opening: path, O_RDONLY | O_NONBLOCK)
  return try file.readAll(atMost: most)
}

/// Returns the text of a file, at most one page, that the kernel returns in one read, such as a file of sysfs. If a driver
/// can make readers of the file wait, it is read with a bound.
func readAttribute(_ path: String, patience: Duration = BoundedRead.patience) throws(SystemFailure) -> String {
  if BoundedRead.mayHang(path) {
    return try attribute(try BoundedRead.answer(to: .init(path), patience: patience))
  }
  let file = try Descriptor(opening: path, O_RDONLY | O_NONBLOCK)
  // One byte more than a page, so that a longer file is detected.
  return try unsafe withUnsafeTemporaryAllocation(byteCount: 4097, alignment: 1) {
    (buffer) throws(SystemFailure) -> String in
    let count = Int(try retrying("read") { unsafe Int32(read(file.number, buffer.baseAddress, buffer.count)) })
    guard count < buffer.count else { throw SystemFailure("read", EFBIG) }
    return unsafe String(decoding: UnsafeRawBufferPointer(rebasing: buffer[..<count]), as: UTF8.self)
  }
}

/// Returns the text of a file of sysfs that was read as a whole.
func attribute(_ bytes: [UInt8]) throws(SystemFailure) -> String {
  guard bytes.count <= 4096 else { throw SystemFailure("read", EFBIG) }
  return String(decoding: bytes, as: UTF8.self)
}

/// Returns the target of a link; nil if nothing is there, or something else than a link.
func readLink(_ path: String) throws(SystemFailure) -> String? {
  // PATH_MAX (linux/limits.h).
  var buffer = [CChar](repeating: 0, count: 4096)
  let count = unsafe readlink(path, &buffer, buffer.count)
  guard count >= 0 else {
    let failure = errno
    if failure == ENOENT || failure == EINVAL { return nil }
    throw SystemFailure("read-link", failure)
  }
  return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Returns the names in a folder in byte order, without `.` and `..`.
func listFolder(_ path: String) throws(SystemFailure) -> [String] {
  guard let folder = unsafe opendir(path) else { throw SystemFailure("list", errno) }
  defer { _ = unsafe closedir(folder) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = unsafe readdir(folder) else {
      let failure = errno
      if failure != 0 { throw SystemFailure("list", failure) }
      return names.sorted()
    }
    // An entry of the kernel ends after its name, so it may be shorter than the type `dirent`.
    let name = unsafe String(
      cString: UnsafeRawPointer(entry).advanced(by: nameOffset).assumingMemoryBound(to: CChar.self))
    if name != ".", name != ".." { names.append(name) }
  }
}

/// The offset, in bytes, of the name in a folder's entry.
private let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? MemoryLayout<dirent>.size

/// Returns whether a path names something; a link counts by itself.
func exists(_ path: String) throws(SystemFailure) -> Bool {
  var found = stat()
  if unsafe lstat(path, &found) == 0 { return true }
  let failure = errno
  if failure == ENOENT || failure == ENOTDIR { return false }
  throw SystemFailure("stat", failure)
}

/// Creates a folder and the missing folders above it, readable by root only.
func makeFolders(_ path: String) throws(SystemFailure) {
  if unsafe mkdir(path, 0o700) == 0 { return }
  let failure = errno
  if failure == EEXIST { return }
  guard failure == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
    throw SystemFailure("make-folder", failure)
  }
  try makeFolders(String(path[..<slash]))
  if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw SystemFailure("make-folder", errno) }
}

/// Writes the names in a folder to disk: a file that was renamed into the folder survives a crash.
func synchroniseFolder(_ path: String) throws(SystemFailure) {
  let folder = try Descriptor(opening: path, O_RDONLY | O_DIRECTORY)
  try folder.synchronise()
}

func renameFile(_ from: String, _ to: String) throws(SystemFailure) {
  _ = try retrying("rename") { unsafe rename(from, to) }
}

/// Removes a file; a missing file is no failure.
func removeFile(_ path: String) throws(SystemFailure) {
  if unsafe unlink(path) == 0 { return }
  let failure = errno
  if failure != ENOENT { throw SystemFailure("remove", failure) }
}
