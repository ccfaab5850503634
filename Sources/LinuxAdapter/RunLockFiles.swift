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
    do throws(SystemFailure) { try CheckedFile.makeFolder(folder) } catch { throw .record(RecordError(error, folder)) }
    var pause = 1_000_000
    while true {
      let file: Descriptor
      do throws(SystemFailure) {
        file = try CheckedFile.open(path, O_RDWR | O_CREAT, mode: 0o600, madeBy: .berth, during: "lock")
      } catch { throw .record(RecordError(error, path)) }
      do throws(SystemFailure) {
        if try file.lock(LOCK_EX) {
          // Whoever can open the file can hold the lock.
          try file.makePrivate()
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

  package func readMarks() throws(HostError) -> (marks: [DomainUUID: RunMark], damaged: [DamagedFile]) {
    var marks: [DomainUUID: RunMark] = [:]
    var damaged: [DamagedFile] = []
    let files: [(domain: DomainUUID, path: String)]
    do throws(RecordError) { files = try locks() } catch {
      guard error.isOfThisFile, error.code != .notPermitted else { throw .record(error) }
      return ([:], [DamagedFile(.runLock, .everything, error)])
    }
    for (domain, path) in files {
      do throws(RecordError) { marks[domain] = try mark(at: path) } catch {
        if error.errno == ENOENT { continue }
        guard error.isOfThisFile else { throw .record(error) }
        damaged.append(DamagedFile(.runLock, .uuid(domain), error))
      }
    }
    return (marks, damaged)
  }

  package func sweep(keeping living: Set<DomainUUID>) {
    let locks: [(domain: DomainUUID, path: String)]
    // An unreadable folder keeps its files.
    do throws(RecordError) { locks = try self.locks() } catch { return }
    for (domain, path) in locks where !living.contains(domain) {
      // A file that is not Berth's stays, and does not keep the others.
      do throws(SystemFailure) { try removeUnheld(path) } catch { continue }
    }
  }

  private func removeUnheld(_ path: String) throws(SystemFailure) {
    let file = try CheckedFile.open(path, O_RDONLY, madeBy: .berth, during: "lock")
    if try file.lock(LOCK_EX), try file.isNamed(path) { try removeFile(path) }
  }

  /// Returns the locks' files, by domain; none if no run was ever at work.
  private func locks() throws(RecordError) -> [(domain: DomainUUID, path: String)] {
    do throws(SystemFailure) {
      return try CheckedFile.names(in: folder).compactMap { name in
        guard name.hasSuffix(Self.suffix), let domain = DomainUUID(name.dropLast(Self.suffix.count)),
          name == "\(domain)\(Self.suffix)"
        else { return nil }
        return (domain, "\(folder)/\(name)")
      }
    } catch { throw RecordError(error, folder) }
  }

  private func mark(at path: String) throws(RecordError) -> RunMark {
    do throws(SystemFailure) {
      let file = try CheckedFile.open(path, O_RDONLY, madeBy: .berth, during: "lock")
      // The lock is shared, so that two readers do not take each other for a run.
      let isHeld = try !file.lock(LOCK_SH)
      defer { file.unlock() }
      // Read first: the search for the holder moves the place in the file.
      let lastTaking = try lastTaking(in: file)
      return RunMark(holder: isHeld ? holder(of: file) : nil, isHeld: isHeld, lastTaking: lastTaking)
    } catch { throw RecordError(error, path) }
  }

  /// Returns what the last holder wrote. Whatever it is, the next holder replaces it.
  private func lastTaking(in file: borrowing Descriptor) throws(SystemFailure) -> String {
    do throws(SystemFailure) {
      return String(decoding: try file.readAll(atMost: Self.longestFile), as: UTF8.self)
    } catch {
      guard error.errno == EFBIG else { throw error }
      return "more than a run writes"
    }
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
    let shown = LockTable.describe(process)
    return RunHolder(
      process: process, command: shown.command, since: since(process, file), isStopped: LockTable.isStopped(process),
      stranger: shown.stranger)
  }

  /// Returns when that process took the lock; nil if the file still describes an earlier holder.
  private func since(_ process: Int, _ file: borrowing Descriptor) -> Int64? {
    do {
      guard lseek(file.number, 0, SEEK_SET) == 0 else { return nil }
      let document: Document = try decodeRecord(
        CheckedFile.read(file, atMost: Self.longestFile), version: Self.version, folder)
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
