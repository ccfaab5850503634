import Model

/// The documents of one run by the hosts that they are for.
struct DocumentsByHost {
  /// The maximum number of entries for every host, each counted once per host that a document names.
  static let mostShared = 2_000_000

  private let documents: [ManifestDocument]
  /// The positions of the documents that name no host.
  private let shared: [Int]
  private let own: [Name: [Int]]

  init(_ documents: [ManifestDocument]) {
    self.documents = documents
    shared = documents.indices.filter { documents[$0].host == nil }
    own = Dictionary(grouping: documents.indices.filter { documents[$0].host != nil }) {
      documents[$0].host?.value ?? .missing
    }
  }

  /// The hosts that documents name, in order of name. Before them nil, for all others, if a document names no host.
  var hosts: [Name?] { (shared.isEmpty ? [] : [nil]) + own.keys.sorted() }

  /// Returns the documents for one host, in the order of the texts: its own, and those for every host.
  subscript(host: Name?) -> [ManifestDocument] {
    (shared + (host.flatMap { own[$0] } ?? [])).sorted().map { documents[$0] }
  }

  /// The number of documents.
  var count: Int { documents.count }

  /// Returns the documents that name the host.
  func own(_ host: Name) -> [ManifestDocument] { (own[host] ?? []).map { documents[$0] } }

  /// The documents that name no host.
  var forEveryHost: [ManifestDocument] { shared.map { documents[$0] } }

  /// Returns whether a document names another host. Asks no document.
  func hasOthers(than host: Name) -> Bool { documents.count > shared.count + (own[host]?.count ?? 0) }

  /// Returns the documents that name another host. Asks every document.
  func others(than host: Name) -> [ManifestDocument] {
    hasOthers(than: host) ? documents.filter { $0.host != nil && $0.host?.value != host } : []
  }

  /// Reports it if putting together the state of every host would cost too much; returns whether it would not.
  func isBounded(_ report: Diagnostics) -> Bool {
    let entries = shared.reduce(0) { $0 + documents[$1].entryCount }
    guard own.count * entries > Self.mostShared else { return true }
    report.error(
      "the documents for every host have \(entries) entries, which is too much for \(own.count) hosts",
      at: shared.first.map { documents[$0].mark }, hint: "check fewer hosts in one run")
    return false
  }
}

extension ManifestDocument {
  /// The number of domains, devices and names, and the document itself.
  fileprivate var entryCount: Int {
    spec.domains.reduce(1 + spec.definitions.count) { $0 + 1 + $1.value.devices.count }
  }
}
