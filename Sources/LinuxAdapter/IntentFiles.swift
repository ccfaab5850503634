import Glibc
package import Model
package import Ports
import Synchronization

/// The journal of what is about to happen: one JSON file per intent.
///
/// A writer keeps its file flocked. The kernel releases the lock with the process, so a file that can be locked was
/// left by a crash.
package struct IntentFiles: IntentPort {
  /// The layout that this release of Berth writes.
  private static let version = 1

  private let folder: String

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  package init(root: String) { folder = Root(root).intents }

  private struct Document: Codable {
    var version: Int
    var domain: DomainKey
    var operation: Intent.Operation
    var devices: [PCIAddress]
    /// Nil in a file of an earlier release, and if nothing is reserved.
    var reserves: Bool?
    var since: Int64?
  }

  package func open(_ intent: Intent) throws(HostError) -> any OpenIntent {
    let path: String
    do throws(RecordError) { path = try self.path(intent.identifier) } catch { throw .record(error) }
    let document = Document(
      version: Self.version, domain: intent.domain, operation: intent.operation, devices: intent.devices,
      reserves: intent.reserves ? true : nil, since: intent.since)
    do throws(SystemFailure) {
      try CheckedFile.makeFolder(folder)
      let file = try replaceFile(path, with: encodeRecord(document))
      try synchroniseFolder(folder)
      return OpenIntentFile(path: path, file: file)
    } catch { throw .record(RecordError(error, path)) }
  }

  package func readIntents() throws(HostError) -> OwnFiles<Intent> {
    let names: [String]
    do throws(SystemFailure) { names = try CheckedFile.names(in: folder) } catch {
      let error = RecordError(error, folder)
      guard error.code == .damaged else { throw .record(error) }
      return OwnFiles(damaged: [DamagedFile(.intent, .everything, error)])
    }
    var found = OwnFiles<Intent>()
    for name in names where name.hasSuffix(".json") && !name.hasPrefix(".") {
      let identifier = String(name.dropLast(5))
      do throws(RecordError) {
        if let intent = try read(identifier) { found.contents.append(intent) }
      } catch {
        guard error.isOfThisFile else { throw .record(error) }
        found.damaged.append(DamagedFile(.intent, Self.concern(of: identifier), error))
      }
    }
    return found
  }

  /// Returns the domain that a file's name names. A file of an earlier release has no UUID in its name.
  private static func concern(of identifier: String) -> DamagedFile.Concern {
    guard let name = IntentName(identifier) else { return .everything }
    return name.uuid.map { .domain(DomainKey(id: name.domain, uuid: $0)) } ?? .number(name.domain)
  }

  /// Returns an intent; nil if its writer has removed it.
  private func read(_ identifier: String) throws(RecordError) -> Intent? {
    let path = try self.path(identifier)
    let bytes: [UInt8]
    let isLive: Bool
    do throws(SystemFailure) {
      let file = try CheckedFile.open(path, O_RDONLY, madeBy: .berth, during: "read")
      // The lock is shared, so that two readers do not take each other for a writer.
      isLive = try !file.lock(LOCK_SH)
      // A writer that ends normally removes its file before it releases the lock. An unlocked file without a name is
      // no crash.
      if !isLive, try !file.isNamed(path) { return nil }
      bytes = try CheckedFile.read(file, atMost: 1 << 20)
    } catch {
      // The writer removed the file in the meantime.
      if error.errno == ENOENT { return nil }
      throw RecordError(error, path)
    }
    let document: Document = try decodeRecord(bytes, version: Self.version, path)
    if let name = IntentName(identifier),
      name.domain != document.domain.id || name.uuid.map({ $0 != document.domain.uuid }) ?? false
    {
      throw RecordError(.damaged, operation: "read", place: path, detail: "is about another domain than its name")
    }
    var intent = Intent(
      identifier: identifier, domain: document.domain, operation: document.operation, devices: document.devices,
      since: document.since, isLive: isLive)
    intent.reserves = document.reserves ?? false
    return intent
  }

  package func discard(identifier: String) throws(HostError) {
    let path: String
    do throws(RecordError) { path = try self.path(identifier) } catch { throw .record(error) }
    do throws(SystemFailure) {
      let file = try CheckedFile.open(path, O_RDONLY, madeBy: .berth, during: "discard")
      guard try file.lock(LOCK_SH) else { throw SystemFailure("discard", EBUSY) }
      try removeFile(path)
      try synchroniseFolder(folder)
    } catch {
      if error.errno == ENOENT { return }
      throw .record(RecordError(error, path))
    }
  }

  package func sweep() { sweepFolder(folder) }

  /// An identifier is a file name: letters, digits, `-`, `_` and, except as first character, `.`.
  private func path(_ identifier: String) throws(RecordError) -> String {
    let isName = identifier.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        true
      default: false
      }
    }
    let path = "\(folder)/\(identifier).json"
    guard isName, !identifier.isEmpty, !identifier.hasPrefix(".") else {
      throw RecordError(.damaged, operation: "name", place: path)
    }
    return path
  }
}

/// An intent on disk. Without `close`, its file remains after the process, unlocked, as after a crash.
private final class OpenIntentFile: OpenIntent {
  private let path: String
  private let file: Mutex<Descriptor?>

  init(path: String, file: consuming Descriptor) {
    self.path = path
    self.file = Mutex(file)
  }

  func close() throws(HostError) {
    do throws(SystemFailure) { try removeFile(path) } catch { throw .record(RecordError(error, path)) }
    // The file is unlocked only when nobody can find it.
    file.withLock { $0 = nil }
  }
}
