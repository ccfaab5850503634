import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// `berth graph --update` on pages.
@Suite struct GraphProcessTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func run(_ words: String...) async throws -> Command.Result {
    try await Command.berth(words).run()
  }

  private func text(_ name: String) throws -> String { String(decoding: try folder.read(name), as: UTF8.self) }

  private func status(_ name: String) throws -> stat {
    var status = stat()
    try #require(unsafe lstat("\(folder.path)/\(name)", &status) == 0)
    return status
  }

  @Test func `a page's diagram is written, compared, and refused without markers`() async throws {
    try folder.write(
      "a.yaml", "kind: HostAssignments\napiVersion: berth/v1alpha1\nspec: {domains: {net: {devices: [\"03:00.0\"]}}}\n")
    try folder.write("README.md", "# Top\n\n<!-- berth graph -->\n<!-- end: berth graph -->\n\nEnd")
    let (manifest, page) = ("\(folder.path)/a.yaml", "\(folder.path)/README.md")
    #expect(try await run("graph", manifest, "--update", page, "--check").status == 2)
    let result = try await run("graph", manifest, "--update", page)
    #expect(result.status == 0 && result.output.isEmpty && result.errors.hasSuffix("wrote \(page)\n"), "\(result)")
    let diagram = try await run("graph", manifest, "-o", "markdown").output
    #expect(try text("README.md") == "# Top\n\n<!-- berth graph -->\n\(diagram)<!-- end: berth graph -->\n\nEnd")
    let written = try status("README.md").st_ino
    #expect(try await run("graph", manifest, "--update", page).status == 0)
    #expect(try status("README.md").st_ino == written)
    #expect(try await run("graph", manifest, "--update", page, "--check").status == 0)
    try folder.write("README.md", "no part\n")
    let refused = try await run("graph", manifest, "--update", page)
    #expect(refused.status == 65 && refused.errors.contains("there is no line <!-- berth graph -->"), "\(refused)")
    #expect(try text("README.md") == "no part\n")
  }
}
