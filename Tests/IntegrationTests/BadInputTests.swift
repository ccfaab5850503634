import Model
import TestSupport
import Testing

/// The reaction to bad input: the README's exit code, a location, and no change.
struct `Bad input` {
  /// A manifest's text, and what the messages must contain.
  static let manifests: [(name: String, text: String, words: [String])] = [
    ("syntax", "kind: HostAssignments\nspec: [1, 2\n", ["m.yaml:3:1:", "was expected here"]),
    ("no manifest", "spec: [1, 2\n", ["m.yaml:1:1:", "this is not a manifest"]),
    ("unknown key", manifest("domains: {net: {devises: []}}"), ["devises", "devices"]),
    ("duplicate key", manifest("domains: {net: {devices: []}, net: {devices: []}}"), ["net", "m.yaml:3:"]),
    ("wrong type", manifest("domains: [1]"), ["m.yaml:3:"]),
    (
      "two domains for one device", manifest("domains: {a: {devices: [\"03:00.0\"]}, b: {devices: [\"03:00.0\"]}}"),
      ["0000:03:00.0", "'a'", "'b'"]
    ),
    ("bad address", manifest("domains: {a: {devices: [\"03:00.9\"]}}"), ["03:00.9", "m.yaml:3:"]),
    ("an address that became a number", manifest("domains: {a: {devices: [14.0]}}"), ["14.0"]),
    ("all errors at once", manifest("domains: {a: {devices: [\"x\"]}, b: 1}, polizy: {}"), ["polizy", "'x'", "'b'"]),
    ("no UTF-8", "spec: \u{0}\n", ["m.yaml:1:"]),
  ]

  private static func manifest(_ spec: String) -> String {
    "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {\(spec)}\n"
  }

