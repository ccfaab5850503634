import Model

/// The documents of one run, sorted by what they are for one host.
struct HostDocuments {
  /// The most hosts among which a name that is not there is compared with others.
  private static let mostCompared = 1000

  let host: Name
  private let all: DocumentsByHost
  /// Those that name the host.
  private let own: [ManifestDocument]
  /// Those that name no host, and so are for every host.
  private let shared: [ManifestDocument]
  /// Whether a document names another host.
  private let hasOthers: Bool

  /// Sorts the documents. `added` are more of them, of which none names another host.
  init(_ documents: DocumentsByHost, adding added: [ManifestDocument] = [], for host: Name) {
    self.host = host
    all = documents
    own = documents.own(host) + added.filter { $0.host != nil }
    shared = documents.forEveryHost + added.filter { $0.host == nil }
    hasOthers = documents.hasOthers(than: host)
  }

  /// Those that name another host. They are looked for each time.
  var others: [ManifestDocument] { all.others(than: host) }

  /// Returns how sure it is that `desired`, which the documents declare, is all that is declared for the host.
  func completeness(of desired: DesiredState) -> Completeness {
    // An empty wish is meant if a document that names the host has it.
    if desired.domains.isEmpty, own.contains(where: \.spec.saysDomains) { return .stated }
    return own.isEmpty && hasOthers ? .doubtful : .assumed
  }

  /// Returns why the documents are not for this host; nil if they are.
  ///
  /// If documents name hosts and none of them names this one, the host was perhaps renamed. Documents for every host do
  /// not replace the missing one, unless they declare a domain and no name is this host's in another spelling.
  func absence(from files: [String]) -> String? {
    guard own.isEmpty, hasOthers else { return nil }
    let misspelt = misspelling
    let hasShared = shared.contains { !$0.spec.domains.isEmpty }
    guard !hasShared || misspelt.map({ isSameHost($0.value, host) }) == true else { return nil }
    let list = some(all.named.lazy.prefix(9).filter { $0 != host }.map(quoted), of: all.named.count)
    let whose = shared.isEmpty ? "they are for \(list)" : "those that name a host are for \(list)"
    let hint = misspelt.map { "; did you mean \(quoted(host)) at \($0.mark)?" } ?? ""
    return "no document in \(some(files, of: files.count)) is for this host, \(quoted(host)): \(whose)\(hint)"
  }

  /// The name of another host that is probably this host's name, misspelt.
  ///
  /// The hosts of a fleet often differ in a digit only, so such a name is a slip only if no other host is named.
  private var misspelling: Located<Name>? {
    if let same = all.otherSpellings(of: host).first { return same }
    let names = all.named
    // To compare each of many hosts with each other would take for ever.
    guard names.count <= Self.mostCompared, let near = closest(to: host.text, among: names.lazy.map(\.text)),
      names.count == 1 || !differsInDigitsOnly(near, host.text)
    else { return nil }
    return all.own(Name(near)).first?.host
  }

  /// Warns of documents that are skipped because they spell this host's name in another way.
  func warnOfOtherSpellings(_ report: Diagnostics) {
    for name in all.otherSpellings(of: host) {
      report.warning(
        "this document is skipped: it is for host \(quoted(name.value)), and this host is \(quoted(host))",
        at: name.mark,
        hint: "did you mean \(quoted(host))?")
    }
  }
}

/// Reports that no document of a host has the key `domains`. `documents` are those for the host.
func reportMissingDomains(in documents: [ManifestDocument], _ report: Diagnostics) {
  guard !report.hasErrors, !documents.contains(where: \.spec.saysDomains),
    let place = documents.first(where: { $0.host != nil }) ?? documents.first
  else { return }
  let host = place.host.map { " for host \(quoted($0.value))" } ?? ""
  report.error(
    documents.count == 1
      ? "'spec' needs the key 'domains'" : "no document\(host) has the key 'domains' in its 'spec'",
    at: place.spec.mark ?? place.mark,
    hint: "to declare that a host has no devices, name it under 'metadata' and write domains: {}")
}

/// Warns of documents that spell the name of one host in two ways. Each host uses only one of the spellings.
///
/// Each name is compared with at most two earlier ones: hosts of one domain may be thousands.
func warnOfHostSpellings(in documents: [ManifestDocument], _ report: Diagnostics) {
  var seen: Set<Name> = []
  // By the whole name, and by the first label: in lower case, the first name that has it.
  var whole: [String: Located<Name>] = [:]
  var labels: [String: Located<Name>] = [:]
  var bare: [String: Located<Name>] = [:]
  for name in documents.compactMap(\.host) where seen.insert(name.value).inserted {
    let parts = name.value.text.lowercased().split(separator: ".")
    let (text, label) = (parts.joined(separator: "."), String(parts.first ?? ""))
    if let other = whole[text] ?? (text == label ? labels : bare)[label] {
      report.warning(
        "hosts \(quoted(other.value)) and \(quoted(name.value)) are perhaps one", at: name.mark,
        notes: [.init("first named", at: other.mark)], hint: "write the name as hostname prints it on that host")
    }
    if whole[text] == nil { whole[text] = name }
    if labels[label] == nil { labels[label] = name }
    if text == label, bare[label] == nil { bare[label] = name }
  }
}

/// Returns the first eight texts, and how many more there are of them.
private func some(_ texts: [String], of count: Int) -> String {
  let shown = texts.prefix(8).joined(separator: ", ")
  return count > 8 ? shown + " and \(count - 8) more" : shown
}

/// Returns whether two names are spellings of one host: they differ in case, or one is the other with its domain.
func isSameHost(_ left: Name, _ right: Name) -> Bool {
  func labels(_ name: Name) -> [Substring] { name.text.lowercased().split(separator: ".") }
  let (one, two) = (labels(left), labels(right))
  return one == two || (one.count == 1 || two.count == 1) && one.first != nil && one.first == two.first
}
