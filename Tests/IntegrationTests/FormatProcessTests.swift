import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// `berth fmt` on files.
@Suite struct FormatProcessTests {
  private static let odd = "kind:  HostAssignments\napiVersion: berth/v1alpha1\nspec:\n    domains: { }\n"
  private static let good = "kind: HostAssignments\napiVersion: berth/v1alpha1\nspec:\n  domains: {}\n"

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func run(_ words: String..., input: String? = nil) async throws -> Command.Result {
    try await Command.berth(words, input: input).run()
  }

  private func text(_ name: String) throws -> String { String(decoding: try folder.read(name), as: UTF8.self) }

  private func status(_ name: String) throws -> stat {
    var status = stat()
    try #require(unsafe lstat("\(folder.path)/\(name)", &status) == 0)
    return status
  }

  @Test func `a file keeps its mode and its owner`() async throws {
    try folder.write("a.yaml", Self.odd)
    let path = "\(folder.path)/a.yaml"
    try #require(unsafe chmod(path, 0o640) == 0)
    // Only root gives files away.
    if geteuid() == 0 { try #require(unsafe chown(path, 65534, 65534) == 0) }
    let before = try status("a.yaml")
    let result = try await run("fmt", path)
    #expect(result.status == 0 && result.output == "formatted: \(path)\n1 manifest, 1 formatted\n", "\(result)")
    let after = try status("a.yaml")
    #expect(try text("a.yaml") == Self.good)
    #expect(after.st_mode == before.st_mode && after.st_uid == before.st_uid && after.st_gid == before.st_gid)
    #expect(after.st_ino != before.st_ino)
    // A file in the style is not written.
    #expect(try await run("fmt", path).status == 0)
    #expect(try status("a.yaml").st_ino == after.st_ino)
    #expect(try folder.names(in: "") == ["a.yaml"])
  }

  @Test func `a directory stands for its manifests, and one bad file keeps no other from being formatted`() async throws
  {
    try folder.write("m/a.yaml", "kind: HostAssignments\na: [\n")
    try folder.write("m/b.yml", Self.odd)
    try folder.write("m/host.lock.yaml", Self.odd)
    try folder.write("m/other.txt", Self.odd)
    let check = try await run("fmt", "--check", "\(folder.path)/m")
    #expect(check.status == 65 && check.output.contains("would change: \(folder.path)/m/b.yml\n"), "\(check)")
    let result = try await run("fmt", "\(folder.path)/m")
    #expect(result.status == 65 && result.errors.contains("a.yaml:3:1: error"), "\(result)")
    #expect(try text("m/b.yml") == Self.good)
    #expect(try text("m/a.yaml") == "kind: HostAssignments\na: [\n")
    #expect(try (text("m/host.lock.yaml"), text("m/other.txt")) == (Self.odd, Self.odd))
  }

  @Test(arguments: ["link", "names"])
  func `a link, and a file with two names, are left alone`(_ kind: String) async throws {
    try folder.write("real.yaml", Self.odd)
    let path = "\(folder.path)/x.yaml"
    if kind == "link" {
      try folder.link("x.yaml", to: "real.yaml")
    } else {
      try #require(unsafe link("\(folder.path)/real.yaml", path) == 0)
    }
    let before = try status("x.yaml")
    let ended = try await run("fmt", path)
    #expect(ended.status == 1 && ended.errors.contains("was left alone: it "), "\(ended)")
    #expect(try status("x.yaml").st_ino == before.st_ino)
    #expect(try text("real.yaml") == Self.odd)
    #expect(try folder.names(in: "") == ["real.yaml", "x.yaml"])
  }

  @Test func `standard input becomes standard output`() async throws {
    let result = try await run("fmt", "-", input: Self.odd)
    #expect(result.status == 0 && result.output == Self.good && result.errors.isEmpty, "\(result)")
    // No character is changed for a program.
    let hidden = Self.good + "# \u{202E}x\n# ::error::x\n"
    #expect(try await run("fmt", "-", input: hidden).output == hidden)
    // A terminal shows each character. script(1) gives the program one.
    try folder.write("hidden.yaml", hidden)
    let program = try Command.berth([]).program
    let shown = try await Command(
      "script", ["-qec", "LC_ALL=C.UTF-8 '\(program)' fmt - < '\(folder.path)/hidden.yaml'", "/dev/null"]
    ).run()
    #expect(shown.output.contains("# \\u{202e}x\r\n# ::error::x\r\n"), "\(shown)")
    #expect(try await run("fmt", "--check", "-", input: Self.good).status == 0)
    let check = try await run("fmt", "--check", "--diff", "-", input: Self.odd)
    #expect(check.status == 2 && check.output.hasPrefix("--- <stdin>\n+++ <stdin>\n@@ -1,4 +1,4 @@\n"), "\(check)")
    let wrong = try await run("fmt", "-", input: "kind: HostAssignments\na: [\n")
    #expect(wrong.status == 65 && wrong.output.isEmpty && wrong.errors.contains("<stdin>:3:1: error"), "\(wrong)")
  }
}