  @Test(arguments: manifests)
  func `an invalid manifest is reported with its locations`(_ row: (name: String, text: String, words: [String]))
    async throws
  {
    let folder = try TemporaryFolder()
    try folder.write("m.yaml", row.text)
    let result = try await Command.berth(["validate", "\(folder.path)/m.yaml"]).run()
    let said = result.errors + result.output
    #expect(result.status == 65, "\(row.name): \(said)")
    for word in row.words { #expect(said.contains(word), "\(row.name): \(word) is not in\n\(said)") }
  }

  @Test func `every error of an invalid scenario has its own lines`() async throws {
    let folder = try TemporaryFolder()
    try folder.write(
      "s.yaml", "apiVersion: berth/v1alpha1\nkind: SandboxScenario\nspec:\n  domains: [{nam: a}]\n  hosd: {}\n")
    let start = try await Command.berth(
      ["sandbox", "start", "\(folder.path)/s.yaml", "--sandbox", "\(folder.path)/host"]
    ).run()
    #expect(start.status == 65, "\(start.errors)")
    let lines = start.errors.split(separator: "\n")
    for place in ["s.yaml:4:", "s.yaml:5:"] {
      #expect(lines.contains { $0.hasPrefix("\(folder.path)/\(place)") }, "\(place) in\n\(start.errors)")
    }
    #expect(lines.last == "berth: error: the scenario is invalid; nothing was started")
  }

  @Test func `a text for QEMU is one request, whatever lines it has`() async throws {
    let scenario = TestScenario.host(["{name: desk, domid: 9, kind: hvm}"])
    try await TestHost.with(scenario) { host in
      try await host.change("device-model", "desk", "refuses", "--text", "no room\r\nshutdown")
      // The sandbox still runs, and answers the next request.
      try await host.change("device-model", "desk", "normal")
    }
  }

  @Test func `an invalid manifest changes nothing`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      try host.folder.write(
        "m.yaml", Self.manifest("domains: {net: {devices: [\"\(Sample.address(0))\", nonsense]}}"))
      let apply = try await host.berth("apply", "\(host.folder.path)/m.yaml", "--yes")
      #expect(apply.status == 65, "\(apply.errors)")
      #expect(try await host.status().domain("net").assigned.isEmpty)
    }
  }

  @Test func `manifests that are missing or empty, and directories without manifests`() async throws {
    let folder = try TemporaryFolder()
    try folder.write("empty.yaml", "")
    try folder.makeFolder("directory")
    for path in ["missing.yaml", "empty.yaml", "directory"] {
      let result = try await Command.berth(["validate", "\(folder.path)/\(path)"]).run()
      #expect(result.status == 66, "\(path): \(result.errors)")
      #expect(result.errors.contains(path))
    }
  }

  static let bombs: [(name: String, text: @Sendable () -> String)] = [
    (
      "ten megabytes",
      { "spec:\n" + String(repeating: "  - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", count: 200_000) }
    ),
    (
      "a thousand levels",
      {
        "kind: HostAssignments\nspec: " + String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000)
          + "\n"
      }
    ),
    (
      "an alias bomb",
      {
        "kind: HostAssignments\na0: &a0 [x, x, x, x, x, x, x, x, x]\n"
          + (1..<20).map { "a\($0): &a\($0) [\(Array(repeating: "*a\($0 - 1)", count: 9).joined(separator: ", "))]\n" }
          .joined()
      }
    ),
    ("unknown keys", { "kind: HostAssignments\n" + (0..<95_000).map { "k\($0): 1\n" }.joined() }),
    (
      "directives",
      { (0..<35_000).map { "%TAG !a\($0)! tag:x,2000:\n" }.joined() + "---\nkind: HostAssignments\n" }
    ),
    (
      "a long text, repeated",
      {
        "kind: HostAssignments\na: &a \"\(String(repeating: "x", count: 500_000))\"\nspec: ["
          + String(repeating: "*a,", count: 100_000) + "]\n"
      }
    ),
    (
      "templates on one line",
      {
        "kind: HostAssignments\nspec: {domains: {a: {devices: ["
          + String(repeating: "{{é: b}: c},", count: 60_000) + "]}}}\n"
      }
    ),
  ]

  @Test(arguments: bombs)
  func `input made to exhaust a reader is refused early and cheaply`(
    _ bomb: (name: String, text: @Sendable () -> String)
  ) async throws {
    let folder = try TemporaryFolder()
    try folder.write("bomb.yaml", bomb.text())
    // The limit of address space limits memory: a reader that tries to expand the bomb does not end with 65.
    let result = try await Command(
      "/bin/sh",
      ["-c", "ulimit -v 2000000; exec \"$0\" validate \"$1\"", try builtFile("berth"), "\(folder.path)/bomb.yaml"]
    ).run(within: .seconds(120))
    #expect(result.status == 65, "\(bomb.name): \(result.errors.prefix(2000))")
  }

  @Test func `a missing xenstored is reported, with what was tried`() async throws {
    let folder = try TemporaryFolder()
    try folder.write("m.yaml", Self.manifest("domains: {a: {devices: [\"03:00.0\"]}}"))
    let none = try await Command.berth(["plan", "\(folder.path)/m.yaml", "--sandbox", "\(folder.path)/none"]).run()
    #expect(none.status == 69, "\(none.errors)")
    #expect(none.errors.contains("\(folder.path)/none"))
  }

  @Test func `invalid arguments are usage errors`() async throws {
    for words in [["plan"], ["frobnicate"], ["apply", "--yes", "--lock-timeout", "soon", "x.yaml"]] {
      let result = try await Command.berth(words).run()
      #expect(result.status == 64, "\(words): \(result.errors)")
      #expect(result.output == "", "messages go to standard error")
    }
  }

  @Test func `a damaged back end is named and left unchanged`() async throws {
    let path = "/local/domain/0/backend/pci/5/0"
    let scenario = TestScenario.host(
      [
        "{name: net, domid: 5, devices: [\"\(Sample.address(0))\", \"\(Sample.address(1))\"]}",
        "{name: good, domid: 6}",
      ],
      faults: "{store: {\(path)/dev-0: null, \(path)/num_devs: \"9999\"}}")
    try await TestHost.with(scenario) { host in
      let before = try await host.nodes(below: path)
      let manifest = try host.manifest(["net": [Sample.address(2)], "good": [Sample.address(3)]])
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect([1, 3, 6].contains(apply.status), "\(apply.status) \(apply.output)\(apply.errors)")
      #expect((apply.output + apply.errors).contains("net"))
      #expect(try await host.nodes(below: path) == before)
      #expect(try await host.disagreements(of: "good", expecting: [Sample.address(3)]) == [])
      let status = try await host.berth("status")
      #expect(status.status == 0, "\(status.errors)")
    }
  }

  @Test func `a damaged saved configuration is named and left unchanged`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let domain = try await host.status().domain("net")
      let file = "host/root/var/lib/xen/userdata-d.\(domain.id).\(domain.uuid).libxl-json"
      try host.folder.write(file, "{\"c_info\": [}\0")
      let apply = try await host.berth("apply", try host.manifest(["net": [Sample.address(0)]]), "--yes")
      #expect([1, 3].contains(apply.status), "\(apply.status) \(apply.output)\(apply.errors)")
      #expect((apply.output + apply.errors).contains("libxl-json") || apply.output.contains("saved-configuration"))
      #expect(String(decoding: try host.folder.read(file), as: UTF8.self) == "{\"c_info\": [}\0")
      #expect(try await host.status().domain("net").assigned.isEmpty)
    }
  }
}
