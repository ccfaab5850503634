package import Core

/// What the manifests say for one host.
package struct LoadedManifests: Sendable {
  package var desired: DesiredState
  /// In the order of the texts.
  package var warnings: [Diagnostic]
  /// The documents that are for other hosts, each as a note.
  package var skipped: [Diagnostic]
  /// What was read, in order: paths, and `<stdin>`.
  package var files: [String]
}

/// What the manifests say, checked for every host they name.
package struct ValidatedManifests: Sendable {
  /// What one host gets.
  package struct HostState: Sendable {
    /// nil for hosts that no document names.
    package var host: String?
    package var desired: DesiredState
  }

  /// First the state of hosts that no document names, if any document is for all hosts; then by name.
  package var hosts: [HostState]
  /// In the order of the texts.
  package var warnings: [Diagnostic]
  /// What was read, in order: paths, and `<stdin>`.
  package var files: [String]
}

/// Why there is nothing to work with.
package enum ManifestFailure: Error, Sendable {
  /// Missing, unreadable, empty, or for other hosts only. The message has one line for each path.
  case notFound(message: String)
  /// Everything that is wrong, and the warnings, in the order of the texts.
  case invalid([Diagnostic])
}

/// Reads manifests and puts together what they say for one host.
///
/// - Parameters:
///   - paths: files, directories (their `*.yaml` and `*.yml`, in order of name, no deeper), or `-` for standard input.
///   - hostName: as `hostname` prints it. Documents that name another host are read, checked and left out.
package func loadManifests(paths: [String], hostName: String) throws(ManifestFailure) -> LoadedManifests {
  let report = Diagnostics()
  let set = try readManifests(paths, report)
  let others = set.documents.filter { $0.host != nil && $0.host?.value != hostName }
  let desired = Assembly.desiredState(of: set.documents(for: hostName), report)
  Assembly.warnOfUnusedNames(in: set.documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  guard others.count < set.documents.count else {
    let names = Set(others.compactMap { $0.host?.value }).sorted().prefix(8).map(quoted)
    throw .notFound(
      message: "no document is for this host, \(quoted(hostName)), among those in "
        + "\(set.files.joined(separator: ", ")): they are for \(names.joined(separator: ", "))")
  }
  let skipped = others.compactMap(\.host).map {
    Diagnostic(.note, "left out: this document is for host \(quoted($0.value))", at: $0.mark)
  }
  return LoadedManifests(desired: desired, warnings: report.sortedWarnings, skipped: skipped, files: set.files)
}

/// Reads manifests and checks them for every host they name.
package func validateManifests(paths: [String]) throws(ManifestFailure) -> ValidatedManifests {
  let report = Diagnostics()
  let set = try readManifests(paths, report)
  var names: [String?] = Set(set.documents.compactMap { $0.host?.value }).sorted()
  if set.documents.contains(where: { $0.host == nil }) { names.insert(nil, at: 0) }
  let hosts = names.map { name in
    ValidatedManifests.HostState(
      host: name, desired: Assembly.desiredState(of: set.documents(for: name), report))
  }
  Assembly.warnOfUnusedNames(in: set.documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  return ValidatedManifests(hosts: hosts, warnings: report.sortedWarnings, files: set.files)
}

/// All documents of one run.
private struct DocumentSet {
  var documents: [ManifestDocument] = []
  var files: [String] = []

  func documents(for host: String?) -> [ManifestDocument] {
    documents.filter { $0.host == nil || $0.host?.value == host }
  }
}

private func readManifests(_ paths: [String], _ report: Diagnostics) throws(ManifestFailure) -> DocumentSet {
  var reader = ManifestReader(report: report)
  for path in paths { reader.read(path) }
  // What is wrong inside a file is told before what is missing beside it.
  guard !report.hasErrors || !reader.missing.isEmpty else { return reader.set }
  if report.hasErrors { throw .invalid(report.sorted + reader.missing.map { Diagnostic(.error, $0, at: nil) }) }
  if paths.isEmpty { throw .notFound(message: "no manifest was named") }
  guard reader.missing.isEmpty else { throw .notFound(message: reader.missing.joined(separator: "\n")) }
  return reader.set
}

/// Reads path after path; bounded in all, so that a directory of large files is no way around the bounds.
private struct ManifestReader {
  /// As many files are read in one run.
  static let mostFiles = 1000
  /// As many bytes are read in one run.
  static let mostBytes = 16 << 20

  let report: Diagnostics
  var set = DocumentSet()
  /// What was looked for and is not there.
  var missing: [String] = []
  private var seen: Set<String> = []
  private var bytesRead = 0

  init(report: Diagnostics) { self.report = report }

  mutating func read(_ path: String) {
    do throws(FileFault) {
      if path == "-" {
        take(try readStandardInput(limit: YAMLLimits.standard.bytes), of: "<stdin>")
        return
      }
      switch try readPath(path, limit: YAMLLimits.standard.bytes) {
      case .directory(let files): readAll(files, of: path)
      case let content: take(content, of: path)
      }
    } catch {
      missing.append(error.message)
    }
  }

  private mutating func readAll(_ files: [String], of directory: String) {
    guard files.count <= Self.mostFiles else {
      report.error("\(directory) holds more than \(Self.mostFiles) manifests", at: nil)
      return
    }
    var found = 0
    for file in files {
      do throws(FileFault) {
        guard let content = try readListedFile(file, limit: YAMLLimits.standard.bytes) else { continue }
        found += 1
        take(content, of: file)
      } catch {
        found += 1
        missing.append(error.message)
      }
    }
    if found == 0 { missing.append("the directory \(directory) holds no manifest: looked for *.yaml and *.yml") }
  }

  private mutating func take(_ content: PathContent, of path: String) {
    // A file named by itself and again through its directory is one file.
    guard seen.insert(path).inserted else { return }
    let order = set.files.count
    set.files.append(path)
    switch content {
    case .directory: return
    case .tooLarge:
      report.error(
        "the text is larger than \(YAMLLimits.standard.bytes) bytes",
        at: SourceMark(wholeOf: SourceText(name: path, bytes: [], order: order)), hint: "split it into several files")
    case .file(let bytes):
      bytesRead += bytes.count
      guard bytesRead <= Self.mostBytes else {
        report.error("the manifests are larger than \(Self.mostBytes) bytes in all", at: nil)
        return
      }
      let source = SourceText(name: path, bytes: bytes, order: order)
      let isEmpty = !readDocuments(source)
      // An empty file is more often a failed write than the wish to detach everything.
      if isEmpty { missing.append("\(path) holds no document; to declare no devices, write domains: {}") }
    }
  }

  /// Returns whether the text holds anything, be it right or wrong.
  private mutating func readDocuments(_ source: SourceText) -> Bool {
    let faults = report.errorCount
    let nodes = parseYAML(source, report: report)
    let type = ValueType<ManifestDocument>.document
    for node in nodes {
      if let document = type.read(node, as: "the document", report) { set.documents.append(document) }
    }
    return !nodes.isEmpty || report.errorCount > faults
  }
}
