import Core
import FoundationEssentials
import Glibc

/// A record's bytes: sorted keys and one line each, so that equal records are equal files.
func encodeRecord(_ document: some Encodable) throws(SystemFailure) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
  do { return Array(try encoder.encode(document)) + [UInt8(ascii: "\n")] } catch {
    // Only a value that JSON has no form for fails, and there is none in a record.
    throw SystemFailure("encode", EINVAL)
  }
}

private struct Layout: Decodable { var version: Int }

/// Reads a record back. A later layout is told apart from damage: it says so, and nothing is lost.
func decodeRecord<Document: Decodable>(
  _ bytes: [UInt8], version: Int, _ path: String
) throws(RecordError) -> Document {
  do {
    let layout = try JSONDecoder().decode(Layout.self, from: Data(bytes))
    guard layout.version <= version else {
      throw RecordError(
        .other, operation: "read layout \(layout.version), written by a later release of Berth, of", path: path)
    }
    return try JSONDecoder().decode(Document.self, from: Data(bytes))
  } catch let error as RecordError {
    throw error
  } catch { throw RecordError(.damaged, operation: "read", path: path) }
}

/// Replaces a file as a whole: a reader, and a crash, find the old content or the new.
///
/// `prepare` gets the new file before it has its name. The folder is left to the caller to synchronise.
func replaceFile(
  _ path: String, with bytes: [UInt8], prepare: (borrowing Descriptor) throws(SystemFailure) -> Void = { _ in }
) throws(SystemFailure) -> Descriptor {
  // Hidden, and with a name of its own for each writer.
  let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  let temporary = "\(path[..<slash]).\(path[slash...]).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
  let file = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
  do throws(SystemFailure) {
    try file.writeAll(bytes)
    try file.synchronise()
    try prepare(file)
    try renameFile(temporary, path)
  } catch {
    _ = unsafe unlink(temporary)
    throw error
  }
  return file
}

extension RecordError {
  init(_ failure: SystemFailure, _ path: String) {
    let code: Code
    switch failure.errno {
    case EACCES, EPERM, EROFS: code = .notPermitted
    default: code = .other
    }
    self.init(code, operation: failure.operation, path: path, errno: failure.errno)
  }
}
