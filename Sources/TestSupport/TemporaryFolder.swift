import FoundationEssentials
import Glibc

/// A folder for one test; it is removed with this object.
package final class TemporaryFolder: Sendable {
  package let path: String

  package init() throws {
    // The path is short, because sockets below it must fit into 108 bytes.
    var template = Array("/tmp/berth-XXXXXX\0".utf8CString.dropLast())
    guard unsafe mkdtemp(&template) != nil else { throw Command.Failure(description: "mkdtemp: \(errno)") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error)") }
  }

  /// Writes a file below the folder, and makes its parent folders.
  package func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

  /// Writes a file below the folder, and makes its parent folders.
  package func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = "\(path)/\(name)"
    if let slash = file.lastIndex(of: "/") {
      try FileManager.default.createDirectory(
        atPath: String(file[..<slash]), withIntermediateDirectories: true)
    }
    try Data(bytes).write(to: URL(fileURLWithPath: file))
  }

  /// Makes a folder below the folder, and its parents.
  package func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
  }

  /// Makes a symbolic link below the folder.
  package func link(_ name: String, to target: String) throws {
    guard unsafe symlink(target, "\(path)/\(name)") == 0 else {
      throw Command.Failure(description: "symlink \(name): \(errno)")
    }
  }

  package func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
  }

  /// Returns the names in a folder below the folder, in order.
  package func names(in name: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(name)").sorted()
  }
}
