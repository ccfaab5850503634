import Glibc

/// The proof that a simulator runs in a directory: a record lock (fcntl(2)).
///
/// Unlike a lock of flock(2), no child inherits it, not even between fork and exec, and the kernel reports its holder.
/// Within one process it excludes nothing.
struct SimulatorLock: ~Copyable {
  private let file: Descriptor
  private let path: String

  init(_ paths: SandboxPaths) throws(SandboxError) {
    path = paths.lock
    file = try Files.open(path, O_RDWR | O_CREAT)
  }

  /// Takes the lock until this value or the process ends; returns false if another process has it.
  borrowing func take() throws(SandboxError) -> Bool {
    var record = Self.whole
    if unsafe fcntl(file.number, F_SETLK, &record) == 0 { return true }
    guard errno == EAGAIN || errno == EACCES else { throw systemError("locking \(path)") }
    return false
  }

  /// Returns the process that has the lock; nil if none has.
  borrowing func holder() throws(SandboxError) -> pid_t? {
    var record = Self.whole
    guard unsafe fcntl(file.number, F_GETLK, &record) == 0 else { throw systemError("looking at the lock \(path)") }
    return record.l_type == Int16(F_UNLCK) ? nil : record.l_pid
  }

  private static var whole: flock {
    flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
  }
}
