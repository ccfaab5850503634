import Model

/// The documents of one run by the hosts that they are for.
struct DocumentsByHost {
  /// The maximum number of entries for every host, each counted once per host that a document names.
  static let mostShared = 2_000_000
  /// The most documents of one first label that are compared: a domain may have thousands of hosts.
  private static let mostSpellings = 64

  private let documents: [ManifestDocument]
  /// The positions of the documents that name no host.
  private let shared: [Int]
  private let own: [Name: [Int]]
  /// The positions of the documents that name a host, by the first label of its name in lower case.
  private let byLabel: [String: [Int]]
  /// The hosts that documents name, in order of name.
  let named: [Name]

  init(_ documents: [ManifestDocument]) {
    self.documents = documents
    shared = documents.indices.filter { documents[$0].host == nil }
    let withHost = documents.indices.filter { documents[$0].host != nil }
    own = Dictionary(grouping: withHost) { documents[$0].host?.value ?? .missing }
    byLabel = Dictionary(grouping: withHost) { Self.label(of: documents[$0].host?.value ?? .missing) }
    named = own.keys.sorted()
  }

  /// The hosts that documents name, in order of name. Before them nil, for all others, if a document names no host.
  var hosts: [Name?] { (shared.isEmpty ? [] : [nil]) + named }

  /// Returns the documents for one host, in the order of the texts: its own, and those for every host.
  subscript(host: Name?) -> [ManifestDocument] {
    (shared + (host.flatMap { own[$0] } ?? [])).sorted().map { documents[$0] }
  }

  /// Returns the documents that name the host.
  func own(_ host: Name) -> [ManifestDocument] { (own[host] ?? []).map { documents[$0] } }

  /// The documents that name no host.
  var forEveryHost: [ManifestDocument] { shared.map { documents[$0] } }

  /// The number of entries for every host.
  var sharedEntryCount: Int { shared.reduce(0) { $0 + documents[$1].entryCount } }

  /// Returns whether a document names another host. Asks no document.
  func hasOthers(than host: Name) -> Bool { documents.count > shared.count + (own[host]?.count ?? 0) }

  /// Returns the documents that name another host. Asks every document.
  func others(than host: Name) -> [ManifestDocument] {
    hasOthers(than: host) ? documents.filter { $0.host != nil && $0.host?.value != host } : []
  }

  /// Returns where documents name the host in another spelling. Asks only those whose host has the same first label.
  func otherSpellings(of host: Name) -> [Located<Name>] {
    (byLabel[Self.label(of: host)] ?? []).prefix(Self.mostSpellings).compactMap { documents[$0].host }
      .filter { $0.value != host && isSameHost($0.value, host) }
  }

  private static func label(of host: Name) -> String {
    host.text.lowercased().split(separator: ".").first.map(String.init) ?? ""
  }

  /// Reports it if putting together the state of every host would cost too much; returns whether it would not.
  func isBounded(_ report: Diagnostics) -> Bool {
    let entries = sharedEntryCount
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
