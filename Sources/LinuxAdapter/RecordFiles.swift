import FoundationEssentials
import Glibc
import Model
import Ports

/// Returns a record's bytes: sorted keys on one line each, so that equal records are equal files.
func encodeRecord(_ document: some Encodable) throws(SystemFailure) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
  do { return Array(try encoder.encode(document)) + [UInt8(ascii: "\n")] } catch {
    // The encoding fails only for a value without a JSON form, and a record contains no such value.
    throw SystemFailure("encode", EINVAL)
  }
}

private struct Layout: Decodable { var version: Int }

/// More nested values than a record has, and fewer than the stack can hold.
private let deepestRecord = 32

/// Reads a record. A later layout is distinguished from damage by its version number, and the file is kept.
func decodeRecord<Document: Decodable>(
  _ bytes: [UInt8], version: Int, _ path: String
) throws(RecordError) -> Document {
  let damage = RecordError(.damaged, operation: "read", place: path)
  if isJSON(bytes, deeperThan: deepestRecord) { throw damage }
  let layout: Layout
  do { layout = try JSONDecoder().decode(Layout.self, from: Data(bytes)) } catch { throw damage }
  // The first layout was 1.
  if layout.version < 1 { throw damage }
  guard layout.version <= version else {
    throw RecordError(
      .other, operation: "read", place: path,
      detail: "has layout \(layout.version), written by a later release of Berth")
  }
  do { return try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch { throw damage }
}

/// Replaces a file as a whole: a reader, or a reboot after a crash, finds the old content or the new.
///
/// Returns the new file, which is locked before it gets its final name. So nobody ever finds a live writer's file
/// unlocked. The caller must synchronise the folder.
func replaceFile(_ path: String, with bytes: [UInt8]) throws(SystemFailure) -> Descriptor {
  let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  while true {
    // A hidden name, different for each writer.
    let temporary = "\(path[..<slash]).\(path[slash...]).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let file = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
    do throws(SystemFailure) {
      // Until the file is locked, a sweep takes it for a leftover of a dead writer.
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

/// Removes a folder's leftovers of killed processes: files to which `replaceFile` had not given their names yet, and
/// files of `FileLock`. Files of live processes are locked. Files that cannot be removed stay until the next time.
func sweepFolder(_ folder: String) {
  let names: [String]
  // A missing folder is empty. A folder that is unreadable, or none of Berth's, keeps its files.
  do throws(SystemFailure) { names = try CheckedFile.names(in: folder) } catch { return }
  for name in names where isTemporary(name) || isLock(name) {
    let path = "\(folder)/\(name)"
    do throws(SystemFailure) {
      let file = try CheckedFile.open(path, O_RDONLY, madeBy: .berth, during: "sweep")
      // As in `FileLock`: the path may name another file than the one that is now locked.
      if try file.lock(LOCK_EX), try file.isNamed(path) { try removeFile(path) }
    } catch { continue }
  }
}

/// Returns whether `replaceFile` made this name: hidden, and with two numbers at the end. An editor's copy of a record
/// has no such name.
private func isTemporary(_ name: String) -> Bool {
  let parts = name.split(separator: ".", omittingEmptySubsequences: false)
  return parts.count > 3 && parts[0].isEmpty && parts[parts.count - 3] == "json"
    && parts.suffix(2).allSatisfy { UInt32($0) != nil }
}

/// Returns whether this is the name of the lock of a domain's record.
private func isLock(_ name: String) -> Bool { name.hasSuffix(".lock") && DomainUUID(name.dropLast(5)) != nil }
