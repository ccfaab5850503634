import Glibc
import Model

/// A directory of manifests, as it was when it was opened.
struct ManifestDirectory: ~Copyable {
  /// The maximum number of entries, read or not.
  static let mostEntries = 100_000

  private let found: FoundFile
  /// The names of the manifests, in order: they end in `.yaml` or `.yml` and do not begin with a dot.
  let manifests: [String]
  /// The names of entries that look like manifests and are not read, in order: files with another suffix of YAML or JSON,
  /// and directories, which end in `/`. Hidden entries are left out.
  let unread: [String]

  var path: String { found.path }

  init(_ found: consuming FoundFile) throws(FileFault) {
    let names = try Self.names(in: found)
    manifests = names.filter(isManifestName)
    unread = names.compactMap { found.hasDirectory($0) ? $0 + "/" : looksLikeManifest($0) ? $0 : nil }
    self.found = found
  }

  /// Returns the path of an entry, as people know it.
  func path(of name: String) -> String {
    path.utf8.last == UInt8(ascii: "/") ? path + name : path + "/" + name
  }

  /// Reads one of the manifests up to a limit; returns nil if it is a directory.
  ///
  /// A link is followed if it leads to a file inside the directory, as the links of a Kubernetes ConfigMap do. Any other
  /// link is refused: whoever may write into the directory must not make Berth read the files of others.
  func read(_ name: String, limit: Int) throws(FileFault) -> PathContent? {
    let file = try FoundFile(name, in: found)
    switch try file.kind() {
    case .directory: return nil
    case .pipe, .device, .socket: throw FileFault(message: "\(file.path) is neither a file nor a directory")
    case .empty where try file.isInside(found): return .file([])
    case .empty, .regular:
      guard try file.isInside(found) else {
        throw FileFault(
          message: "\(file.path) is a link to a file outside the directory; "
            + "to read that file, give its own path")
      }
      if case .regular(let size) = try file.kind(), size > limit { return .tooLarge }
      return try ByteReader(opening: file).read(limit: limit)
    }
  }

  /// Returns the names of all entries that are not hidden, in order (readdir(3)).
  static func names(in directory: borrowing FoundFile) throws(FileFault) -> [String] {
    let descriptor = try directory.openDirectory()
    guard let stream = unsafe fdopendir(descriptor) else {
      let error = errno
      close(descriptor)
      throw FileFault(.list, directory.path, error)
    }
    defer { unsafe closedir(stream) }
    var found: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else { break }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        unsafe tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) {
          unsafe String(cString: $0)
        }
      }
      if name.utf8.first != UInt8(ascii: ".") { found.append(name) }
      guard found.count <= mostEntries else {
        throw FileFault(message: "cannot list \(directory.path): it has more than \(mostEntries) entries")
      }
    }
    let error = errno
    guard error == 0 else { throw FileFault(.list, directory.path, error) }
    return found.sorted { Name($0) < Name($1) }
  }
}

/// Returns whether a file of this name in a directory is a manifest.
func isManifestName(_ name: String) -> Bool {
  (name.hasSuffix(".yaml") || name.hasSuffix(".yml")) && !name.hasSuffix(lockSuffix)
}

/// Returns whether a file of this name is no manifest, but a person may have meant it as one.
func looksLikeManifest(_ name: String) -> Bool {
  let lower = name.lowercased()
  let isMeant = [".yaml", ".yml", ".json"].contains { lower.hasSuffix($0) } && !name.hasSuffix(lockSuffix)
  return isMeant && !isManifestName(name)
}
