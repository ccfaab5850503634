import FoundationEssentials
import Glibc
import Model
import Ports

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
) throws(HostError) -> Document {
  do {
    let layout = try JSONDecoder().decode(Layout.self, from: Data(bytes))
    guard layout.version <= version else {
      throw HostError.record(
        RecordError(
          .other, operation: "read", place: path,
          detail: "has layout \(layout.version), written by a later release of Berth"))
    }
    return try JSONDecoder().decode(Document.self, from: Data(bytes))
  } catch let error as HostError {
    throw error
  } catch { throw .record(RecordError(.damaged, operation: "read", place: path)) }
}

/// Replaces a file as a whole: a reader, and a crash, find the old content or the new.
///
/// The new file, which is returned, is locked from before it has its name on: nobody ever finds a live writer's file
/// unlocked. The folder is left to the caller to synchronise.
func replaceFile(_ path: String, with bytes: [UInt8]) throws(SystemFailure) -> Descriptor {
  let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  while true {
    // Hidden, and with a name of its own for each writer.
    let temporary = "\(path[..<slash]).\(path[slash...]).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let file = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
    do throws(SystemFailure) {
      // Until it is locked, a sweep takes it for a dead writer's.
      guard try file.lock(LOCK_EX), try file.isNamed(temporary) else { continue }
      try file.writeAll(bytes)
      try file.synchronise()
      try renameFile(temporary, path)
    } catch {
      _ = unsafe unlink(temporary)
      throw error
    }
    return file
  }
}

/// Removes from a folder what killed processes left of Berth's work: files that `replaceFile` had not given their names
/// yet, and files of `FileLock`. Live ones are locked. What cannot be removed stays for the next time.
func sweepFolder(_ folder: String) {
  let names: [String]
  // A folder that is not there yet has nothing in it, and one that cannot be read keeps what it has.
  do throws(SystemFailure) { names = try listFolder(folder) } catch { return }
  for name in names where isTemporary(name) || isLock(name) {
    let path = "\(folder)/\(name)"
    do throws(SystemFailure) {
      let file = try Descriptor(opening: path, O_RDONLY)
      // As `FileLock` does: what is locked by now may be another file than the path's.
      if try file.lock(LOCK_EX), try file.isNamed(path) { try removeFile(path) }
    } catch { continue }
  }
}

/// A name that `replaceFile` makes: hidden, and with two numbers at the end. An editor's file of a record has none.
private func isTemporary(_ name: String) -> Bool {
  let parts = name.split(separator: ".", omittingEmptySubsequences: false)
  return parts.count > 3 && parts[0].isEmpty && parts[parts.count - 3] == "json"
    && parts.suffix(2).allSatisfy { UInt32($0) != nil }
}

/// The name of the lock of a domain's record.
private func isLock(_ name: String) -> Bool { name.hasSuffix(".lock") && DomainUUID(name.dropLast(5)) != nil }
