import FoundationEssentials
import Model
import Rendering
import TestSupport
import Testing

/// Returns an answer as it is written.
func rendered(_ view: some View, as format: OutputFormat, style: TextStyle) throws -> String {
  try render(view, as: format, style: style).description
}

/// Compares text with a file below `Fixtures`. With RECORD=1 in the environment, it writes the file instead, and the
/// run fails.
func expectGolden(
  _ actual: String, _ name: String, file: String = #filePath, at location: SourceLocation = #_sourceLocation
) throws {
  let path = file.prefix(upTo: file.lastIndex(of: "/") ?? file.startIndex) + "/Fixtures/" + name
  let isRecording = ProcessInfo.processInfo.environment["RECORD"] == "1"
  if let fault = try goldenFault(actual, name, at: String(path), isRecording: isRecording) {
    Issue.record("\(fault)", sourceLocation: location)
  }
}

/// Returns what is wrong with a golden file; nil if it has this text. A file that is being recorded is written, which
/// is a fault too. A kept file is never compared or written, because the output of an older release does not change.
func goldenFault(_ actual: String, _ name: String, at path: String, isRecording: Bool) throws -> String? {
  if isKeptGolden(name) { return "\(name) is kept: what an older release wrote does not change" }
  if isRecording {
    let folder = String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex))
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try actual.write(toFile: path, atomically: true, encoding: .utf8)
    return "recorded \(name): read it, then run without RECORD"
  }
  guard let expected = FileManager.default.contents(atPath: path) else { return "there is no \(path)" }
  return actual == String(decoding: expected, as: UTF8.self) ? nil : "\(name) differs; RECORD=1 rewrites it"
}

/// Returns whether a file below `Fixtures` is in a version's folder, such as `v1`, and so is kept permanently.
func isKeptGolden(_ name: String) -> Bool { name.prefixMatch(of: /v[0-9]+\//) != nil }

/// Returns the text of a file of this repository.
func repositoryFile(_ path: String) throws -> String {
  let contents = FileManager.default.contents(atPath: "\(repositoryRoot)/\(path)")
  return String(decoding: try #require(contents, "there is no \(path)"), as: UTF8.self)
}

/// Compares text with the part of a document that stands between two markers; RECORD=1 writes it there, and the run
/// fails. A document has `<!-- recorded: NAME -->` before the part and `<!-- end: NAME -->` after it.
func expectRecorded(
  _ actual: String, _ name: String, in path: String, at location: SourceLocation = #_sourceLocation
) throws {
  let document = try repositoryFile(path)
  let (start, end) = ("<!-- recorded: \(name) -->\n\n", "\n<!-- end: \(name) -->\n")
  let first = try #require(
    document.firstRange(of: start), "\(path) has no place for \(name)", sourceLocation: location)
  let last = try #require(
    document[first.upperBound...].firstRange(of: end), "\(path) does not end \(name)", sourceLocation: location)
  if ProcessInfo.processInfo.environment["RECORD"] == "1" {
    let text = document[..<first.upperBound] + actual + document[last.lowerBound...]
    try String(text).write(toFile: "\(repositoryRoot)/\(path)", atomically: true, encoding: .utf8)
    Issue.record("recorded \(name) in \(path): read it, then run without RECORD", sourceLocation: location)
    return
  }
  #expect(
    actual == String(document[first.upperBound..<last.lowerBound]), "\(path) differs in \(name); RECORD=1 rewrites it",
    sourceLocation: location)
}
