import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import Manifest

/// One fixture: a manifest, and a file beside it with the expected text.
struct GoldenCase: Sendable, CustomTestStringConvertible {
  let manifest: String

  var testDescription: String { String(manifest.split(separator: "/").last ?? "") }
  private var expectation: String { manifest.dropLast("yaml".count) + "expected" }

  /// Returns the fixtures of a folder; empty if there are none.
  static func all(_ folder: String) -> [GoldenCase] {
    var files: [String] = []
    _ = try? readPath(fixtures + folder, limit: 0) { directory in
      files = directory.manifests.map { "\(fixtures)\(folder)/\($0)" }
    }
    return files.map(GoldenCase.init)
  }

  /// Compares with the expected text. With RECORD=1 in the environment it writes that text instead, and fails.
  func expect(_ actual: String, at location: SourceLocation = #_sourceLocation) throws {
    // The expected text must not depend on the location of the sources.
    let text = actual.replacing(fixtures, with: "")
    if unsafe getenv("RECORD") != nil {
      try write(text, to: expectation)
      Issue.record("recorded \(expectation)", sourceLocation: location)
      return
    }
    #expect(try text == contents(of: expectation), "RECORD=1 rewrites it", sourceLocation: location)
  }
}

private let tests = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))
let fixtures = tests + "/Fixtures/"

/// Returns a file's text.
func contents(of path: String) throws -> String {
  guard case .file(let bytes) = try readNamedFile(path, limit: 1 << 24) else {
    throw FileFault(message: "\(path): no file")
  }
  return String(decoding: bytes, as: UTF8.self)
}

/// Writes a file.
func write(_ text: String, to path: String) throws {
  try write(Array(text.utf8), to: path)
}

/// Writes a file.
func write(_ bytes: [UInt8], to path: String) throws {
  let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw FileFault(message: "cannot write \(path)") }
  defer { close(descriptor) }
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { throw FileFault(message: "cannot write \(path)") }
    rest = rest.dropFirst(count)
  }
}

extension TemporaryFolder {
  /// Writes a file in the folder. Returns its path.
  @discardableResult
  func add(_ name: String, _ text: String) throws -> String {
    try write(name, text)
    return path + "/" + name
  }
}
