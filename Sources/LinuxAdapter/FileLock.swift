import CLinux
import Dispatch
import Glibc
import Model

/// An exclusive lock on a file that exists only while a process wants the lock: libxl's protocol (`libxl__lock_file`,
/// `libxl__unlock_file`, tools/libs/light/libxl_internal.c, the same from 4.14 on).
///
/// The file is opened, or created, and flocked. Holders unlink the file when they are done, so a new holder must check
/// that the path still names the same file. At the end, the file is unlinked first and closed afterwards. In the
/// reverse order, the next holder's file could be unlinked.
struct FileLock: ~Copyable {
  /// Why the lock was not taken.
  enum Failure: Error {
    /// Another process held the lock until the deadline; the holder, if known.
    case busy(holder: LockHolder?)
    case system(SystemFailure)
  }

  private let path: String
  private let file: Descriptor
  private let gate: DispatchSemaphore?

  /// Tries until the deadline, at least once.
  ///
  /// Berth never sleeps in flock, which has no time limit. So a process that sleeps there belongs to another toolstack,
  /// and `hasWaiter` can report it. The pauses grow from 0.2 to 5 ms. The file is closed during pauses, so that another
  /// process with the file open is most likely a sleeper.
  ///
  /// `gate` is held as long as the lock. Of all locks with the same gate, this process holds one at a time. The first
  /// attempt waits at least three seconds for the gate. A shorter deadline concerns other processes, and this process
  /// holds each lock for milliseconds. The gate is a count in memory, so a wait for it needs no thread.
  init(path: String, until deadline: ContinuousClock.Instant, gate: DispatchSemaphore? = nil) throws(Failure) {
    var pause: Int = 200_000
    var gateDeadline = max(deadline, .now + .seconds(3))
    while true {
      if let gate, gate.wait(timeout: .now() + (gateDeadline - ContinuousClock.now).dispatchInterval) == .timedOut {
        throw .busy(holder: LockTable.describe(Int(getpid())))
      }
      gateDeadline = deadline
      var isNamed = true
      do throws(Failure) {
        if let file = try Self.tryLock(path, isLast: ContinuousClock.now >= deadline) {
          do throws(SystemFailure) { isNamed = try file.isNamed(path) } catch { throw .system(error) }
          if isNamed {
            self.path = path
            self.file = file
            self.gate = gate
            return
          }
        }
      } catch {
        gate?.signal()
        throw error
      }
      gate?.signal()
      // The locked file is the previous holder's: the path now names a new file, or none.
      guard isNamed else { continue }
      pauseAtRandom(nanoseconds: pause)
      pause = min(pause * 2, 5_000_000)
    }
  }

  deinit {
    _ = unsafe unlink(path)
    gate?.signal()
  }

  /// Opens and locks the file; returns nil if another process has the lock. The last attempt throws `busy` instead.
  private static func tryLock(_ path: String, isLast: Bool) throws(Failure) -> Descriptor? {
    let file: Descriptor
    // Only root's programs and this user's can open the file. If others could, they could hold the lock. libxl itself
    // makes the file for everybody to read, and opens this one as root.
    do throws(SystemFailure) {
      file = try CheckedFile.open(path, O_RDWR | O_CREAT, mode: 0o600, madeBy: .toolstack, during: "open")
    } catch { throw .system(error) }
    let isLocked: Bool
    do throws(SystemFailure) { isLocked = try file.lock(LOCK_EX) } catch { throw .system(error) }
    if isLocked { return file }
    if isLast { throw .busy(holder: LockTable.holder(of: file)) }
    return nil
  }

  /// Whether a process of root's, or of this program's user, sleeps in flock on this lock.
  var hasWaiter: Bool {
    // The table is read only if another process has the file open. Reading it stops the lock calls of all processes,
    // and waits for each processor: about ten milliseconds (`locks_start`, fs/locks.c).
    !file.isOpenHereOnly && LockTable.hasWaiter(on: file)
  }
}

/// Sleeps for between half of that time and all of it, so that several waiters for one lock do not retry together.
func pauseAtRandom(nanoseconds: Int) {
  var time = timespec(tv_sec: 0, tv_nsec: Int.random(in: nanoseconds / 2...nanoseconds))
  _ = unsafe nanosleep(&time, nil)
}

/// The kernel's table of locks, `/proc/locks` (fs/locks.c: lock_get_status).
enum LockTable {
  /// Returns the process that holds a flock on the file; nil if the table does not show it.
  static func holder(of file: borrowing Descriptor) -> LockHolder? {
    holdingProcess(of: file).map(describe)
  }

  /// Returns the number of the process that holds a flock on the file; nil if the table does not show it.
  static func holdingProcess(of file: borrowing Descriptor) -> Int? {
    entries(for: file)?.first { !$0.isWaiting }?.process
  }

