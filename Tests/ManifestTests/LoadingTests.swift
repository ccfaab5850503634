import Glibc
import Model
import TestSupport
import Testing

@testable import Manifest

@Suite struct LoadingTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func document(host: String? = nil, _ spec: String) -> String {
    "apiVersion: berth/v1alpha1\nkind: HostAssignments\n" + (host.map { "metadata: {name: \($0)}\n" } ?? "")
      + "spec:\n  \(spec)\n"
  }

  /// Returns the result of a load as one word, with the text that belongs to it.
  private func outcome(of paths: [String], host: String = "host17") -> (kind: String, text: String) {
    do throws(ManifestFailure) {
      let loaded = try loadManifests(paths: paths, hostName: host)
      return ("loaded", outline(loaded.desired))
    } catch {
      switch error {
      case .notFound(let messages): return ("not found", messages.joined(separator: "\n"))
      case .invalid(let diagnostics): return ("invalid", diagnostics.map(\.description).joined(separator: "\n"))
      }
    }
  }

  @Test(arguments: ["host.yaml", "host-changed.yaml", "full.yaml", "kinds.yaml"])
  func `an example is valid and causes no warning`(name: String) throws {
    let loaded = try loadManifests(paths: [repositoryRoot + "/examples/" + name], hostName: "host17")
    #expect(loaded.warnings.isEmpty)
    #expect(loaded.skipped.isEmpty)
    #expect(loaded.desired.domains.count >= 2)
  }

  @Test func `the full example sets every option to what is not its default`() throws {
    let loaded = try loadManifests(paths: [repositoryRoot + "/examples/full.yaml"], hostName: "host17")
    let options = loaded.desired.domains.flatMap(\.devices).map(\.options)
    #expect(Set(options.flatMap { $0.unusual.map(\.name) }) == Set(DeviceOptions().list.map(\.name)))
  }

  @Test func `the full example has every key that says what a device is`() throws {
    let loaded = try loadManifests(paths: [repositoryRoot + "/examples/full.yaml"], hostName: "host17")
    let selectors = loaded.desired.domains.flatMap(\.selections).map(\.selector)
    #expect(Set(selectors.flatMap(\.keys)).union([.id]) == Set(DeviceSelector.Key.allCases))
    #expect(selectors.contains(where: \.takesAllFunctions) && selectors.contains(where: \.follows))
  }

  @Test func `a directory's manifests are read in order of name, without subdirectories and other files`() throws {
    try folder.add("b.yml", document("domains: {web: {devices: [lan0]}}"))
    try folder.add("a.yaml", document("devices: {lan0: {address: 0000:03:00.0, id: 8086:1533}}"))
    try folder.add("c.yaml~", "not: read")
    try folder.add(".c.yaml", "not: read")
    try folder.add("c.json", "not: read")
    #expect(unsafe mkdir(folder.path + "/d.yaml", 0o755) == 0)
    let loaded = try loadManifests(paths: [folder.path], hostName: "host17")
    #expect(loaded.files == [folder.path + "/a.yaml", folder.path + "/b.yml"])
    #expect(outline(loaded.desired) == "  prune owned\n  domain web\n    0000:03:00.0 [8086:1533] (lan0)\n")
  }

  @Test func `a file named twice is read once`() throws {
    let file = try folder.add("a.yaml", document("domains: {web: {devices: []}}"))
    #expect(outcome(of: [file, folder.path, file]).kind == "loaded")
  }

  @Test func `a device in two files is an error that shows both places`() throws {
    let first = try folder.add("a.yaml", document("domains: {web: {devices: [{address: 03:00.0, id: 8086:1533}]}}"))
    let second = try folder.add("b.yaml", document("domains: {db: {devices: [{device: 0000:03:00.0, id: 8086:1533}]}}"))
    #expect(
      outcome(of: [first, second]).text == """
        \(second):4:37: error: device 0000:03:00.0 is assigned to both 'web' and 'db'
            4 |   domains: {db: {devices: [{device: 0000:03:00.0, id: 8086:1533}]}}
              |                                     ^ first assigned at \(first):4:39
        """)
  }

  @Test func `documents for other hosts are checked and skipped`() throws {
    let text =
      document(host: "host17", "domains: {web: {devices: [{address: 03:00.0, id: 8086:1533}]}}") + "---\n"
      + document(host: "host18", "domains: {db: {devices: [{address: 03:00.0, id: 8086:1533}]}}")
    let file = try folder.add("a.yaml", text)
    let loaded = try loadManifests(paths: [file], hostName: "host17")
    #expect(outline(loaded.desired) == "  prune owned\n  domain web\n    0000:03:00.0 [8086:1533]\n")
    #expect(loaded.skipped.map(\.message) == ["skipped: this document is for host 'host18'"])
    #expect(loaded.skipped.first?.mark?.line == 9)

    let faulty = try folder.add("b.yaml", document(host: "host18", "banana: {}"))
    #expect(outcome(of: [file, faulty]).kind == "invalid")
  }

  @Test func `if every document is for another host, nothing counts as declared`() throws {
    let file = try folder.add("a.yaml", document(host: "host18", "domains: {}"))
    let (kind, text) = outcome(of: [file])
    #expect(kind == "not found")
    #expect(text.contains("'host17'") && text.contains("'host18'") && text.contains(file))
    #expect(try validateManifests(paths: [file]).hosts.map(\.host) == ["host18"])
  }

  @Test func `validation finds contradictions on any host`() throws {
    let text =
      document("domains: {web: {devices: [{address: 03:00.0, id: 8086:1533}]}}") + "---\n"
      + document(host: "host18", "domains: {db: {devices: [{address: 03:00.0, id: 8086:1533}]}}")
    let file = try folder.add("a.yaml", text)
    #expect(outcome(of: [file], host: "host17").kind == "loaded")
    #expect(outcome(of: [file], host: "host18").kind == "invalid")
    guard case .invalid(let diagnostics)? = failure(of: [file]) else { Issue.record("valid"); return }
    #expect(diagnostics.count == 1)
  }

  @Test func `every missing path is named`() throws {
    let empty = try folder.add("empty.yaml", "")
    let comments = try folder.add("comments.yaml", "# nothing\n---\n")
    let nowhere = folder.path + "/nowhere.yaml"
    let (kind, text) = outcome(of: [nowhere, empty, comments])
    #expect(kind == "not found")
    #expect(
      text == """
        there is no \(nowhere)
        \(empty) has no document; to declare no devices, write domains: {}
        \(comments) has no document; to declare no devices, write domains: {}
        """)
    #expect(outcome(of: []).kind == "not found")
  }

  @Test func `a directory without manifests is refused, and the error names the expected files`() throws {
    try folder.add("readme.txt", "x")
    let (kind, text) = outcome(of: [folder.path])
    #expect(kind == "not found")
    #expect(text == "the directory \(folder.path) has no manifest: there is no *.yaml or *.yml")
  }

  @Test func `an empty file among others is refused`() throws {
    try folder.add("a.yaml", document("domains: {}"))
    try folder.add("b.yaml", "")
    #expect(outcome(of: [folder.path]).kind == "not found")
  }

  @Test func `an unreadable file is reported with the cause`() throws {
    let file = try folder.add("a.yaml", document("domains: {}"))
    #expect(unsafe chmod(file, 0) == 0)
    // Root may read every file.
    let expected = geteuid() == 0 ? "loaded" : "not found"
    #expect(outcome(of: [file]).kind == expected)
    #expect(outcome(of: [file + "/x"]).text == "cannot read \(file)/x: not a directory (ENOTDIR)")
  }

  @Test func `a pipe among a directory's manifests is refused without a wait`() throws {
    #expect(unsafe mkfifo(folder.path + "/a.yaml", 0o600) == 0)
    let (kind, text) = outcome(of: [folder.path])
    #expect(kind == "not found")
    #expect(text == "\(folder.path)/a.yaml is neither a file nor a directory")
  }

  @Test func `ten megabytes are refused by their size alone`() throws {
    let file = try folder.add("a.yaml", "")
    #expect(unsafe truncate(file, 10_000_000) == 0)
    let (kind, text) = outcome(of: [file])
    #expect(kind == "invalid")
    #expect(text == "\(file): error: the text is larger than 1048576 bytes\n      = hint: split it into several files")
  }

  @Test func `hosts and domains whose names look alike are different`() throws {
    let file = try folder.add(
      "a.yaml",
      document(host: "hé", "domains: {é: {devices: []}, \"e\u{301}\": {devices: []}}") + "---\n"
        + document(host: "\"he\u{301}\"", "domains: {web: {devices: []}}"))
    let loaded = try loadManifests(paths: [file], hostName: "hé")
    #expect(loaded.desired.domains.map(\.name) == ["e\u{301}", "é"])
    #expect(loaded.skipped.count == 1)
    #expect(loaded.warnings.map(\.hint) == ["did you mean 'hé'?"])
    #expect(try loadManifests(paths: [file], hostName: "he\u{301}").desired.domains.map(\.name) == ["web"])
    #expect(outcome(of: [file], host: "he").kind == "not found")
  }

  @Test func `a large manifest within the limits is read completely`() throws {
    var spec = "domains:\n"
    for domain in 0..<250 {
      spec += "    d\(domain): {devices: ["
      spec += (0..<32).map { "{address: \"\(PCIAddress(sbdf: UInt32(domain * 256 + $0 * 8)))\", id: \"8086:1533\"}" }
        .joined(separator: ", ")
      spec += "]}\n"
    }
    let file = try folder.add("a.yaml", document(spec))
    let loaded = try loadManifests(paths: [file], hostName: "host17")
    #expect(loaded.desired.domains.count == 250)
    #expect(loaded.desired.domains.allSatisfy { $0.devices.count == 32 })
  }
}
