import Glibc

/// The proof that a simulator runs in a directory: a record lock (fcntl(2)).
///
/// Unlike a lock of flock(2), no child inherits it, not even between fork and exec, and the kernel reports its holder.
/// Within one process it excludes nothing.
struct SimulatorLock: ~Copyable {
  private let file: Descriptor
  private let path: String

  init(_ directory: SandboxDirectory) throws(SandboxError) {
    path = directory.paths.lock
    file = try directory.open(path, O_RDWR | O_CREAT)
  }

  /// Takes the lock until this value or the process ends; returns false if another process has it.
  borrowing func take() throws(SandboxError) -> Bool {
    var record = Self.whole
    if unsafe fcntl(file.number, F_SETLK, &record) == 0 { return true }
    guard errno == EAGAIN || errno == EACCES else { throw systemError("locking \(path)") }
    return false
  }

  /// Returns the process that has the lock, a number above 0; nil if none has. It makes no file.
  static func holder(in directory: SandboxDirectory) throws(SandboxError) -> pid_t? {
    let path = directory.paths.lock
    guard try directory.look(path) != nil else { return nil }
    let file = try directory.open(path, O_RDWR)
    var record = whole
    guard unsafe fcntl(file.number, F_GETLK, &record) == 0 else { throw systemError("looking at the lock \(path)") }
    guard record.l_type != Int16(F_UNLCK) else { return nil }
    // A lock of an open file, or of another PID namespace, has no process here (fcntl(2)).
    guard record.l_pid > 0 else {
      throw SandboxError(.inUse, "\(path) is locked by something that is no simulator of this machine", errno: EBUSY)
    }
    return record.l_pid
  }

  private static var whole: flock {
    flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
  }
}
