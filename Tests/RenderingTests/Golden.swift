import FoundationEssentials
import Testing

/// Compares text with a file below `Fixtures`. With RECORD=1 in the environment, it writes the file instead, and the
/// run fails. A kept file is never compared or written, because the output of an older release does not change.
func expectGolden(
  _ actual: String, _ name: String, file: String = #filePath, at location: SourceLocation = #_sourceLocation
) throws {
  guard !isKeptGolden(name) else {
    Issue.record("\(name) is kept: what an older release wrote does not change", sourceLocation: location)
    return
  }
  let path = file.prefix(upTo: file.lastIndex(of: "/") ?? file.startIndex) + "/Fixtures/" + name
  let folder = String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex))
  if ProcessInfo.processInfo.environment["RECORD"] == "1" {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try actual.write(toFile: String(path), atomically: true, encoding: .utf8)
    Issue.record("recorded \(name): read it, then run without RECORD", sourceLocation: location)
    return
  }
  let expected = try #require(
    FileManager.default.contents(atPath: String(path)), "there is no \(path)", sourceLocation: location)
  #expect(
    actual == String(decoding: expected, as: UTF8.self), "\(name) differs; RECORD=1 rewrites it",
    sourceLocation: location)
}

/// Returns whether a file below `Fixtures` is in a version's folder, such as `v1`, and so is kept permanently.
func isKeptGolden(_ name: String) -> Bool { name.prefixMatch(of: /v[0-9]+\//) != nil }

/// The text of a file of this repository.
func repositoryFile(_ path: String, file: String = #filePath) throws -> String {
  let root = file.split(separator: "/").dropLast(3).joined(separator: "/")
  return String(decoding: try #require(FileManager.default.contents(atPath: "/\(root)/\(path)")), as: UTF8.self)
}
