import Glibc
import Model

/// An open file, closed with its owner.
struct Descriptor: ~Copyable {
  let number: Int32
  init(_ number: Int32) { self.number = number }
  deinit { close(number) }

  /// Takes the number out. From then on the receiver closes the file.
  consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}

/// Returns the system's last error, with the operation that failed. The number is read before the text is made.
func systemError(_ what: @autoclosure () -> String, _ error: Int32 = errno) -> SandboxError {
  SandboxError(.system, "\(what()): \(ErrorNumber.text(of: error))", errno: error)
}

/// Returns the process's working directory; `/` if it cannot be determined.
func currentDirectory() -> String {
  guard let text = unsafe getcwd(nil, 0) else { return "/" }
  defer { unsafe free(text) }
  return unsafe String(cString: text)
}

/// `O_PATH` (bits/fcntl-linux.h), which Swift's Glibc does not have: a descriptor that only names a file.
let handleOnly: Int32 = 0o10_000_000

/// Reads and writes open files as a whole. `path` is only for messages.
enum Files {
  /// Reads to the end of the file.
  static func read(_ file: borrowing Descriptor, _ path: String) throws(SandboxError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while true {
      let count = unsafe Glibc.read(file.number, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw systemError("reading \(path)") }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  static func write(_ bytes: [UInt8], to file: borrowing Descriptor, _ path: String) throws(SandboxError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(file.number, $0.baseAddress?.advanced(by: done), bytes.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw systemError("writing \(path)") }
      done += count
    }
  }

  /// Returns the names in a directory without `.` and `..`, in no order. Each is as the kernel has it, with a NUL at
  /// its end: a name need not be valid UTF-8.
  static func entries(of directory: consuming Descriptor, _ path: String) throws(SandboxError) -> [[CChar]] {
    let number = directory.release()
    guard let stream = unsafe fdopendir(number) else {
      let error = errno
      close(number)
      throw systemError("listing \(path)", error)
    }
    defer { unsafe closedir(stream) }
    var names: [[CChar]] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else {
        guard errno == 0 else { throw systemError("listing \(path)") }
        return names
      }
      // An entry of the kernel ends after its name, so it may be shorter than the type `dirent`.
      let start = unsafe UnsafeRawPointer(entry).advanced(by: nameOffset).assumingMemoryBound(to: CChar.self)
      let name = unsafe Array(UnsafeBufferPointer(start: start, count: strlen(start) + 1))
      if name != [46, 0], name != [46, 46, 0] { names.append(name) }
    }
  }

  /// Returns the names in a directory, sorted; nil if there is no directory.
  static func list(_ path: String) throws(SandboxError) -> [String]? {
    let number = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if number < 0, errno == ENOENT { return nil }
    guard number >= 0 else { throw systemError("listing \(path)") }
    return try entries(of: Descriptor(number), path).map(text).sorted()
  }

  /// Returns a name as a text.
  static func text(_ name: [CChar]) -> String {
    String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Returns the target of a link in an open folder; nil if it cannot be read, with `errno`.
  static func target(of name: String, in folder: Int32) -> String? {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlinkat(folder, name, &bytes, bytes.count)
    guard count >= 0 else { return nil }
    return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }
}

/// The offset, in bytes, of the name in a directory's entry.
private let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? MemoryLayout<dirent>.size
