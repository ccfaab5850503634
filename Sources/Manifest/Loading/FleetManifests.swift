package import Model

/// Manifests that were read once, for any number of hosts.
///
/// To put together the state of one host costs what its own documents have, and those for every host. The documents of
/// other hosts are not looked through.
package struct FleetManifests: Sendable {
  /// The most entries for every host, each counted once per host.
  private static let mostShared = 20_000_000

  private let set: DocumentSet
  private let documents: DocumentsByHost
  private let names: Set<Name>
  private let uses: DeviceUses
  /// What the reader remarked of the documents, in the order of the texts.
  package let warnings: [Diagnostic]

  /// Reads the manifests that the whole fleet shares; without a path, none.
  ///
  /// - Parameters:
  ///   - hostCount: the number of hosts that are planned. If the documents for every host are too many for them,
  ///     that is an error.
  ///   - known: the names of entries of directories that somebody else reads.
  package init(paths: [String], hostCount: Int, besides known: Set<String> = []) throws(ManifestFailure) {
    let report = Diagnostics()
    set = paths.isEmpty ? DocumentSet() : try readManifests(paths, report, besides: known)
    documents = DocumentsByHost(set.documents)
    names = Set(set.texts.map { Name($0.name) })
    var uses = DeviceUses()
    uses.add(set.documents)
    self.uses = uses
    let entries = documents.sharedEntryCount
    if hostCount > 0, entries > Self.mostShared / hostCount {
      report.error(
        "the documents for every host have \(entries) entries, which is too much for \(hostCount) hosts",
        at: documents.forEveryHost.first?.mark, hint: "plan for fewer hosts in one run")
    }
    warnOfHostSpellings(in: set.documents, report)
    guard !report.hasErrors else { throw .invalid(report.sorted) }
    warnings = report.sortedWarnings
  }

  /// The hosts that the shared documents name, in order of name.
  package var hosts: [Name] { documents.named }

  /// Returns what the shared documents declare for one host, and what the host's own directory declares: the same as if
  /// the paths of all of them had been given for this host.
  ///
  /// - Parameters:
  ///   - directory: the host's own directory of manifests; nil if it has none.
  ///   - known: the names of the directory's entries that somebody else reads.
  package func load(
    hostName: String, directory: String?, besides known: Set<String>
  ) throws(ManifestFailure) -> LoadedManifests {
    let report = Diagnostics()
    let name = Name(hostName)
    let own =
      if let directory {
        try readManifests([directory], report, after: names, besides: known)
      } else { DocumentSet() }
    let mine = own.documents.filter { $0.host == nil || $0.host?.value == name }
    if let stranger = own.documents.first(where: { $0.host != nil && $0.host?.value != name })?.host {
      report.error(
        "this document is for host \(quoted(stranger.value)), and the snapshot beside it is of \(quoted(name))",
        at: stranger.mark, hint: "name the host as its snapshot does, or move the file")
    }
    let sorted = HostDocuments(documents, adding: mine, for: name)
    let files = own.files.isEmpty ? set.files : set.files + own.files
    if !report.hasErrors, let absence = sorted.absence(from: files) { throw .notFound(messages: [absence]) }
    if files.isEmpty { throw .notFound(messages: ["no manifest was given, and the host has none of its own"]) }
    let declared = documents[name] + mine
    var desired = Assembly.desiredState(of: declared, report)
    reportMissingDomains(in: declared, report)
    var uses = uses
    uses.add(mine)
    uses.warnOfUnused(report)
    guard !report.hasErrors else { throw .invalid(report.sorted) }
    sorted.warnOfOtherSpellings(report)
    desired.completeness = sorted.completeness(of: desired)
    return LoadedManifests(
      desired: desired, warnings: warnings + report.sortedWarnings, skipped: [],
      texts: own.texts.isEmpty ? set.texts : set.texts + own.texts, marks: DeclarationMarks(declared))
  }
}
