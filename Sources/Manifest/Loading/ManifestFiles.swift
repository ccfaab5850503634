import Glibc
import Model

/// The reason why a file or directory could not be read.
package struct FileFault: Error, Hashable {
  /// The message for people: the path, the failed operation and its cause.
  package var message: String
}

/// The content of a file.
package enum PathContent {
  case file([UInt8])
  /// The file has more bytes than the limit; the rest was not read.
  case tooLarge
}

/// Reads a file that a person named, up to a limit. Links are followed, and a pipe such as a shell's `<(command)` is
/// read. Devices, sockets and files that the kernel makes are refused, before they are opened.
package func readNamedFile(_ path: String, limit: Int) throws(FileFault) -> PathContent {
  try readFile(FoundFile(path), limit: limit)
}

/// Reads a file that may be something else than a manifest. Returns nil if the path leads to no regular file: a pipe, for
/// example, can be read only once.
package func readPlainFile(_ path: String, limit: Int) throws(FileFault) -> PathContent? {
  let file = try FoundFile(path)
  guard case .regular = try file.kind() else { return nil }
  return try readFile(file, limit: limit)
}

/// Returns whether something is at the path.
package func exists(_ path: String) -> Bool { mode(of: path) != nil }

/// Returns whether the path itself is a link.
package func isLink(_ path: String) -> Bool { mode(of: path).map { $0 & S_IFMT == S_IFLNK } ?? false }

/// Returns the type and the rights of what is at the path itself; nil if nothing is.
private func mode(of path: String) -> mode_t? {
  var status = stat()
  return unsafe lstat(path, &status) == 0 ? status.st_mode : nil
}

/// Reads a file that a person named, or calls `list` if the path leads to a directory.
func readPath(
  _ path: String, limit: Int, list: (consuming ManifestDirectory) throws(FileFault) -> Void
) throws(FileFault) -> PathContent? {
  let file = try FoundFile(path)
  guard case .directory = try file.kind() else { return try readFile(file, limit: limit) }
  try list(try ManifestDirectory(file))
  return nil
}

/// Reads standard input to its end, up to a limit.
func readStandardInput(limit: Int) throws(FileFault) -> PathContent {
  try ByteReader.standardInput.read(limit: limit)
}

private func readFile(_ file: borrowing FoundFile, limit: Int) throws(FileFault) -> PathContent {
  switch try file.kind() {
  case .regular(let size) where size > limit: return .tooLarge
  case .regular, .pipe: return try ByteReader(opening: file).read(limit: limit)
  case .directory: throw FileFault(message: "\(file.path) is a directory")
  case .device: throw FileFault(message: "\(file.path) is a device, not a file; standard input is '-'")
  case .socket: throw FileFault(message: "\(file.path) is a socket, not a file")
  case .empty: throw FileFault(message: "\(file.path) is empty, or the kernel makes its content")
  }
}

extension FileFault {
  enum Attempt: String { case read, list }

  init(_ attempt: Attempt, _ path: String, _ error: CInt) {
    guard error == ENOENT else {
      self.init(message: "cannot \(attempt.rawValue) \(path): \(ErrorNumber.text(of: error))")
      return
    }
    self.init(message: isLink(path) ? "\(path) is a link to a file that is not there" : "there is no \(path)")
  }
}
