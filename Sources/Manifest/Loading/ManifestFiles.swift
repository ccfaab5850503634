import Glibc
import Model

/// The reason why a file or directory could not be read.
struct FileFault: Error, Hashable {
  /// The message for people: the path, the failed operation and its cause.
  var message: String
}

/// The content found at a path.
enum PathContent {
  case file([UInt8])
  /// The file has more bytes than the limit; the rest was not read.
  case tooLarge
  /// The paths of the directory's manifests, in order of name.
  case directory([String])
}

/// Reads a file up to a limit, or lists a directory's manifests.
///
/// The names of a directory's manifests end in `.yaml` or `.yml` and do not begin with a dot.
func readPath(_ path: String, limit: Int) throws(FileFault) -> PathContent {
  let file = try FileHandle(opening: path, mayBlock: true)
  switch try file.kind() {
  case .directory: return .directory(try manifests(in: path))
  case .regular(let size) where size > limit: return .tooLarge
  case .regular, .other: return try file.read(limit: limit)
  }
}

/// Reads one of a directory's manifests; returns nil if the path is a directory.
func readListedFile(_ path: String, limit: Int) throws(FileFault) -> PathContent? {
  // Opening a pipe among the manifests could otherwise wait for a writer for ever.
  let file = try FileHandle(opening: path, mayBlock: false)
  switch try file.kind() {
  case .directory: return nil
  case .other: throw FileFault(message: "\(path) is neither a file nor a directory")
  case .regular(let size) where size > limit: return .tooLarge
  case .regular: return try file.read(limit: limit)
  }
}

/// Reads standard input to its end, up to a limit.
func readStandardInput(limit: Int) throws(FileFault) -> PathContent {
  try FileHandle.standardInput.read(limit: limit)
}

private func manifests(in directory: String) throws(FileFault) -> [String] {
  try entries(of: directory).map(\.name).filter(isManifestName).map { path(of: $0, in: directory) }
}

/// Returns the entries of a directory that look like manifests and are not read, in order of name: files with another
/// suffix of YAML or JSON, and directories, which end in `/`. Hidden entries are left out.
func unreadEntries(of directory: String) throws(FileFault) -> [String] {
  try entries(of: directory).compactMap { name, type in
    if isDirectory(path(of: name, in: directory), type) { return name + "/" }
    let lower = name.lowercased()
    let isMeant = [".yaml", ".yml", ".json"].contains { lower.hasSuffix($0) }
    return isMeant && !isManifestName(name) ? name : nil
  }
}

private func isManifestName(_ name: String) -> Bool { name.hasSuffix(".yaml") || name.hasSuffix(".yml") }

private func path(of name: String, in directory: String) -> String {
  directory.hasSuffix("/") ? directory + name : directory + "/" + name
}

/// Returns whether an entry is a directory. If the listing does not say so, or the entry is a link, the path decides.
private func isDirectory(_ path: String, _ type: Int) -> Bool {
  switch type {
  case Int(DT_DIR): return true
  case Int(DT_UNKNOWN), Int(DT_LNK):
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  default: return false
  }
}

/// Returns a directory's entries that are not hidden, in order of name, with their types (readdir(3)).
private func entries(of directory: String) throws(FileFault) -> [(name: String, type: Int)] {
  guard let stream = unsafe opendir(directory) else { throw FileFault(.list, directory, errno) }
  defer { unsafe closedir(stream) }
  var found: [(name: String, type: Int)] = []
  while true {
    errno = 0
    guard let entry = unsafe readdir(stream) else { break }
    // An entry of the kernel ends after its name, so it may be shorter than the type `dirent`.
    let name = unsafe String(
      cString: UnsafeRawPointer(entry).advanced(by: nameOffset).assumingMemoryBound(to: CChar.self))
    if !name.hasPrefix(".") { found.append((name, unsafe Int(entry.pointee.d_type))) }
  }
  let error = errno
  guard error == 0 else { throw FileFault(.list, directory, error) }
  return found.sorted { $0.name < $1.name }
}

/// Where the name begins in a directory's entry.
private let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? MemoryLayout<dirent>.size

/// An open file; closed when the value is destroyed.
private struct FileHandle: ~Copyable {
  enum Kind {
    case regular(size: Int)
    case directory
    case other
  }

  private let descriptor: CInt
  private let path: String
  private let isOwned: Bool

  static var standardInput: FileHandle { FileHandle(descriptor: STDIN_FILENO, path: "standard input", isOwned: false) }

  private init(descriptor: CInt, path: String, isOwned: Bool) {
    self.descriptor = descriptor
    self.path = path
    self.isOwned = isOwned
  }

  init(opening path: String, mayBlock: Bool) throws(FileFault) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | (mayBlock ? 0 : O_NONBLOCK))
    guard descriptor >= 0 else { throw FileFault(.read, path, errno) }
    self.init(descriptor: descriptor, path: path, isOwned: true)
  }

  deinit { if isOwned { close(descriptor) } }

  borrowing func kind() throws(FileFault) -> Kind {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw FileFault(.read, path, errno) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .regular(size: Int(clamping: status.st_size))
    case S_IFDIR: return .directory
    default: return .other
    }
  }

  /// Reads to the end of the file, but at most one byte more than the limit.
  borrowing func read(limit: Int) throws(FileFault) -> PathContent {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= limit {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        let error = errno
        if error == EINTR { continue }
        throw FileFault(.read, path, error)
      }
      if count == 0 { return .file(bytes) }
      bytes.append(contentsOf: chunk[..<count])
    }
    return .tooLarge
  }
}

extension FileFault {
  fileprivate enum Attempt: String { case read, list }

  fileprivate init(_ attempt: Attempt, _ path: String, _ error: CInt) {
    guard error == ENOENT else {
      self.init(message: "cannot \(attempt.rawValue) \(path): \(ErrorNumber.text(of: error))")
      return
    }
    var status = stat()
    let isLink = unsafe lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    self.init(message: isLink ? "\(path) is a link to a file that is not there" : "there is no \(path)")
  }
}
