/// A folder of manifests that is none of this machine's: its texts are in the objects of a git repository.
package struct HeldFolder: Sendable {
  /// The most bytes of a manifest, or of a lock.
  package static let mostBytes = YAMLLimits.standard.bytes
  /// The most bytes that all manifests of a folder are worth to be asked for.
  package static let mostBytesInAll = 17 << 20
  /// The most manifests that a folder may have.
  package static let mostManifests = ManifestReader.mostFiles

  /// What is known of an entry before it is read.
  package enum Entry: Hashable, Sendable {
    case file, folder
    /// It is not read, for a reason: `is a link …`.
    case other(reason: String)
  }

  /// A manifest's text, or why it is not read.
  package enum Content: Sendable {
    case read(PathContent)
    case refused(String)
  }

  /// The folder's name for people.
  let name: String
  /// What stands before the names of its files: empty, or a path that ends in `/`.
  let prefix: String
  private(set) var manifests: [(name: String, content: Content)] = []
  /// The names of entries that look like manifests and are not read. Folders end in `/`.
  private(set) var unread: [String] = []

  package init(name: String, prefix: String) { (self.name, self.prefix) = (name, prefix) }

  /// Adds an entry that is not to be read. Returns false if it is a manifest whose text is to be added.
  /// Hidden entries are left out, as in a directory.
  package mutating func takes(_ name: String, _ entry: Entry) -> Bool {
    guard !name.hasPrefix(".") else { return true }
    switch entry {
    case .folder: unread.append(name + "/")
    case .file where isManifestName(name): return false
    case .other(let reason) where isManifestName(name): manifests.append((name, .refused(reason)))
    case .file, .other: if looksLikeManifest(name) { unread.append(name) }
    }
    return true
  }

  /// Adds the text of a manifest.
  package mutating func add(_ name: String, _ content: PathContent) { manifests.append((name, .read(content))) }

  /// Returns the path of a file, as people know it.
  package func path(of name: String) -> String { prefix + name }
}
