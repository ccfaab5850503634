import Glibc
import Model
import TestSupport
import Testing

@testable import Manifest

/// What looks like an empty wish and is a slip.
@Suite struct SlipTests {
  private let folder: TemporaryFolder
  private let device = "{address: \"0000:03:00.0\", id: \"8086:1533\"}"

  init() throws { folder = try TemporaryFolder() }

  private func document(host: String? = nil, _ spec: String) -> String {
    "apiVersion: berth/v1alpha1\nkind: HostAssignments\n" + (host.map { "metadata: {name: \($0)}\n" } ?? "")
      + "spec: \(spec)\n---\n"
  }

  private func load(_ text: String, host: String = "host17") throws(ManifestFailure) -> LoadedManifests {
    do { try folder.add("a.yaml", text) } catch { Issue.record(error) }
    return try loadManifests(paths: [folder.path + "/a.yaml"], hostName: host)
  }

  /// Returns why nothing is for the host; nil if something is.
  private func absence(_ text: String, host: String = "host17") -> String? {
    do throws(ManifestFailure) {
      _ = try load(text, host: host)
      return nil
    } catch {
      guard case .notFound(let messages) = error else {
        Issue.record("\(error)")
        return nil
      }
      return messages.joined(separator: "; ")
    }
  }

  /// Returns the errors; nil if there are none.
  private func errors(_ text: String, host: String = "host17") -> String? {
    do throws(ManifestFailure) {
      _ = try load(text, host: host)
      return nil
    } catch {
      guard case .invalid(let diagnostics) = error else {
        Issue.record("\(error)")
        return nil
      }
      return diagnostics.map(\.description).joined(separator: "\n")
    }
  }

  // MARK: Documents for other hosts

  @Test(arguments: ["{policy: {prune: owned}}", "{devices: {}}", "{}", "{domains: {}}"])
  func `documents for other hosts only are none for this one, whatever documents for all hosts say`(_ shared: String) {
    let other = document(host: "host18", "{domains: {web: {devices: [\(device)]}}}")
    #expect(absence(document(shared) + other)?.contains("those that name a host are for 'host18'") == true)
    #expect(absence(other + document(shared)) != nil)
    #expect(absence(document(shared) + other + document(host: "host17", "{domains: {}}")) == nil)
  }

  @Test func `a domain for every host is for this host too`() throws {
    let shared = document("{domains: {web: {devices: [\(device)]}}}")
    let loaded = try load(shared + document(host: "host18", "{domains: {}}"))
    #expect(loaded.desired.domains.map(\.name) == ["web"])
    // Unless the name is this host's, in another spelling.
    let text = shared + document(host: "HOST17.example.com", "{domains: {}}")
    #expect(absence(text)?.hasSuffix("did you mean 'host17' at \(folder.path)/a.yaml:7:18?") == true)
  }

  @Test(arguments: [
    ("host17.example.com", "host17"), ("host17", "host17.example.com"), ("HOST17", "host17"), ("host17.", "host17"),
    ("Host17.Example.Com", "host17"), ("hots17", "host17"), ("host-17", "host17"), ("host7", "host17"),
    ("gateway", "gatewav"),
  ])
  func `a name that is almost this host's is asked about`(_ written: String, _ host: String) {
    let text = absence(document(host: written, "{domains: {}}"), host: host)
    #expect(text?.contains("did you mean '\(host)' at ") == true, "\(text ?? "nothing")")
  }

  @Test(arguments: [["host18", "host19"], ["database"], ["host17.example.com.invalid", "x"]])
  func `a name of another host is not this host's`(_ written: [String]) {
    let host = written[0].hasPrefix("host17") ? "host17.example.org" : "host17"
    let text = absence(written.map { document(host: $0, "{domains: {}}") }.joined(), host: host)
    #expect(text?.contains("did you mean") == false, "\(text ?? "nothing")")
  }

  @Test func `a document that is skipped for its spelling is warned of`() throws {
    let loaded = try load(
      document(host: "host17", "{domains: {web: {devices: []}}}")
        + document(host: "host17.example.com", "{domains: {db: {devices: []}}}")
        + document(host: "host18", "{domains: {db: {devices: []}}}"))
    #expect(loaded.warnings.map(\.hint) == ["did you mean 'host17'?"])
    #expect(loaded.skipped.count == 2)
    // Without a host, the two names are compared.
    let valid = try validateManifests(paths: [folder.path + "/a.yaml"])
    #expect(valid.warnings.map(\.message) == ["hosts 'host17' and 'host17.example.com' are perhaps one"])
  }

