import FoundationEssentials
import Glibc
package import Model
package import Ports
import Synchronization

/// The devices that Berth took from their drivers: one JSON file per device, named by its address.
///
/// A writer holds a lock beside the file and replaces the file as a whole, so a reader needs no lock.
package struct PreparationFiles: PreparationPort {
  /// The layout that this release of Berth writes. A file with a later layout is refused, never rewritten.
  private static let version = 1

  private let folder: String

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  package init(root: String) { folder = Root(root).preparations }

  package func readPreparations() throws(HostError) -> OwnFiles<PreparationRecord> {
    let names: [String]
    do throws(SystemFailure) { names = try CheckedFile.names(in: folder) } catch {
      let error = RecordError(error, folder)
      guard error.code == .damaged else { throw .record(error) }
      return OwnFiles(damaged: [DamagedFile(.preparation, .nothing, error)])
    }
    var found = OwnFiles<PreparationRecord>()
    for name in names where name.hasSuffix(".json") && !name.hasPrefix(".") {
      guard let device = PCIAddress(name.dropLast(5)), name == "\(device).json" else {
        let error = RecordError(.damaged, operation: "read", place: folder + "/" + name)
        found.damaged.append(DamagedFile(.preparation, .nothing, error))
        continue
      }
      do throws(RecordError) {
        if let record = try read(device) { found.contents.append(record) }
      } catch {
        guard error.isOfThisFile else { throw .record(error) }
        found.damaged.append(DamagedFile(.preparation, .device(device), error))
      }
    }
    found.contents.sort { $0.device < $1.device }
    return found
  }

  package func preparation(of device: PCIAddress) throws(HostError) -> PreparationRecord? {
    do throws(SystemFailure) { try CheckedFile.checkFolder(folder, during: "read") } catch {
      if error.errno == ENOENT { return nil }
      throw .record(RecordError(error, folder))
    }
    do throws(RecordError) { return try read(device) } catch { throw .record(error) }
  }

  package func hold(
    _ device: PCIAddress, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> any HeldPreparation {
    do throws(SystemFailure) { try CheckedFile.makeFolder(folder) } catch { throw .record(RecordError(error, folder)) }
    let path = "\(folder)/\(device).lock"
    do throws(FileLock.Failure) {
      return HeldPreparationFile(files: self, device: device, lock: try FileLock(path: path, until: deadline))
    } catch {
      switch error {
      case .busy(let holder):
        throw .record(RecordError(.busy, operation: "lock", place: path, errno: EWOULDBLOCK, holder: holder))
      case .system(let failure): throw .record(RecordError(failure, path))
      }
    }
  }

  // MARK: Files

  private func path(of device: PCIAddress) -> String { "\(folder)/\(device).json" }

  private func read(_ device: PCIAddress) throws(RecordError) -> PreparationRecord? {
    let path = self.path(of: device)
    let bytes: [UInt8]
    do throws(SystemFailure) { bytes = try CheckedFile.read(path, atMost: 1 << 20) } catch {
      if error.errno == ENOENT { return nil }
      throw RecordError(error, path)
    }
    let document: Document = try decodeRecord(bytes, version: Self.version, path)
    guard document.device == device else { throw RecordError(.damaged, operation: "read", place: path) }
    return document.record
  }

  fileprivate func write(_ record: PreparationRecord) throws(HostError) {
    let path = self.path(of: record.device)
    do throws(SystemFailure) {
      _ = try replaceFile(path, with: encodeRecord(Document(record, version: Self.version)))
      try synchroniseFolder(folder)
    } catch { throw .record(RecordError(error, path)) }
  }

  fileprivate func remove(_ device: PCIAddress) throws(HostError) {
    let path = self.path(of: device)
    do throws(SystemFailure) {
      try removeFile(path)
      try synchroniseFolder(folder)
    } catch { throw .record(RecordError(error, path)) }
  }

  /// A record as its file has it.
  private struct Document: Codable {
    struct Interface: Codable {
      var name: String
      var address: MACAddress?
    }
    struct Controller: Codable {
      var name: String
      var serial: String?
      var model: String?
    }
    var version: Int
    var device: PCIAddress
    var phase: PreparationRecord.Phase
    var identity: DeviceIdentity
    var driver: String?
    var module: String?
    var driverOverride: String?
    /// This key and the following one are absent in files that hold none.
    var interfaces: [Interface]?
    var controllers: [Controller]?
    var set: String?
    var override: InterlockOverride?
    /// Absent if the driver is known.
    var isDriverKnown: Bool?
    var since: Int64

    init(_ record: PreparationRecord, version: Int) {
      self.version = version
      (device, phase, identity) = (record.device, record.phase, record.identity)
      (driver, module, driverOverride) = (record.driver, record.module, record.driverOverride)
      (set, override, since) = (record.set, record.override, record.since)
      if !record.isDriverKnown { isDriverKnown = false }
      if !record.interfaces.isEmpty {
        interfaces = record.interfaces.map { Interface(name: $0.name, address: $0.address) }
      }
      if !record.controllers.isEmpty {
        controllers = record.controllers.map { Controller(name: $0.name, serial: $0.serial, model: $0.model) }
      }
    }

    var record: PreparationRecord {
      var record = PreparationRecord(
        device: device, phase: phase, identity: identity, driver: driver, module: module,
        driverOverride: driverOverride,
        interfaces: (interfaces ?? []).map { NetworkInterface(name: $0.name, address: $0.address) },
        controllers: (controllers ?? []).map { NVMeController(name: $0.name, serial: $0.serial, model: $0.model) },
        set: set, override: override, since: since)
      record.isDriverKnown = isDriverKnown ?? true
      return record
    }
  }
}

/// The lock of one device's record, and what it permits.
private final class HeldPreparationFile: HeldPreparation {
  private let files: PreparationFiles
  private let device: PCIAddress
  private let lock: Mutex<FileLock?>

  init(files: PreparationFiles, device: PCIAddress, lock: consuming FileLock) {
    self.files = files
    self.device = device
    self.lock = Mutex(lock)
  }

  func read() throws(HostError) -> PreparationRecord? { try files.preparation(of: device) }
  func write(_ record: PreparationRecord) throws(HostError) { try files.write(record) }
  func remove() throws(HostError) { try files.remove(device) }
  func release() { lock.withLock { $0 = nil } }
}
