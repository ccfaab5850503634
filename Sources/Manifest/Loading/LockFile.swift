import Glibc
package import Model

/// A lock that was read, and its path.
package struct LoadedLock: Sendable {
  package let lock: DeviceLock
  package let path: String
}

/// Returns the path at which the lock of a host is expected, beside the first manifest: `host17.lock.yaml` in its folder.
/// Nil if the manifest is standard input, or if the host's name cannot be a file's.
package func lockPath(besides manifests: [String], hostName: String) -> String? {
  manifests.lazy.compactMap { lockPath(beside: $0, hostName: hostName) }.first
}

/// Reads the lock of a host: the named one, or that beside one of the manifests. Returns nil if none is named, and none is
/// there.
package func loadLock(
  named path: String?, besides manifests: [String], hostName: String
) throws(ManifestFailure) -> LoadedLock? {
  if let path { return try readLock(path) }
  for manifest in manifests {
    guard let path = lockPath(beside: manifest, hostName: hostName), isThere(path) else { continue }
    return try readLock(path)
  }
  return nil
}

/// Returns the name of a host's lock in a folder of manifests; nil if the host's name cannot be a file's.
package func lockName(hostName: String) -> String? { lockPath(beside: "manifest", hostName: hostName) }

/// Reads the lock of a host out of its bytes, at most `YAMLLimits.standard.bytes`.
package func loadLock(at path: String, _ bytes: [UInt8]) throws(ManifestFailure) -> LoadedLock {
  try readLock(path, .file(bytes))
}

private func lockPath(beside manifest: String, hostName: String) -> String? {
  guard manifest != "-", !hostName.isEmpty, !hostName.hasPrefix("."),
    !hostName.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
  else { return nil }
  let name = hostName + lockSuffix
  if isFolder(manifest) { return (manifest.utf8.last == UInt8(ascii: "/") ? manifest : manifest + "/") + name }
  guard let slash = manifest.lastIndex(of: "/") else { return name }
  return manifest[...slash] + name
}

/// What the names of locks end with. A folder of manifests may have them.
let lockSuffix = ".lock.yaml"

private func isThere(_ path: String) -> Bool {
  var found = stat()
  // Whatever else is wrong with the path is reported when the lock is read.
  return unsafe stat(path, &found) == 0 || errno != ENOENT && errno != ENOTDIR
}

private func isFolder(_ path: String) -> Bool {
  var found = stat()
  return unsafe stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
}

private func readLock(_ path: String) throws(ManifestFailure) -> LoadedLock {
  let content: PathContent
  do throws(FileFault) { content = try readNamedFile(path, limit: YAMLLimits.standard.bytes) } catch {
    throw .notFound(messages: [error.message])
  }
  return try readLock(path, content)
}

private func readLock(_ path: String, _ content: PathContent) throws(ManifestFailure) -> LoadedLock {
  let report = Diagnostics()
  switch content {
  case .tooLarge:
    report.error("the lock is larger than \(YAMLLimits.standard.bytes) bytes", at: nil)
  case .file(let bytes):
    if let lock = readLock(SourceText(name: path, bytes: bytes), report: report) {
      return LoadedLock(lock: lock, path: path)
    }
  }
  throw .invalid(report.sorted)
}

/// Reads the text of a lock; returns nil after an error, which is reported.
package func readLock(_ source: SourceText, report: Diagnostics) -> DeviceLock? {
  let errors = report.errorCount
  let nodes = parseDeclaration(source, kind: LockKeys.word, name: "a lock", report: report)
  guard let node = nodes.first, nodes.count == 1 else {
    if report.errorCount == errors {
      report.error(
        nodes.isEmpty ? "the lock is empty" : "the lock has more than one document", at: SourceMark(wholeOf: source),
        hint: "write it with `berth lock --write`")
    }
    return nil
  }
  let lock = ValueType<DeviceLock>.deviceLock.read(node, as: "the lock", report)
  return report.errorCount == errors ? lock : nil
}

