import Model
import Planning
import Testing

struct `Pull verdicts` {
  private let source: PullSource
  private let record: AcceptedCommit

  init() throws {
    let url = try #require(RepositoryURL(text: "https://git.example.org/fleet"))
    let branch = try #require(BranchName(text: "main"))
    source = PullSource(url: url, branch: branch, folder: .top)
    let commit = try #require(CommitID(text: String(repeating: "1", count: 40)))
    record = AcceptedCommit(url: url, branch: branch, commit: commit)
  }

  @Test func `what continues the accepted commit may be applied, and nothing else`() {
    func verdict(_ ancestry: Ancestry, _ isNew: Bool = false) -> PullVerdict {
      PullVerdict(accepted: record, ancestry: ancestry, acceptsNewHistory: isNew)
    }
    #expect(verdict(.same) == .unchanged && verdict(.same, true) == .unchanged)
    #expect(verdict(.descendant) == .newer(than: record.commit))
    #expect(verdict(.descendant, true) == .newer(than: record.commit))
    #expect(verdict(.other) == .rewritten(record))
    #expect(verdict(.other, true) == .newHistory(insteadOf: record))
    for ancestry in [Ancestry.same, .descendant, .other] {
      #expect(PullVerdict(accepted: nil, ancestry: ancestry, acceptsNewHistory: false) == .first)
    }
  }

  @Test func `a record of another repository or branch counts for no other`() throws {
    var other = source
    other.branch = try #require(BranchName(text: "next"))
    var elsewhere = source
    elsewhere.url = try #require(RepositoryURL(text: "https://git.example.org/other"))
    var below = source
    below.folder = try #require(RepositoryFolder(text: "hosts"))
    func verdict(_ source: PullSource, _ accepted: AcceptedCommit?, _ isNew: Bool = false) -> PullVerdict? {
      .ofSource(source, accepted: accepted, acceptsNewHistory: isNew)
    }
    #expect(verdict(source, record) == nil && verdict(below, record) == nil && verdict(other, nil) == nil)
    for source in [other, elsewhere] {
      #expect(verdict(source, record) == .otherSource(record))
      #expect(verdict(source, record, true) == .newHistory(insteadOf: record))
    }
  }
}