  // MARK: Nobody says what is declared

  @Test(arguments: ["{}", "{policy: {prune: owned}}", "{devices: {}}"])
  func `a spec without domains is refused`(_ spec: String) {
    #expect(errors(document(spec))?.contains("'spec' needs the key 'domains'") == true)
    #expect(errors(document(host: "host17", spec))?.contains("'spec' needs the key 'domains'") == true)
    let both = document(spec) + document(host: "host17", "{policy: {prune: owned}}")
    #expect(errors(both)?.contains("no document for host 'host17' has the key 'domains'") == true)
    #expect(errors(document(spec) + document("{domains: {}}")) == nil)
  }

  @Test func `only a document that names the host declares that the host has nothing`() throws {
    func completeness(_ text: String) throws -> Completeness { try load(text).desired.completeness }
    #expect(try completeness(document("{domains: {}}")) == .assumed)
    #expect(try completeness(document(host: "host17", "{domains: {}}")) == .stated)
    #expect(try completeness(document("{policy: {}}") + document(host: "host17", "{domains: {}}")) == .stated)
    // If something is declared, what is left out may be a slip.
    let shared = document("{domains: {web: {devices: []}}}")
    #expect(try completeness(shared + document(host: "host17", "{domains: {}}")) == .assumed)
    #expect(try completeness(document(host: "host17", "{domains: {web: {devices: []}}}")) == .assumed)
    // And more so if the host is not named and others are.
    #expect(try completeness(shared + document(host: "host18", "{domains: {}}")) == .doubtful)
  }

  // MARK: Entries that are not read

  @Test func `entries that look like manifests and are not read are named`() throws {
    try folder.add("a.yaml", document("{domains: {web: {devices: []}}}"))
    for name in ["b.YAML", "c.Yml", "d.json", "e.txt", ".f.yaml", ".g.json", "h.yaml~", "i.yaml.bak"] {
      try folder.add(name, "x")
    }
    for name in ["j.yaml", "k", ".l"] { #expect(unsafe mkdir(folder.path + "/" + name, 0o755) == 0) }
    #expect(unsafe symlink("k", folder.path + "/m") == 0)
    let loaded = try loadManifests(paths: [folder.path], hostName: "host17")
    #expect(
      loaded.warnings.map(\.message) == [
        "these entries of the directory \(folder.path) are not read: 'b.YAML', 'c.Yml', 'd.json', 'j.yaml/', 'k/', 'm/'"
      ])
    #expect(loaded.warnings.first?.hint?.contains("*.yaml and *.yml") == true)
    #expect(try validateManifests(paths: [folder.path]).warnings.count == 1)
    #expect(try loadManifests(paths: [folder.path + "/a.yaml"], hostName: "host17").warnings == [])
  }

  @Test func `a directory of which nothing is read says what is not read`() throws {
    try folder.add("a.YAML", document("{domains: {}}"))
    guard case .notFound(let messages)? = failure(of: [folder.path]) else { Issue.record("found"); return }
    let message = messages.joined(separator: "; ")
    #expect(message.contains("no *.yaml or *.yml") && message.contains("'a.YAML' is not read"), "\(message)")
  }

  @Test func `a link to nothing is called that`() throws {
    #expect(unsafe symlink("nowhere", folder.path + "/a.yaml") == 0)
    for path in [folder.path + "/a.yaml", folder.path] {
      guard case .notFound(let messages)? = failure(of: [path]) else { Issue.record("found"); continue }
      #expect(messages.first == "\(folder.path)/a.yaml is a link to a file that is not there")
    }
  }

  @Test func `300 errors are a hundred, and how many more there may be`() throws {
    let text = (1...300).map { "d\($0): {devcies: []}" }.joined(separator: ", ")
    try folder.add("a.yaml", document("{domains: {\(text)}}"))
    guard case .invalid(let diagnostics)? = failure(of: [folder.path]) else { Issue.record("valid"); return }
    #expect(diagnostics.count == 101)
    #expect((300...600).contains(diagnostics.reduce(0) { $0 + $1.count }), "\(diagnostics.suffix(2))")
  }

  @Test func `UTF-32 is called UTF-32`() throws {
    for bytes: [UInt8] in [[0xFF, 0xFE, 0, 0, 0x61, 0, 0, 0], [0, 0, 0xFE, 0xFF, 0, 0, 0, 0x61]] {
      let report = Diagnostics()
      #expect(!isYAMLText(SourceText(name: "t", bytes: bytes), report))
      #expect(report.sorted.map(\.message) == ["the text is UTF-32"])
    }
  }
}