/// Every key of a lock.
private enum LockKeys {
  static let word = "HostLock"
  enum Kind: String, CaseIterable, Sendable { case hostLock = "HostLock" }

  static let kind = Key("kind", ValueType<Kind>.choice(), "What the document is.", isRequired: true)
  static let metadata = Key("metadata", .lockMetadata, "The host that the lock is of.", isRequired: true)
  static let spec = Key("spec", .lockedDevices, "What the devices meant.", isRequired: true)
  static let document = [ManifestKeys.apiVersion.info, kind.info, metadata.info, spec.info]
  static let host = Key("name", ValueType<String>.hostName, "The host.", isRequired: true)
  static let devices = Key(
    "devices", .map("device", key: .deviceLabel, of: .lockedDevice), "The devices by name or address.",
    isRequired: true)
  static let selector = Key("selector", ValueType<String>.text, "What the manifest said.", isRequired: true)
  static let found = Key("found", .list(of: .lockedFunction), "The functions that were it.", isRequired: true)
  static let address = Key("address", ValueType<PCIAddress>.address, "Where it was.", isRequired: true)
  static let id = Key("id", ValueType<DeviceID>.deviceID, "Vendor and device id.")
  static let subsystem = Key("subsystem", ValueType<DeviceID>.deviceID, "The card's own vendor and device id.")
  static let serial = Key("serial", ValueType<String>.serial, "The serial number.")
}

extension ValueType where Value == DeviceLock {
  fileprivate static var deviceLock: ValueType {
    .object("What devices meant.", keys: LockKeys.document) { reader in
      _ = reader.value(ManifestKeys.apiVersion)
      _ = reader.value(LockKeys.kind)
      let host = reader.value(LockKeys.metadata)
      let devices = reader.value(LockKeys.spec)
      guard let host, let devices else { return nil }
      return DeviceLock(host: host, devices: devices.sorted { $0.label < $1.label })
    }
  }
}

extension ValueType where Value == String {
  fileprivate static var lockMetadata: ValueType {
    .object("The host.", keys: [LockKeys.host.info]) { $0.value(LockKeys.host) }
  }

  /// A name of `spec.devices`, or an address.
  fileprivate static var deviceLabel: ValueType {
    .parsed(expected: "a device's name or address", schema: .members(["type": .string("string")])) { text in
      isDeviceName(text) || PCIAddress(text) != nil ? text : nil
    }
  }
}

extension ValueType where Value == [LockedDevice] {
  fileprivate static var lockedDevices: ValueType {
    .object("What the devices meant.", keys: [LockKeys.devices.info]) { reader in
      reader.value(LockKeys.devices)?.map { entry in
        LockedDevice(
          label: entry.name.value.text, selector: entry.value.selector,
          functions: entry.value.functions.sorted { $0.address < $1.address })
      }
    }
  }
}

extension ValueType where Value == LockedDevice {
  fileprivate static var lockedDevice: ValueType {
    .object("One device.", keys: [LockKeys.selector.info, LockKeys.found.info]) { reader in
      let selector = reader.value(LockKeys.selector)
      let found = reader.value(LockKeys.found)
      guard let selector, let found else { return nil }
      return LockedDevice(label: "", selector: selector, functions: found)
    }
  }
}

extension ValueType where Value == LockedFunction {
  fileprivate static var lockedFunction: ValueType {
    .object(
      "One function.",
      keys: [LockKeys.address.info, LockKeys.id.info, LockKeys.subsystem.info, LockKeys.serial.info]
    ) { reader in
      let address = reader.value(LockKeys.address)
      let id = reader.value(LockKeys.id)
      let subsystem = reader.value(LockKeys.subsystem)
      let serial = reader.value(LockKeys.serial)
      return address.map { LockedFunction(address: $0, id: id, subsystem: subsystem, serial: serial) }
    }
  }
}
