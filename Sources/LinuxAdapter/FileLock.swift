import CLinux
import Dispatch
import Glibc

/// An exclusive lock on a file that exists only while someone wants it: libxl's protocol
/// (`libxl__lock_file`, `libxl__unlock_file`, tools/libs/light/libxl_internal.c, the same from 4.14 on).
///
/// The file is opened, or made, and flocked; whoever gets the lock must still find the same file at its path, since
/// holders unlink it when they are done. The end of the lock unlinks first and closes after: the other way round, the
/// next holder's file could be unlinked.
struct FileLock: ~Copyable {
  /// What came instead of the lock.
  enum Failure: Error {
    /// Someone else held it until the deadline. The holder's number and command line, where they could be told.
    case busy(holder: String?)
    case system(SystemFailure)
  }

  private let path: String
  private let file: Descriptor
  private let gate: DispatchSemaphore?

  /// Tries until the deadline, at least once.
  ///
  /// It never sleeps in flock, which has no time limit. So a process that does sleep there is another toolstack, and
  /// `hasWaiter` can say so. The pauses grow from 0.2 to 5 ms; the file is not kept open for them, so that whoever has
  /// it open beside the holder is most likely a sleeper.
  ///
  /// `gate` is passed for as long as the lock is held: of the locks with one gate, this process holds one at a time.
  init(path: String, until deadline: ContinuousClock.Instant, gate: DispatchSemaphore? = nil) throws(Failure) {
    var pause: Int = 200_000
    while true {
      if let gate, gate.wait(timeout: .now() + (deadline - ContinuousClock.now).dispatchInterval) == .timedOut {
        throw .busy(holder: LockTable.describe(Int(getpid())))
      }
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
      // What was locked is the holder's before: the path names a new file, or none.
      guard isNamed else { continue }
      pauseAtRandom(nanoseconds: pause)
      pause = min(pause * 2, 5_000_000)
    }
  }

  deinit {
    _ = unsafe unlink(path)
    gate?.signal()
  }

  /// Opens and locks the file; nil where another has the lock, which the last attempt throws as `busy`.
  private static func tryLock(_ path: String, isLast: Bool) throws(Failure) -> Descriptor? {
    let file: Descriptor
    do throws(SystemFailure) { file = try Descriptor(opening: path, O_RDWR | O_CREAT, mode: 0o666) } catch {
      throw .system(error)
    }
    let isLocked: Bool
    do throws(SystemFailure) { isLocked = try file.lock(LOCK_EX) } catch { throw .system(error) }
    if isLocked { return file }
    if isLast { throw .busy(holder: LockTable.holder(of: file)) }
    return nil
  }

  /// Whether a process sleeps in flock on this lock.
  var hasWaiter: Bool {
    // The table is asked only where somebody else has the file open: reading it stops the lock calls of all processes and
    // waits until each processor has been elsewhere, some ten milliseconds (`locks_start`, fs/locks.c).
    !file.isOpenHereOnly && LockTable.hasWaiter(on: file)
  }
}

/// Sleeps for half of that time up to all of it: several that wait for one lock do not come back together.
func pauseAtRandom(nanoseconds: Int) {
  var time = timespec(tv_sec: 0, tv_nsec: Int.random(in: nanoseconds / 2...nanoseconds))
  _ = unsafe nanosleep(&time, nil)
}

/// The kernel's table of locks, `/proc/locks` (fs/locks.c: lock_get_status).
enum LockTable {
  /// The number and command line of the process that holds a flock on the file; nil where the table does not tell.
  static func holder(of file: borrowing Descriptor) -> String? {
    holdingProcess(of: file).map(describe)
  }

  /// The number of the process that holds a flock on the file; nil if the table does not tell.
  static func holdingProcess(of file: borrowing Descriptor) -> Int? {
    entries(for: file).first { !$0.isWaiting }?.process
  }

  static func hasWaiter(on file: borrowing Descriptor) -> Bool { entries(for: file).contains(where: \.isWaiting) }

  private struct Entry {
    var process: Int
    var device: Substring
    var isWaiting: Bool
  }

  /// The table's flocks on the file's inode. Some file systems give files another device number than their own, which
  /// is the one in the table; then the inode's number alone must do.
  private static func entries(for file: borrowing Descriptor) -> [Entry] {
    var status = stat()
    guard unsafe fstat(file.number, &status) == 0,
      // A table that cannot be read tells nothing, as one without the entry.
      let bytes = try? readFile(Root.processes + "/locks", atMost: 16 << 20)
    else { return [] }
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

  /// `4711 (xl pci-attach net 03:00.0)`; the number alone if the process is gone, or another user's.
  static func describe(_ process: Int) -> String {
    command(of: process).map { "\(process) (\($0))" } ?? String(process)
  }

  /// The command line of a process, printable and at most 200 characters; nil if the process is gone or another user's.
  static func command(of process: Int) -> String? {
    guard let bytes = file("cmdline", of: process), !bytes.isEmpty else { return nil }
    let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    let line = words.joined(separator: " ").unicodeScalars.map {
      $0.value < 0x20 || $0.value == 0x7F ? " " : String($0)
    }
    return line.prefix(200).joined()
  }

  /// Whether a process is stopped, by a signal or by a debugger (`/proc/<pid>/stat`, fs/proc/array.c: state T or t).
  static func isStopped(_ process: Int) -> Bool {
    guard let bytes = file("stat", of: process) else { return false }
    // The name in parentheses may hold anything; the state follows the last of them.
    let state = bytes.lastIndex(of: UInt8(ascii: ")")).map { bytes[($0 + 1)...].first { $0 != UInt8(ascii: " ") } }
    return state == UInt8(ascii: "T") || state == UInt8(ascii: "t")
  }

  /// A file that the kernel makes of a process; nil if the process is gone or another user's.
  private static func file(_ name: String, of process: Int) -> [UInt8]? {
    try? readFile("\(Root.processes)/\(process)/\(name)", atMost: 1 << 20)
  }
}

extension Duration {
  /// For Dispatch, whose waits take whole nanoseconds; nothing where the time is over.
  fileprivate var dispatchInterval: DispatchTimeInterval {
    let (seconds, attoseconds) = components
    guard self > .zero else { return .nanoseconds(0) }
    return seconds > 1_000_000 ? .never : .nanoseconds(Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000))
  }
}