  /// Returns whether a process sleeps in flock on the file that can be a toolstack; also true if the table cannot be
  /// read.
  ///
  /// Toolstacks run as root. A process of another user can open a lock file that libxl made, and sleep there.
  static func hasWaiter(on file: borrowing Descriptor) -> Bool {
    guard let entries = entries(for: file) else { return true }
    return entries.contains { $0.isWaiting && isToolstack($0.process) }
  }

  /// Returns whether a process can be a toolstack: its real and its effective user are root, or this program's user. Also
  /// true if the kernel does not show the users of a process that lives.
  private static func isToolstack(_ process: Int) -> Bool {
    guard let users = users(of: process) else {
      return pid_t(exactly: process).map { kill($0, 0) == 0 || errno != ESRCH } ?? false
    }
    return users.allSatisfy(User.isTrusted)
  }

  /// Returns the real and the effective user of a process; nil if the kernel does not show them.
  ///
  /// The owner of the process's folder in /proc would not do: it is root if the process forbids core dumps (proc(5)).
  private static func users(of process: Int) -> [uid_t]? {
    guard let bytes = file("status", of: process) else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("Uid:") {
      // Real, effective, saved, and that for files (`task_state`, fs/proc/array.c).
      let users = line.dropFirst(4).split(whereSeparator: \.isWhitespace).prefix(2).compactMap { uid_t($0) }
      return users.count == 2 ? users : nil
    }
    return nil
  }

  private struct Entry {
    var process: Int
    var device: Substring
    var isWaiting: Bool
  }

  /// Returns the table's flocks on the file's inode; nil if the table cannot be read. On some file systems, the table's
  /// device number differs from the one that files report. Then only the inode number is compared.
  private static func entries(for file: borrowing Descriptor) -> [Entry]? {
    var status = stat()
    guard unsafe fstat(file.number, &status) == 0,
      let bytes = try? readFile(Root.processes + "/locks", atMost: 16 << 20)
    else { return nil }
    let inode = String(status.st_ino)
    let entries = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line -> Entry? in
      // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:253853 0 EOF`; a waiter has `->` after the number.
      var words = line.split(separator: " ").dropFirst()
      let isWaiting = words.first == "->"
      if isWaiting { words = words.dropFirst() }
      guard words.count >= 5, words.first == "FLOCK", let process = Int(words[words.startIndex + 3]), process > 0
      else { return nil }
      let place = words[words.startIndex + 4].split(separator: ":")
      guard place.count == 3, place[2] == inode else { return nil }
      return Entry(process: process, device: place[0] + ":" + place[1], isWaiting: isWaiting)
    }
    let (major, minor) = (gnu_dev_major(status.st_dev), gnu_dev_minor(status.st_dev))
    let exact = entries.filter { $0.device == twoDigits(major) + ":" + twoDigits(minor) }
    return exact.isEmpty ? entries : exact
  }

  private static func twoDigits(_ number: UInt32) -> String {
    let text = String(number, radix: 16)
    return text.utf8.count < 2 ? "0" + text : text
  }

  /// Returns what the kernel shows of a process that holds a lock; only the number if the process is gone.
  static func describe(_ process: Int) -> LockHolder {
    let stranger = users(of: process)?.first { !User.isTrusted($0) }
    return LockHolder(
      process: process, command: command(of: process), stranger: stranger.map { User.name(of: $0) })
  }

  /// Returns the command line of a process, made visible and cut at 200 columns; nil if the process is gone or another
  /// user's.
  static func command(of process: Int) -> String? {
    guard let bytes = file("cmdline", of: process), !bytes.isEmpty else { return nil }
    let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    return cut(visible(words.joined(separator: " ")), to: 200)
  }

  /// Returns whether a process is stopped, by a signal or by a debugger.
  static func isStopped(_ process: Int) -> Bool {
    let letter = stateLetter(of: process)
    return letter == "T" || letter == "t"
  }

  /// Returns the letter for what a process does (`/proc/<pid>/stat`, fs/proc/array.c: `task_state_array`, Linux 6.1); nil
  /// if the process is gone.
  static func stateLetter(of process: Int) -> Character? {
    // The name in parentheses may hold anything; the state follows the last of them.
    guard let bytes = file("stat", of: process), let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    return bytes[(end + 1)...].first { $0 != UInt8(ascii: " ") }.map { Character(Unicode.Scalar($0)) }
  }

  /// Returns a file that the kernel makes for a process; nil if the process is gone or another user's.
  private static func file(_ name: String, of process: Int) -> [UInt8]? {
    try? readFile("\(Root.processes)/\(process)/\(name)", atMost: 1 << 20)
  }
}

extension Duration {
  /// The interval for Dispatch, whose waits take whole nanoseconds; zero if the time is over.
  fileprivate var dispatchInterval: DispatchTimeInterval {
    let (seconds, attoseconds) = components
    guard self > .zero else { return .nanoseconds(0) }
    return seconds > 1_000_000 ? .never : .nanoseconds(Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000))
  }
}
