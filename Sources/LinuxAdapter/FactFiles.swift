import Glibc
import Model

/// Reads files from which facts are known. A failure names the file, and makes one fact unknown.
struct FactFiles {
  /// A host with more in one table than this has millions of lines there.
  private static let mostBytes = 32 << 20

  /// Returns the lines of a file that every host has.
  func lines(_ path: String) throws(ReadFailure) -> [Substring] {
    guard let lines = try optionalLines(path) else { throw ReadFailure(place: path, .failed(ENOENT)) }
    return lines
  }

  /// Returns the lines of a file; nil if there is none.
  func optionalLines(_ path: String) throws(ReadFailure) -> [Substring]? {
    try content(path, atMost: Self.mostBytes)?.split(separator: "\n")
  }

  /// Returns the text of a file; nil if there is none.
  func content(_ path: String, atMost most: Int = 64 << 10) throws(ReadFailure) -> String? {
    do throws(SystemFailure) { return String(decoding: try readFile(path, atMost: most), as: UTF8.self) } catch {
      if error.isAbsence { return nil }
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }

  /// Returns the first line of a file; nil if there is none.
  func text(_ path: String) throws(ReadFailure) -> String? {
    try content(path).map { String($0.prefix { $0 != "\n" }) }
  }

  /// Returns the names in a folder; none if there is no folder.
  func names(_ path: String) throws(ReadFailure) -> [String] {
    do throws(SystemFailure) { return try listFolder(path) } catch {
      if error.isAbsence { return [] }
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }

  /// Returns the target of a link; nil if there is none.
  func link(_ path: String) throws(ReadFailure) -> String? {
    do throws(SystemFailure) { return try readLink(path) } catch {
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }

  func isFolder(_ path: String) throws(ReadFailure) -> Bool {
    var found = stat()
    if unsafe stat(path, &found) == 0 { return found.st_mode & S_IFMT == S_IFDIR }
    let failure = errno
    if failure == ENOENT || failure == ENOTDIR { return false }
    throw ReadFailure(place: path, .failed(failure))
  }

  /// Returns every PCI function in a path.
  static func functions(in path: String) -> [FunctionName] {
    path.split(separator: "/").compactMap { FunctionName($0) }
  }
}
