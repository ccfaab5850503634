import Glibc
import Model

/// An open file, closed with its owner.
struct Descriptor: ~Copyable {
  let number: Int32
  init(_ number: Int32) { self.number = number }
  deinit { close(number) }
}

/// Returns the system's last error, with the operation that failed.
func systemError(_ what: String, _ error: Int32 = errno) -> SandboxError {
  SandboxError(.system, "\(what): \(ErrorNumber.text(of: error))", errno: error)
}

/// Returns the process's working directory; `/` if it cannot be determined.
func currentDirectory() -> String {
  guard let text = unsafe getcwd(nil, 0) else { return "/" }
  defer { unsafe free(text) }
  return unsafe String(cString: text)
}

/// Reads and writes small files as a whole.
enum Files {
  /// Opens a file that children do not inherit. The corresponding C function is `open`.
  static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(SandboxError) -> Descriptor {
    let number = unsafe Glibc.open(path, flags | O_CLOEXEC, mode)
    guard number >= 0 else { throw systemError("opening \(path)") }
    return Descriptor(number)
  }

  /// Returns the file's text; nil if there is no file.
  static func read(_ path: String) throws(SandboxError) -> String? {
    guard let bytes = try readBytes(path) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Returns the file's bytes; nil if there is no file.
  static func readBytes(_ path: String) throws(SandboxError) -> [UInt8]? {
    let number = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
    if number < 0, errno == ENOENT { return nil }
    guard number >= 0 else { throw systemError("opening \(path)") }
    let file = Descriptor(number)
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

  /// Replaces a file's content by `text`, in place.
  static func write(_ path: String, _ text: String, mode: mode_t = 0o644) throws(SandboxError) {
    try writeBytes(path, Array(text.utf8), flags: O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
  }

  /// Appends to a file.
  static func append(_ path: String, _ text: String) throws(SandboxError) {
    try writeBytes(path, Array(text.utf8), flags: O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
  }

  static func writeBytes(_ path: String, _ bytes: [UInt8], flags: Int32, mode: mode_t) throws(SandboxError) {
    let file = try open(path, flags, mode: mode)
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

  /// Makes a directory and its missing parents.
  static func makeDirectories(_ path: String) throws(SandboxError) {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      if unsafe mkdir(made, 0o755) != 0, errno != EEXIST { throw systemError("making the directory \(made)") }
    }
  }

  /// Makes a symbolic link, replacing an existing one.
  static func link(_ path: String, to target: String) throws(SandboxError) {
    try remove(path)
    guard unsafe symlink(target, path) == 0 else { throw systemError("making the link \(path)") }
  }

  /// Removes a file or an empty directory. A missing one is no error.
  static func remove(_ path: String) throws(SandboxError) {
    if unsafe Glibc.remove(path) != 0, errno != ENOENT { throw systemError("removing \(path)") }
  }

  /// Returns the names in a directory, sorted; nil if there is no directory.
  static func list(_ path: String) throws(SandboxError) -> [String]? {
    guard let directory = unsafe opendir(path) else {
      if errno == ENOENT { return nil }
      throw systemError("listing \(path)")
    }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Removes a directory and its content. It removes links and does not follow them.
  static func removeTree(_ path: String) throws(SandboxError) {
    var information = stat()
    guard unsafe lstat(path, &information) == 0 else {
      if errno == ENOENT { return }
      throw systemError("looking at \(path)")
    }
    if information.st_mode & S_IFMT == S_IFDIR {
      for name in try list(path) ?? [] { try removeTree(path + "/" + name) }
    }
    try remove(path)
  }

  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }
}
