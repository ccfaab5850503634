package import Model

/// The content of the manifests for one host.
package struct LoadedManifests: Sendable {
  package var desired: DesiredState
  /// In the order of the texts.
  package var warnings: [Diagnostic]
  /// The documents for other hosts, each as a note.
  package var skipped: [Diagnostic]
  /// The files that were read, in order: paths, and `<stdin>`.
  package var files: [String]
}

/// The content of the manifests, checked for every host they name.
package struct ValidatedManifests: Sendable {
  /// The desired state of one host.
  package struct HostState: Sendable {
    /// The host's name; nil for hosts that no document names.
    package var host: String?
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
  /// Every manifest is missing, unreadable, empty, or for another host. The message has one line per path. Documents for
  /// every host do not count beside documents for other hosts, unless they declare a domain.
  case notFound(message: String)
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
  let set = try readManifests(paths, report)
  let host = HostDocuments(set.documents, for: hostName)
  let documents = set.documents(for: hostName)
  var desired = Assembly.desiredState(of: documents, report)
  Assembly.warnOfUnusedNames(in: set.documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  if let absence = host.absence(from: set.files) { throw .notFound(message: absence) }
  reportMissingDomains(in: documents, report)
  guard !report.hasErrors else { throw .invalid(report.sorted) }
  host.warnOfOtherSpellings(report)
  desired.completeness = host.completeness(of: desired)
  let skipped = host.others.compactMap(\.host).map {
    Diagnostic(.note, "skipped: this document is for host \(quoted($0.value))", at: $0.mark)
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
  for name in names where name != nil || names.count == 1 { reportMissingDomains(in: set.documents(for: name), report) }
  warnOfHostSpellings(in: set.documents, report)
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
  // Errors inside a file are reported before missing files.
  guard !report.hasErrors || !reader.missing.isEmpty else { return reader.set }
  if report.hasErrors { throw .invalid(report.sorted + reader.missing.map { Diagnostic(.error, $0, at: nil) }) }
  if paths.isEmpty { throw .notFound(message: "no manifest was given") }
  guard reader.missing.isEmpty else { throw .notFound(message: reader.missing.joined(separator: "\n")) }
  return reader.set
}

/// Reads path after path. Totals are bounded too, so that a directory of large files cannot exceed the bounds.
private struct ManifestReader {
  /// The maximum number of files read in one run.
  static let mostFiles = 1000
  /// The maximum number of bytes read in one run.
  static let mostBytes = 16 << 20

  let report: Diagnostics
  var set = DocumentSet()
  /// A message for each path that has no manifest.
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
      let content = try readPath(path, limit: YAMLLimits.standard.bytes)
      switch content {
      case .directory(let files): readAll(files, of: path)
      case .file, .tooLarge: take(content, of: path)
      }
    } catch {
      missing.append(error.message)
    }
  }

  private mutating func readAll(_ files: [String], of directory: String) {
    guard files.count <= Self.mostFiles else {
      report.error("\(directory) has more than \(Self.mostFiles) manifests", at: nil)
      return
    }
    let unread = unread(in: directory)
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
    if found == 0 {
      let rest = unread.map { "; \($0.names) \($0.count == 1 ? "is" : "are") not read" } ?? ""
      missing.append("the directory \(directory) has no manifest: there is no *.yaml or *.yml\(rest)")
    } else if let unread {
      report.warning(
        "\(unread.count == 1 ? "this entry" : "these entries") of the directory \(directory) "
          + "\(unread.count == 1 ? "is" : "are") not read: \(unread.names)",
        at: nil,
        hint: "a directory stands for its files *.yaml and *.yml; give others by their paths")
    }
  }

  /// Returns how many of a directory's entries a person may have meant as manifests, and the names of the first eight.
  /// Returns nil if there are none.
  private mutating func unread(in directory: String) -> (count: Int, names: String)? {
    do throws(FileFault) {
      let names = try unreadEntries(of: directory)
      guard !names.isEmpty else { return nil }
      let more = names.count > 8 ? " and \(names.count - 8) more" : ""
      return (names.count, names.prefix(8).map(quoted).joined(separator: ", ") + more)
    } catch {
      missing.append(error.message)
      return nil
    }
  }

  private mutating func take(_ content: PathContent, of path: String) {
    // A file may be given by its path and again through its directory; it is read once.
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
      // An empty file is more often a failed write than a wish to detach everything.
      if isEmpty { missing.append("\(path) has no document; to declare no devices, write domains: {}") }
    }
  }

  /// Returns whether the text has any content, correct or not.
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
