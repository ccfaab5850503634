package import Model

/// The content of the manifests for one host.
package struct LoadedManifests: Sendable {
  package var desired: DesiredState
  /// In the order of the texts.
  package var warnings: [Diagnostic]
  /// The documents for other hosts, each as a note.
  package var skipped: [Diagnostic]
  /// The files that were read, in order: paths, and `<stdin>`.
  package var files: [String] { texts.map(\.name) }
  /// The files with their texts, in order.
  package var texts: [ManifestText]
  /// Where the domains of this host and their devices are declared.
  package var marks: DeclarationMarks
}

/// The text of a manifest.
package struct ManifestText: Hashable, Sendable {
  /// A path, or `<stdin>`.
  package let name: String
  package let bytes: [UInt8]
  package init(name: String, bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
}

/// The content of the manifests, checked for every host they name.
package struct ValidatedManifests: Sendable {
  /// The desired state of one host.
  package struct HostState: Sendable {
    /// The host's name; nil for hosts that no document names.
    package var host: Name?
    package var desired: DesiredState
  }

  /// The states. If any document is for all hosts, the state of hosts that no document names is first; the others are
  /// in order of name.
  package var hosts: [HostState]
  /// In the order of the texts.
  package var warnings: [Diagnostic]
  /// The files that were read, in order: paths, and `<stdin>`.
  package var files: [String]
}

/// The reason why there is no usable manifest.
package enum ManifestFailure: Error, Sendable {
  /// Every manifest is missing, unreadable, empty, or for another host. There is one message per path. Documents for
  /// every host do not count beside documents for other hosts, unless they declare a domain.
  case notFound(messages: [String])
  /// All errors and warnings, in the order of the texts.
  case invalid([Diagnostic])
}

/// Reads manifests and returns the desired state of one host.
///
/// - Parameters:
///   - paths: files, directories (their `*.yaml` and `*.yml` in order of name, without subdirectories), or `-` for
///     standard input.
///   - hostName: the host's name, as `hostname` prints it. Documents that name another host are read and checked, but
///     not used.
package func loadManifests(paths: [String], hostName: String) throws(ManifestFailure) -> LoadedManifests {
  let report = Diagnostics()
  return try load(try readManifests(paths, report), hostName: hostName, report)
}

/// Returns the desired state of one host that these texts declare, as if they were read from files of these names.
package func loadManifests(texts: [ManifestText], hostName: String) throws(ManifestFailure) -> LoadedManifests {
  let report = Diagnostics()
  var reader = ManifestReader(report: report)
  for text in texts { reader.read(text) }
  return try load(try reader.end(), hostName: hostName, report)
}

private func load(
  _ set: DocumentSet, hostName: String, _ report: Diagnostics
) throws(ManifestFailure) -> LoadedManifests {
  let all = DocumentsByHost(set.documents)
  let host = HostDocuments(all, for: Name(hostName))
  let documents = all[Name(hostName)]
  var desired = Assembly.desiredState(of: documents, report)
  Assembly.warnOfUnusedNames(in: set.documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  if let absence = host.absence(from: set.files) { throw .notFound(messages: [absence]) }
  reportMissingDomains(in: documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  host.warnOfOtherSpellings(report)
  desired.completeness = host.completeness(of: desired)
  let skipped = host.others.compactMap(\.host).map {
    Diagnostic(.note, "skipped: this document is for host \(quoted($0.value))", at: $0.mark)
  }
  return LoadedManifests(
    desired: desired, warnings: report.sortedWarnings, skipped: skipped, texts: set.texts,
    marks: DeclarationMarks(documents))
}

/// Returns the desired state of one host that a folder declares which is no folder of this machine. It is read as a
/// directory with the same files would be.
package func loadManifests(in folder: HeldFolder, hostName: String) throws(ManifestFailure) -> LoadedManifests {
  let report = Diagnostics()
  var reader = ManifestReader(report: report)
  reader.read(folder)
  return try load(try reader.end(), hostName: hostName, report)
}

/// Reads manifests and checks them for every host they name.
package func validateManifests(paths: [String]) throws(ManifestFailure) -> ValidatedManifests {
  let report = Diagnostics()
  let set = try readManifests(paths, report)
  let documents = DocumentsByHost(set.documents)
  let names = documents.hosts
  guard documents.isBounded(report) else { throw .invalid(report.sorted) }
  let hosts = names.map { name in
    ValidatedManifests.HostState(host: name, desired: Assembly.desiredState(of: documents[name], report))
  }
  for name in names where name != nil || names.count == 1 { reportMissingDomains(in: documents[name], report) }
  warnOfHostSpellings(in: set.documents, report)
  Assembly.warnOfUnusedNames(in: set.documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  return ValidatedManifests(hosts: hosts, warnings: report.sortedWarnings, files: set.files)
}

/// All documents of one run.
struct DocumentSet: Sendable {
  var documents: [ManifestDocument] = []
  var texts: [ManifestText] = []
  var files: [String] { texts.map(\.name) }
}

/// The texts of manifests as they were read.
package struct ReadTexts: Sendable {
  /// In the order of the paths; `<stdin>` for standard input.
  package let texts: [ManifestText]
  package let warnings: [Diagnostic]
}

/// Reads the texts of manifests, whatever is in them, from the files from which `loadManifests` reads.
package func readManifestTexts(paths: [String]) throws(ManifestFailure) -> ReadTexts {
  let report = Diagnostics()
  let set = try readManifests(paths, readsDocuments: false, report)
  return ReadTexts(texts: set.texts, warnings: report.sortedWarnings)
}

/// Reads the manifests at these paths. Errors in them are reported, and end the reading.
///
/// - Parameters:
///   - readsDocuments: whether the texts are read as manifests, and not only as texts.
///   - earlier: the names of the texts that were read before. They are not read again.
///   - known: the names of entries of directories that somebody else reads.
func readManifests(
  _ paths: [String], readsDocuments: Bool = true, _ report: Diagnostics, after earlier: Set<Name> = [],
  besides known: Set<String> = []
) throws(ManifestFailure) -> DocumentSet {
  if paths.isEmpty { throw .notFound(messages: ["no manifest was given"]) }
  var reader = ManifestReader(report: report, readsDocuments: readsDocuments, after: earlier, known: known)
  for path in paths { reader.read(path) }
  return try reader.end()
}

/// Reads path after path. Totals are bounded too, so that a directory of large files cannot exceed the bounds.
struct ManifestReader {
  /// The maximum number of files read in one run.
  static let mostFiles = 1000
  /// The maximum number of bytes read in one run.
  static let mostBytes = 16 << 20

  let report: Diagnostics
  private let readsDocuments: Bool
  /// The number of texts that stand before these in what is reported.
  let firstOrder: Int
  /// The names of entries of directories that somebody else reads.
  let known: Set<String>
  var set = DocumentSet()
  /// A message for each path that has no manifest.
  var missing: [String] = []
  private var seen: Set<Name>
  private var bytesRead = 0

  init(
    report: Diagnostics, readsDocuments: Bool = true, after earlier: Set<Name> = [], known: Set<String> = []
  ) {
    (self.report, self.readsDocuments) = (report, readsDocuments)
    self.known = known
    seen = earlier
    firstOrder = earlier.count
  }

  mutating func read(_ path: String) {
    do throws(FileFault) {
      if path == "-" {
        take(try readStandardInput(limit: YAMLLimits.standard.bytes), of: "<stdin>")
        return
      }
      let content = try readPath(path, limit: YAMLLimits.standard.bytes) { readAll($0) }
      if let content { take(content, of: path) }
    } catch {
      missing.append(error.message)
    }
  }

  /// Reads a text that another run has read from a file.
  mutating func read(_ text: ManifestText) {
    let isTooLarge = text.bytes.count > YAMLLimits.standard.bytes
    take(isTooLarge ? .tooLarge : .file(text.bytes), of: text.name)
  }

  /// Returns what was read. Throws if something is missing or wrong: errors in a text are reported before missing files.
  func end() throws(ManifestFailure) -> DocumentSet {
    guard !report.hasErrors || !missing.isEmpty else { return set }
    if report.hasErrors { throw .invalid(report.sorted + missing.map { Diagnostic(.error, $0, at: nil) }) }
    guard missing.isEmpty else { throw .notFound(messages: missing) }
    return set
  }

  private mutating func readAll(_ directory: borrowing ManifestDirectory) {
    guard directory.manifests.count <= Self.mostFiles else {
      report.error("\(directory.path) has more than \(Self.mostFiles) manifests", at: nil)
      return
    }
    var found = 0
    for name in directory.manifests {
      do throws(FileFault) {
        guard let content = try directory.read(name, limit: YAMLLimits.standard.bytes) else { continue }
        found += 1
        take(content, of: directory.path(of: name))
      } catch {
        found += 1
        missing.append(error.message)
      }
    }
    end(directory.path, found: found, unread: directory.unread.filter { !known.contains($0) })
  }

  /// Reads a folder that another program holds.
  mutating func read(_ folder: HeldFolder) {
    guard folder.manifests.count <= Self.mostFiles else {
      report.error("\(folder.name) has more than \(Self.mostFiles) manifests", at: nil)
      return
    }
    for (name, content) in folder.manifests.sorted(by: { Name($0.name) < Name($1.name) }) {
      switch content {
      case .read(let content): take(content, of: folder.path(of: name))
      case .refused(let reason): missing.append("\(folder.path(of: name)) \(reason)")
      }
    }
    end(folder.name, found: folder.manifests.count, unread: folder.unread)
  }

  /// Says what is missing in a directory, and which of its entries are not read.
  private mutating func end(_ directory: String, found: Int, unread entries: [String]) {
    let count = entries.count
    // The first eight of the entries that a person may have meant as manifests.
    let unread =
      entries.prefix(8).map(quoted).joined(separator: ", ") + (count > 8 ? " and \(count - 8) more" : "")
    if found == 0 {
      let rest = count == 0 ? "" : "; \(unread) \(count == 1 ? "is" : "are") not read"
      missing.append("the directory \(directory) has no manifest: there is no *.yaml or *.yml\(rest)")
    } else if count > 0 {
      report.warning(
        "\(count == 1 ? "this entry" : "these entries") of the directory \(directory) "
          + "\(count == 1 ? "is" : "are") not read: \(unread)",
        at: nil,
        hint: "a directory stands for its files *.yaml and *.yml; give others by their paths")
    }
  }

  private mutating func take(_ content: PathContent, of path: String) {
    // A file may be given by its path and again through its directory; it is read once.
    guard seen.insert(Name(path)).inserted else { return }
    let order = firstOrder + set.texts.count
    switch content {
    case .tooLarge:
      set.texts.append(ManifestText(name: path, bytes: []))
      report.error(
        "the text is larger than \(YAMLLimits.standard.bytes) bytes",
        at: SourceMark(wholeOf: SourceText(name: path, bytes: [], order: order)), hint: "split it into several files")
    case .file(let bytes):
      set.texts.append(ManifestText(name: path, bytes: bytes))
      bytesRead += bytes.count
      guard bytesRead <= Self.mostBytes else {
        report.error("the manifests are larger than \(Self.mostBytes) bytes in all", at: nil)
        return
      }
      guard readsDocuments else { return }
      let source = SourceText(name: path, bytes: bytes, order: order)
      let isEmpty = !readDocuments(source)
      // An empty file is more often a failed write than a wish to detach everything.
      if isEmpty { missing.append("\(path) has no document; to declare no devices, write domains: {}") }
    }
  }

  /// Returns whether the text has any content, correct or not.
  private mutating func readDocuments(_ source: SourceText) -> Bool {
    let faults = report.errorCount
    let nodes = parseDeclaration(
      source, kind: DocumentKind.hostAssignments.rawValue, name: "a manifest", report: report)
    let type = ValueType<ManifestDocument>.document
    for node in nodes {
      if let document = type.read(node, as: "the document", report) { set.documents.append(document) }
    }
    return !nodes.isEmpty || report.errorCount > faults
  }
}

/// Returns the errors in the text of one manifest that was put together; none if the reader takes the text.
package func errors(inManifest text: String) -> [Diagnostic] {
  let report = Diagnostics()
  guard text.utf8.count <= YAMLLimits.standard.bytes else {
    report.error("the text is larger than \(YAMLLimits.standard.bytes) bytes", at: nil)
    return report.sortedErrors
  }
  let source = SourceText(name: "the manifest", text: text)
  let nodes = parseDeclaration(
    source, kind: DocumentKind.hostAssignments.rawValue, name: "a manifest", report: report)
  let documents = nodes.compactMap { ValueType<ManifestDocument>.document.read($0, as: "the document", report) }
  _ = Assembly.desiredState(of: documents, report)
  return report.sortedErrors
}
