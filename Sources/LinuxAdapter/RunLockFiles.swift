import Glibc
package import Model
package import Ports
import Synchronization

/// The run locks: one file per domain, named by its UUID, which a run of Berth keeps flocked.
///
/// The kernel releases the lock with the process. The file stays, so that its content shows when a run was last at
/// work. The run directory is empty after a reboot of the host.
package struct RunLockFiles: RunLockPort {
  /// The layout that this release of Berth writes.
  private static let version = 1
  /// More than any run writes.
  private static let longestFile = 16 << 10
  private static let suffix = ".lock"

  private let folder: String

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  package init(root: String) { folder = Root(root).runLocks }

  /// What the holder writes about itself.
  private struct Document: Codable {
    var version: Int
    var process: Int
    /// Seconds since 1970.
    var since: Int64
    /// Distinguishes two takings by one process in the same second.
    var taking: UInt64
  }

  package func lock(
    _ domain: DomainUUID, until deadline: ContinuousClock.Instant, isInterrupted: () -> Bool
  ) throws(HostError) -> RunLockAttempt {
    let path = "\(folder)/\(domain)\(Self.suffix)"
    do throws(SystemFailure) { try makeFolders(folder) } catch { throw .record(RecordError(error, folder)) }
    guard try isOwn(folder, S_IFDIR) != false else { throw Self.notOurs(folder) }
    var pause = 1_000_000
    while true {
      let file = try open(path, O_RDWR | O_CREAT)
      do throws(SystemFailure) {
        if try file.lock(LOCK_EX) {
          // A sweep has removed the opened file: the path names a new file, or none.
          guard try file.isNamed(path) else { continue }
          try write(to: file)
          return .held(HeldRunLockFile(file))
        }
      } catch { throw .record(RecordError(error, path)) }
      if isInterrupted() { return .interrupted }
      if ContinuousClock.now >= deadline {
        let holder = holder(of: file)
        if try !hasOnlyReaders(file, path) { return .busy(holder) }
      }
      pauseAtRandom(nanoseconds: pause)
      pause = min(pause * 2, 20_000_000)
    }
  }

  /// Returns whether readers alone hold the lock. A reader holds a shared lock for a moment (`mark`).
  ///
  /// The file is closed, so that this check does not look like a reader for longer than a reader does.
  private func hasOnlyReaders(_ file: consuming Descriptor, _ path: String) throws(HostError) -> Bool {
    do throws(SystemFailure) {
      defer { file.unlock() }
      return try file.lock(LOCK_SH)
    } catch { throw .record(RecordError(error, path)) }
  }

  package func marks() throws(HostError) -> [DomainUUID: RunMark] {
    var marks: [DomainUUID: RunMark] = [:]
    for (domain, path) in try locks() {
      do throws(HostError) { marks[domain] = try mark(at: path) } catch {
        // A run that wants to take the lock reports a file that is not Berth's.
        guard case .record(let cause) = error, cause.code == .damaged || cause.errno == ENOENT else { throw error }
      }
    }
    return marks
  }

  package func sweep(keeping living: Set<DomainUUID>) {
    let locks: [(domain: DomainUUID, path: String)]
    // An unreadable folder keeps its files.
    do throws(HostError) { locks = try self.locks() } catch { return }
    for (domain, path) in locks where !living.contains(domain) {
      // A file that is not Berth's stays, and does not keep the others.
      do throws(HostError) { try removeUnheld(path) } catch { continue }
    }
  }

  private func removeUnheld(_ path: String) throws(HostError) {
    let file = try open(path, O_RDONLY)
    do throws(SystemFailure) {
      if try file.lock(LOCK_EX), try file.isNamed(path) { try removeFile(path) }
    } catch { throw .record(RecordError(error, path)) }
  }

  /// Returns the locks' files, by domain; none if no run was ever at work.
  private func locks() throws(HostError) -> [(domain: DomainUUID, path: String)] {
    do throws(SystemFailure) {
      return try listFolder(folder).compactMap { name in
        guard name.hasSuffix(Self.suffix), let domain = DomainUUID(name.dropLast(Self.suffix.count)) else { return nil }
        return (domain, "\(folder)/\(name)")
      }
    } catch {
      if error.errno == ENOENT { return [] }
      throw .record(RecordError(error, folder))
    }
  }

  private func mark(at path: String) throws(HostError) -> RunMark {
    let file = try open(path, O_RDONLY)
    do throws(SystemFailure) {
      // The lock is shared, so that two readers do not take each other for a run.
      let isHeld = try !file.lock(LOCK_SH)
      defer { file.unlock() }
      let bytes = try file.readAll(atMost: Self.longestFile)
      return RunMark(
        holder: isHeld ? holder(of: file) : nil, isHeld: isHeld, lastTaking: String(decoding: bytes, as: UTF8.self))
    } catch { throw .record(RecordError(error, path)) }
  }

  /// Opens a lock's file. Throws `damaged` if the file is a link, is not a regular file, or belongs to another user.
  /// Such a file is not opened, because opening alone could have an effect.
  private func open(_ path: String, _ flags: Int32) throws(HostError) -> Descriptor {
    guard try isOwn(path, S_IFREG) != false else { throw Self.notOurs(path) }
    do throws(SystemFailure) {
      return try Descriptor(opening: path, flags | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
    } catch {
      if error.errno == ELOOP { throw Self.notOurs(path) }
      throw .record(RecordError(error, path))
    }
  }

  private static func notOurs(_ path: String) -> HostError {
    .record(RecordError(.damaged, operation: "lock", place: path))
  }

  /// Returns whether the path names something of this kind that belongs to this user; nil if it names nothing.
  private func isOwn(_ path: String, _ kind: mode_t) throws(HostError) -> Bool? {
    var found = stat()
    if unsafe lstat(path, &found) == 0 { return found.st_mode & S_IFMT == kind && found.st_uid == geteuid() }
    let failure = errno
    if failure == ENOENT { return nil }
    throw .record(RecordError(SystemFailure("lock", failure), path))
  }

  private func write(to file: borrowing Descriptor) throws(SystemFailure) {
    let document = Document(
      version: Self.version, process: Int(getpid()), since: Machine.secondsSince1970,
      taking: UInt64.random(in: 0...UInt64.max))
    _ = try retrying("truncate") { ftruncate(file.number, 0) }
    try file.writeAll(encodeRecord(document))
  }

  /// Returns the run that holds the lock; nil if the kernel does not show which one.
  private func holder(of file: borrowing Descriptor) -> RunHolder? {
    guard let process = LockTable.holdingProcess(of: file) else { return nil }
    return RunHolder(
      process: process, command: LockTable.command(of: process), since: since(process, file),
      isStopped: LockTable.isStopped(process))
  }

  /// Returns when that process took the lock; nil if the file still describes an earlier holder.
  private func since(_ process: Int, _ file: borrowing Descriptor) -> Int64? {
    do {
      guard lseek(file.number, 0, SEEK_SET) == 0 else { return nil }
      let document: Document = try decodeRecord(
        file.readAll(atMost: Self.longestFile), version: Self.version, folder)
      return document.process == process ? document.since : nil
    } catch {
      // The holder has not written the whole file: its time is not known yet.
      return nil
    }
  }
}

/// A run lock, while its file is open.
private final class HeldRunLockFile: HeldRunLock {
  private let file: Mutex<Descriptor?>

  init(_ file: consuming Descriptor) { self.file = Mutex(file) }

  deinit { release() }

  func release() {
    file.withLock { file in
      guard let held = file.take() else { return }
      held.unlock()
    }
  }
}
