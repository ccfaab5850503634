import Glibc
import Model

/// What a path leads to, found without opening it: a device is not started, and a pipe is not waited for.
struct FoundFile: ~Copyable {
  enum Kind {
    case regular(size: Int)
    case directory
    /// A pipe with a name, or a shell's `<(command)`.
    case pipe
    case device
    case socket
    /// An empty file, or one whose content the kernel makes. To read one of these can have an effect, or never end.
    case empty
  }

  /// The path as people know it.
  let path: String
  /// Opened with `O_PATH`, which opens nothing but the place in the tree (open(2)).
  private let place: CInt

  /// Finds what a path leads to, through all links.
  init(_ path: String) throws(FileFault) { try self.init(path, AT_FDCWD, path) }

  /// Finds an entry of a directory.
  init(_ name: String, in directory: borrowing FoundFile) throws(FileFault) {
    let path = directory.path.utf8.last == UInt8(ascii: "/") ? directory.path + name : directory.path + "/" + name
    try self.init(path, directory.place, name)
  }

  private init(_ path: String, _ directory: CInt, _ name: String) throws(FileFault) {
    let found = unsafe openat(directory, name, openPlace | O_CLOEXEC)
    guard found >= 0 else { throw FileFault(.read, path, errno) }
    self.path = path
    place = found
  }

  deinit { close(place) }

  func kind() throws(FileFault) -> Kind {
    var status = stat()
    guard unsafe fstat(place, &status) == 0 else { throw FileFault(.read, path, errno) }
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      guard status.st_size == 0, status.st_blocks == 0, try hasNoBlocks() else {
        return .regular(size: Int(clamping: status.st_size))
      }
      return .empty
    case S_IFDIR: return .directory
    case S_IFIFO: return .pipe
    case S_IFSOCK: return .socket
    default: return .device
    }
  }

  /// Returns whether the file system is one of those that have no storage, such as proc and sysfs (`simple_statfs`,
  /// fs/libfs.c, Linux 6.1).
  private func hasNoBlocks() throws(FileFault) -> Bool {
    var status = statvfs()
    guard unsafe fstatvfs(place, &status) == 0 else { throw FileFault(.read, path, errno) }
    return status.f_blocks == 0
  }

  /// Returns whether the file is inside a directory: after all links, as the kernel has both of them now.
  func isInside(_ directory: borrowing FoundFile) throws(FileFault) -> Bool {
    let (mine, other) = (try wholePath(), try directory.wholePath())
    return other == "/" || mine.utf8.starts(with: (other + "/").utf8)
  }

  private func wholePath() throws(FileFault) -> String {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return -1 }
      return unsafe readlink(link, start.assumingMemoryBound(to: CChar.self), buffer.count)
    }
    guard count >= 0 else { throw unreachable(errno) }
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }

  /// Opens what was found, for reading. No read of the descriptor waits.
  func open() throws(FileFault) -> CInt {
    let descriptor = unsafe Glibc.open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreachable(errno) }
    return descriptor
  }

  /// Opens a directory for reading its entries.
  func openDirectory() throws(FileFault) -> CInt {
    let descriptor = unsafe openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFault(.list, path, errno) }
    return descriptor
  }

  /// Returns whether an entry of this directory is a directory itself. Links are followed.
  func hasDirectory(_ name: String) -> Bool {
    var status = stat()
    return unsafe fstatat(place, name, &status, withoutMount) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The kernel's link to what was found: it leads there whatever the path leads to now.
  private var link: String { "/proc/self/fd/\(place)" }

  private func unreachable(_ error: CInt) -> FileFault {
    // The file was found, so it is the link that is not there.
    error == ENOENT ? FileFault(message: "cannot read \(path): proc is not mounted") : FileFault(.read, path, error)
  }
}

/// `O_PATH` (bits/fcntl-linux.h) and `AT_NO_AUTOMOUNT` (fcntl.h), which Swift's Glibc does not have.
private let openPlace: CInt = 0o10_000_000
private let withoutMount: CInt = 0x800

/// How long a pipe may have no writer at first, and how long a writer may be silent.
struct PipePatience {
  var writer = Duration.seconds(2)
  var silence = Duration.seconds(60)
}

/// Bytes that are read from a descriptor to their end.
struct ByteReader: ~Copyable {
  private let descriptor: CInt
  private let path: String
  private let isOwned: Bool

  static var standardInput: ByteReader { ByteReader(STDIN_FILENO, "standard input", isOwned: false) }

  init(opening file: borrowing FoundFile) throws(FileFault) {
    self.init(try file.open(), file.path, isOwned: true)
  }

  private init(_ descriptor: CInt, _ path: String, isOwned: Bool) {
    self.descriptor = descriptor
    self.path = path
    self.isOwned = isOwned
  }

  deinit { if isOwned { close(descriptor) } }

  /// Reads to the end, but at most one byte more than the limit. If the descriptor is a pipe that does not wait, its
  /// writers are waited for, within `patience`.
  func read(limit: Int, patience: PipePatience = PipePatience()) throws(FileFault) -> PathContent {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    var isBegun = false
    while bytes.count <= limit {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      let error = errno
      switch count {
      case 1...:
        bytes.append(contentsOf: chunk[..<count])
        isBegun = true
      case 0:
        // A pipe whose writer has not opened it yet looks as if it had ended.
        if isBegun || !isPipe { return .file(bytes) }
        guard isReady(within: patience.writer) else {
          throw FileFault(message: "cannot read \(path): nobody writes into this pipe")
        }
        isBegun = true
      default:
        if error == EINTR { continue }
        guard error == EAGAIN, isPipe else { throw FileFault(.read, path, error) }
        guard isReady(within: patience.silence) else {
          throw FileFault(
            message:
              "cannot read \(path): nothing came through this pipe for \(patience.silence.components.seconds) s")
        }
        isBegun = true
      }
    }
    return .tooLarge
  }

  private var isPipe: Bool {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
  }

  /// Waits for bytes, or for the end of all writers; returns whether either came in time.
  private func isReady(within patience: Duration) -> Bool {
    let deadline = ContinuousClock.now + patience
    var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while true {
      let (seconds, attoseconds) = (deadline - .now).components
      let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
      guard milliseconds >= 0 else { return false }
      let count = unsafe poll(&question, 1, CInt(clamping: milliseconds))
      if count != 0, count > 0 || errno != EINTR { return count > 0 }
    }
  }
}
