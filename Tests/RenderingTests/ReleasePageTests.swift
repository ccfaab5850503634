import Testing
import XenProtocol

/// The page of differences between releases.
struct ReleasePageTests {
  @Test func `the page has the table's rows`() throws {
    let sections = ReleaseDifference.Program.allCases.map { program in
      let rows = ReleaseDifference.all.filter { $0.program == program }.map { row in
        "| \(row.since) | \(row.earlier) | \(row.later) | \(row.effect) | \(row.source) |\n"
      }
      return
        "## \(program.rawValue)\n\n| since | before | since then | what it means | source |\n|---|---|---|---|---|\n"
        + rows.joined()
    }
    try expectRecorded(sections.joined(separator: "\n"), "releases", in: "docs/releases.md")
  }

  @Test func `the page names the newest release that is known, and the table is in order`() throws {
    let page = try repositoryFile("docs/releases.md").split(separator: "<!--")[0]
    #expect(page.contains("\(XenRelease.newestKnown)"))
    let known = ReleaseDifference.all.filter { $0.program == .xen }.compactMap { XenRelease($0.since) }
    #expect(known.count == ReleaseDifference.all.count { $0.program == .xen })
    #expect(known == known.sorted() && known.allSatisfy { $0 <= .newestKnown })
  }
}
