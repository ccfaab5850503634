import Glibc
import Model

/// One host of a fleet's directory, as it was found. No file of it has been read.
package struct FleetMember: Hashable, Sendable {
  /// The name of the host's file or subdirectory, without the file's suffix. It only stands for the host's name as long as
  /// nobody has read the snapshot.
  package let name: String
  /// The path of the host's snapshot.
  package let snapshot: String
  /// The same, from the fleet's directory on.
  package let place: String
  /// The host's own directory; nil if it has none.
  package let directory: String?
  /// Whether the directory has manifests.
  package let hasManifests: Bool
  /// Why the snapshot cannot be read; nil if nothing is known against it.
  package let fault: FileFault?
  /// The names of the directory's snapshots.
  package let known: Set<String>
  /// The names of entries of the directory that look like manifests and are not read. If it has manifests, their reader
  /// reports such entries.
  package let unread: [String]
}

/// A directory with the hosts of a fleet: `NAME.json` is the snapshot of a host, and so is the JSON file of a
/// subdirectory. The subdirectory's `*.yaml` and `*.yml` are manifests of that host.
///
/// A link that leads out of the directory is not followed, and neither are pipes and devices read: who may write into the
/// directory must not make Berth read the files of others, or wait.
package struct FleetDirectory: Sendable {
  /// The file that is the snapshot if a subdirectory has more than one JSON file.
  package static let snapshotName = "snapshot.json"
  private static let suffix = ".json"

  /// In order of name.
  package let members: [FleetMember]
  /// The names of files that look like manifests or snapshots and are not read, in order. Hidden entries are left out.
  package let unread: [String]
  /// The names of the files that are snapshots.
  package var known: Set<String> { Set(members.filter { $0.directory == nil }.map(\.place)) }

  /// Lists the directory at a path. Throws if it cannot be listed, or if it has no host.
  package init(_ path: String) throws(FileFault) {
    let found = try FoundFile(path)
    guard case .directory = try found.kind() else {
      throw FileFault(message: "\(path) is no directory; the snapshot of one host is given with --host")
    }
    var members: [FleetMember] = []
    var unread: [String] = []
    for name in try ManifestDirectory.names(in: found) {
      if found.hasDirectory(name) {
        members.append(FleetMember(subdirectory: name, in: found))
      } else if Self.isSnapshotName(name) {
        members.append(FleetMember(file: name, in: found))
      } else if Self.isLikeManifest(name) {
        unread.append(name)
      }
    }
    guard !members.isEmpty else {
      throw FileFault(message: "the directory \(path) has no host: there is neither a *.json nor a subdirectory")
    }
    (self.members, self.unread) = (members, unread)
  }

  /// Returns the path of an entry of a directory.
  package static func join(_ directory: String, _ name: String) -> String {
    directory.utf8.last == UInt8(ascii: "/") ? directory + name : directory + "/" + name
  }

  fileprivate static func isSnapshotName(_ name: String) -> Bool { name.hasSuffix(suffix) }
  fileprivate static func stem(of name: String) -> String { String(name.dropLast(suffix.count)) }
  fileprivate static func isLikeManifest(_ name: String) -> Bool {
    [".yaml", ".yml", ".json"].contains(where: name.lowercased().hasSuffix) && !name.hasSuffix(lockSuffix)
  }
}

extension FleetMember {
  /// Makes the member of a file.
  fileprivate init(file name: String, in parent: borrowing FoundFile) {
    self.init(
      name: FleetDirectory.stem(of: name), snapshot: FleetDirectory.join(parent.path, name), place: name,
      directory: nil, hasManifests: false, fault: parent.fault(of: name, below: parent), known: [], unread: [])
  }

  /// Makes the member of a subdirectory, whatever is in it.
  fileprivate init(subdirectory name: String, in parent: borrowing FoundFile) {
    let path = FleetDirectory.join(parent.path, name)
    var (names, chosen, fault): ([String], String?, FileFault?) = ([], nil, nil)
    do throws(FileFault) {
      let found = try FoundFile(name, in: parent)
      guard try found.isInside(parent) else {
        throw FileFault(message: "\(path) is a link to a directory outside of \(parent.path)")
      }
      names = try ManifestDirectory.names(in: found)
      let file = try Self.snapshot(among: names, of: path)
      (chosen, fault) = (file, found.fault(of: file, below: parent))
    } catch { fault = error }
    let known = Set(names.filter(FleetDirectory.isSnapshotName))
    let hasManifests = names.contains(where: isManifestName)
    self.init(
      name: name, snapshot: chosen.map { FleetDirectory.join(path, $0) } ?? path,
      place: chosen.map { "\(name)/\($0)" } ?? "\(name)/", directory: path, hasManifests: hasManifests, fault: fault,
      known: known,
      unread: hasManifests ? [] : names.filter { FleetDirectory.isLikeManifest($0) && !known.contains($0) })
  }

  /// Returns which of a directory's entries is the snapshot. Throws if none is, or if that is not clear.
  private static func snapshot(among names: [String], of path: String) throws(FileFault) -> String {
    let snapshots = names.filter(FleetDirectory.isSnapshotName)
    if snapshots.isEmpty { throw FileFault(message: "\(path) has no snapshot: there is no *.json") }
    if snapshots.count == 1 { return snapshots[0] }
    if snapshots.contains(FleetDirectory.snapshotName) { return FleetDirectory.snapshotName }
    let list = snapshots.prefix(8).map(quoted).joined(separator: ", ")
    throw FileFault(
      message: "\(path) has several JSON files, and none is \(FleetDirectory.snapshotName): \(list)")
  }
}

extension FoundFile {
  /// Returns why an entry of this directory is not read: it is no file, or a link that leads out of `root`; nil if it is
  /// read.
  fileprivate borrowing func fault(of name: String, below root: borrowing FoundFile) -> FileFault? {
    do throws(FileFault) {
      let file = try FoundFile(name, in: self)
      switch try file.kind() {
      case .regular, .empty: break
      case .directory: return FileFault(message: "\(file.path) is a directory")
      case .pipe, .device, .socket: return FileFault(message: "\(file.path) is no file")
      }
      return try file.isInside(root)
        ? nil : FileFault(message: "\(file.path) is a link to a file outside of \(root.path)")
    } catch { return error }
  }
}
