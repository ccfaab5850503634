import FoundationEssentials
import Glibc
package import Model
package import Ports

/// What Berth owns: one JSON file per domain, named by its UUID.
///
/// A change holds a lock beside the file and replaces the file as a whole, so a reader needs no lock.
package struct OwnershipFiles: OwnershipPort {
  /// The layout that this release of Berth writes. A file with a later layout is refused, never rewritten.
  private static let version = 1

  private let folder: String
  private let lockTimeout: Duration

  /// `root` is `/`, or the folder that replaces it for a sandbox. A change waits up to `lockTimeout` for the record's
  /// lock, which other runs hold for one small write.
  package init(root: String, lockTimeout: Duration = .seconds(10)) {
    folder = Root(root).ownership
    self.lockTimeout = lockTimeout
  }

  private struct Document: Codable {
    var version: Int
    var uuid: DomainUUID
    var name: Name
    var devices: [PCIAddress]
    /// This key and the following ones are absent in files that hold none.
    var sets: [DeviceSet]?
    var exports: [ExportRecord]?
    var emulations: [EmulationRecord]?
    var grants: [GrantRecord]?
    var refusals: [RefusalRecord]?
    var goneSince: Int64?
  }

  package func readRecords() throws(HostError) -> OwnFiles<OwnershipRecord> {
    let names: [String]
    do throws(SystemFailure) { names = try CheckedFile.names(in: folder) } catch {
      let error = RecordError(error, folder)
      guard error.code == .damaged else { throw .record(error) }
      return OwnFiles(damaged: [DamagedFile(.record, .everything, error)])
    }
    var found = OwnFiles<OwnershipRecord>()
    for name in names where name.hasSuffix(".json") && !name.hasPrefix(".") {
      guard let uuid = DomainUUID(name.dropLast(5)), name == "\(uuid).json" else {
        let error = RecordError(.damaged, operation: "read", place: folder + "/" + name)
        found.damaged.append(DamagedFile(.record, .nothing, error))
        continue
      }
      do throws(RecordError) {
        // A file that was removed in the meantime is skipped.
        if let record = try read(uuid) { found.contents.append(record) }
      } catch {
        guard error.isOfThisFile else { throw .record(error) }
        found.damaged.append(DamagedFile(.record, .uuid(uuid), error))
      }
    }
    found.contents.sort { $0.uuid < $1.uuid }
    return found
  }

  package func record(of domain: DomainUUID) throws(HostError) -> OwnershipRecord? {
    do throws(SystemFailure) { try CheckedFile.checkFolder(folder, during: "read") } catch {
      if error.errno == ENOENT { return nil }
      throw .record(RecordError(error, folder))
    }
    do throws(RecordError) { return try read(domain) } catch { throw .record(error) }
  }

  /// `change` may run twice: first on what is read without the lock, to find out whether a write is necessary.
  package func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    let found = try record(of: domain)
    var wanted = found
    change(&wanted)
    if wanted == found { return }

    do throws(SystemFailure) { try CheckedFile.makeFolder(folder) } catch { throw .record(RecordError(error, folder)) }
    let lockPath = "\(folder)/\(domain).lock"
    let lock: FileLock
    do throws(FileLock.Failure) {
      lock = try FileLock(path: lockPath, until: ContinuousClock.now + lockTimeout)
    } catch {
      switch error {
      case .busy(let holder):
        throw .record(
          RecordError(.busy, operation: "lock", place: lockPath, errno: EWOULDBLOCK, holder: holder))
      case .system(let failure): throw .record(RecordError(failure, lockPath))
      }
    }
    try update(domain, holding: lock, change)
  }

  private func update(
    _ domain: DomainUUID, holding lock: borrowing FileLock, _ change: (inout OwnershipRecord?) -> Void
  ) throws(HostError) {
    let path = self.path(domain)
    let current = try record(of: domain)
    var wanted = current
    change(&wanted)
    if wanted == current { return }
    do throws(SystemFailure) {
      if let wanted {
        _ = try replaceFile(path, with: encode(wanted))
      } else {
        try removeFile(path)
      }
      try synchroniseFolder(folder)
    } catch { throw .record(RecordError(error, path)) }
  }

  package func sweep() { sweepFolder(folder) }

  private func path(_ domain: DomainUUID) -> String { "\(folder)/\(domain).json" }

  private func read(_ domain: DomainUUID) throws(RecordError) -> OwnershipRecord? {
    let path = self.path(domain)
    let bytes: [UInt8]
    do throws(SystemFailure) { bytes = try CheckedFile.read(path, atMost: 1 << 20) } catch {
      if error.errno == ENOENT { return nil }
      throw RecordError(error, path)
    }
    let document: Document = try decodeRecord(bytes, version: Self.version, path)
    guard document.uuid == domain else { throw RecordError(.damaged, operation: "read", place: path) }
    return OwnershipRecord(
      uuid: document.uuid, name: document.name, devices: document.devices, sets: document.sets ?? [],
      exports: document.exports ?? [], emulations: document.emulations ?? [], grants: document.grants ?? [],
      refusals: document.refusals ?? [], goneSince: document.goneSince)
  }

  private func encode(_ record: OwnershipRecord) throws(SystemFailure) -> [UInt8] {
    try encodeRecord(
      Document(
        version: Self.version, uuid: record.uuid, name: record.name, devices: record.devices,
        sets: record.sets.isEmpty ? nil : record.sets,
        exports: record.exports.isEmpty ? nil : record.exports,
        emulations: record.emulations.isEmpty ? nil : record.emulations,
        grants: record.grants.isEmpty ? nil : record.grants,
        refusals: record.refusals.isEmpty ? nil : record.refusals, goneSince: record.goneSince))
  }
}
