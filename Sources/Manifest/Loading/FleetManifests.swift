package import Model

/// Manifests that were read once, for any number of hosts.
///
/// To put together the state of one host costs what its own documents have, and those for every host. It does not grow
/// with the fleet.
package struct FleetManifests: Sendable {
  /// The most documents among which a missing host's name is compared with others.
  private static let mostCompared = 1000

  private let set: DocumentSet
  private let documents: DocumentsByHost
  /// What the reader remarked of the documents, in the order of the texts.
  package let warnings: [Diagnostic]

  /// Reads the manifests that the whole fleet shares; without a path, none.
  package init(paths: [String]) throws(ManifestFailure) {
    let report = Diagnostics()
    set = paths.isEmpty ? DocumentSet() : try readManifests(paths, report)
    documents = DocumentsByHost(set.documents)
    guard documents.isBounded(report) else { throw .invalid(report.sorted) }
    warnOfHostSpellings(in: set.documents, report)
    Assembly.warnOfUnusedNames(in: set.documents, report)
    guard !report.hasErrors else { throw .invalid(report.sorted) }
    warnings = report.sortedWarnings
  }

  /// The hosts that the shared documents name, in order of name.
  package var hosts: [Name] { documents.hosts.compactMap(\.self) }

  /// Returns what the shared documents declare for one host, and what its own directory declares.
  ///
  /// - Parameters:
  ///   - directory: the host's own directory of manifests; nil if it has none.
  ///   - known: the names of the directory's entries that are no manifests.
  package func load(
    hostName: String, directory: String?, besides known: Swift.Set<String>
  ) throws(ManifestFailure) -> LoadedManifests {
    let report = Diagnostics()
    let name = Name(hostName)
    let own =
      if let directory {
        try readManifests([directory], report, firstOrder: set.texts.count, besides: known)
      } else { DocumentSet() }
    let mine = own.documents.filter { $0.host == nil || $0.host?.value == name }
    if let stranger = own.documents.first(where: { $0.host != nil && $0.host?.value != name })?.host {
      report.error(
        "this document is for host \(quoted(stranger.value)), and the snapshot beside it is of \(quoted(name))",
        at: stranger.mark, hint: "name the host as its snapshot does, or move the file")
    }
    let sorted = HostDocuments(documents, adding: mine, for: name)
    if !report.hasErrors, let absence = absence(of: sorted, files: set.files + own.files) {
      throw .notFound(messages: [absence])
    }
    let declared = documents[name] + mine
    var desired = Assembly.desiredState(of: declared, report)
    reportMissingDomains(in: declared, report)
    guard !report.hasErrors else { throw .invalid(report.sorted) }
    desired.completeness = sorted.completeness(of: desired)
    return LoadedManifests(
      desired: desired, warnings: report.sortedWarnings, skipped: [], texts: set.texts + own.texts,
      marks: DeclarationMarks(declared))
  }

  /// Returns why the documents are not for a host; nil if they are.
  private func absence(of documents: HostDocuments, files: [String]) -> String? {
    if files.isEmpty { return "no manifest was given, and the host has none of its own" }
    guard self.documents.count > Self.mostCompared else { return documents.absence(from: files) }
    return documents.isAbsent ? "no document of the manifests is for this host, \(quoted(documents.host))" : nil
  }
}
