import Model

/// One host of a fleet's directory, as it was found. No file of it has been read.
package struct FleetMember: Hashable, Sendable {
  /// The name of the host's file or subdirectory, without the file's suffix.
  package let name: String
  /// The path of the host's snapshot.
  package let snapshot: String
  /// The host's own directory of manifests; nil if it has none.
  package let directory: String?
  /// Why the snapshot is not known; nil if it is.
  package let fault: FileFault?
  /// The names of the directory's entries that are no manifests.
  package let known: Set<String>

  private init(
    name: String, snapshot: String, directory: String? = nil, fault: FileFault? = nil, known: Set<String> = []
  ) {
    (self.name, self.snapshot, self.directory, self.fault, self.known) = (name, snapshot, directory, fault, known)
  }
}

/// A directory with the hosts of a fleet: `NAME.json` is the snapshot of a host, and so is the JSON file of a
/// subdirectory. The subdirectory's `*.yaml` and `*.yml` are manifests of that host.
package struct FleetDirectory: Sendable {
  /// The file that is the snapshot if a subdirectory has more than one JSON file.
  package static let snapshotName = "snapshot.json"
  private static let suffix = ".json"

  /// In order of name.
  package let members: [FleetMember]
  /// The names of files that look like manifests or snapshots and are not read, in order. Hidden entries are left out.
  package let unread: [String]

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
      } else if let member = FleetMember(file: name, in: path) {
        members.append(member)
      } else if [".yaml", ".yml", ".json"].contains(where: name.lowercased().hasSuffix) {
        unread.append(name)
      }
    }
    guard !members.isEmpty else {
      throw FileFault(message: "the directory \(path) has no host: there is neither a *.json nor a subdirectory")
    }
    (self.members, self.unread) = (members, unread)
  }

  fileprivate static func isSnapshotName(_ name: String) -> Bool { name.hasSuffix(suffix) }
  fileprivate static func stem(of name: String) -> String { String(name.dropLast(suffix.count)) }
  fileprivate static func join(_ directory: String, _ name: String) -> String {
    directory.utf8.last == UInt8(ascii: "/") ? directory + name : directory + "/" + name
  }
}

extension FleetMember {
  /// Makes the member of a file; nil if its name is not that of a snapshot.
  fileprivate init?(file name: String, in directory: String) {
    guard FleetDirectory.isSnapshotName(name) else { return nil }
    self.init(name: FleetDirectory.stem(of: name), snapshot: FleetDirectory.join(directory, name))
  }

  /// Makes the member of a subdirectory, whatever is in it.
  fileprivate init(subdirectory name: String, in parent: borrowing FoundFile) {
    let path = FleetDirectory.join(parent.path, name)
    let names: [String]
    do throws(FileFault) { names = try ManifestDirectory.names(in: try FoundFile(name, in: parent)) } catch {
      self.init(name: name, snapshot: path, fault: error)
      return
    }
    let snapshots = names.filter(FleetDirectory.isSnapshotName)
    let directory = names.contains(where: ManifestDirectory.isManifestName) ? path : nil
    let chosen = snapshots.count == 1 ? snapshots[0] : snapshots.first { $0 == FleetDirectory.snapshotName }
    guard let chosen else {
      let found = snapshots.prefix(8).map(quoted).joined(separator: ", ")
      let message =
        snapshots.isEmpty
        ? "\(path) has no snapshot: there is no *.json"
        : "\(path) has several JSON files, and none is \(FleetDirectory.snapshotName): \(found)"
      self.init(name: name, snapshot: path, directory: directory, fault: FileFault(message: message))
      return
    }
    self.init(
      name: name, snapshot: FleetDirectory.join(path, chosen), directory: directory, known: Set(snapshots))
  }
}
