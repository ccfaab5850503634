import Model
import Planning
import Ports
import Rendering
import Testing

@Suite struct WordingTests {
  @Test func `the documents explain every exit status`() throws {
    let text = try repositoryFile("docs/exit-codes.md")
    for status in Planning.ExitStatus.allCases {
      #expect(text.contains("\n| \(status.rawValue) | "), "docs/exit-codes.md lacks \(status)")
    }
  }

  @Test func `control characters never reach a terminal`() {
    func shown(_ text: String, _ style: TextStyle = TextStyle()) -> String { style.printable(text).description }
    #expect(
      shown("a\u{1B}[2Jb\u{9B}c\u{202E}d\u{7F}\u{0}") == "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{7f}\\u{0}")
    #expect(shown("a\u{61C}b\n") == "a\\u{61c}b\\n")
    #expect(shown("naïve · name") == "naïve · name")
    #expect(shown("naïve · a → b…", TextStyle(isASCII: true)) == "na\\u{ef}ve | a -> b.")
  }

  @Test func `without colour no escape is written`() throws {
    let view = PlanView(plan: try Samples.everything())
    #expect(!(try rendered(view, as: .table, style: TextStyle())).unicodeScalars.contains("\u{1B}"))
    #expect(try rendered(view, as: .table, style: TextStyle(usesColor: true)).unicodeScalars.contains("\u{1B}"))
  }

  @Test func `ASCII text has nothing else in it`() throws {
    let style = TextStyle(isVerbose: true)
    var plain = style
    plain.isASCII = true
    let view = PlanView(plan: try Samples.everything(), naming: Samples.naming)
    #expect(try rendered(view, as: .table, style: plain).utf8.allSatisfy { $0 < 0x80 })
    #expect(!(try rendered(view, as: .table, style: style)).utf8.allSatisfy { $0 < 0x80 })
  }

  @Test func `lines have no blanks at their ends`() throws {
    let texts = [
      try rendered(PlanView(plan: try Samples.everything()), as: .table, style: TextStyle(isVerbose: true)),
      try rendered(
        ApplyView(
          plan: try Samples.everything(), outcome: try Samples.results(), status: .done, place: Samples.place),
        as: .table, style: TextStyle()),
    ]
    for line in texts.joined().split(separator: "\n") { #expect(!line.hasSuffix(" "), "\(line)") }
  }

  @Test(arguments: [
    (StoreCode.lost, "unknown", "1 domain unknown, 1 host repair unknown. The next apply continues what is unknown."),
    (.timedOut, "unknown", "1 domain unknown, 1 host repair unknown. The next apply continues what is unknown."),
    (.refused, "failed", "1 domain failed, 1 host repair failed."),
  ])
  func `without an answer of the store nothing is called failed`(
    _ code: StoreCode, _ word: String, _ summary: String
  ) throws {
    let failure = OutcomeDetail(.store(StoreError(code, operation: "commit", errno: 32)))
    var outcome = try Samples.results()
    outcome.domains = [DomainOutcome(name: "net", id: DomainID(5), failure: failure)]
    outcome.hostRepairs = []
    (outcome.drivers, outcome.unshownDrivers) = ([], [])
    outcome.hostFailures = [failure]
    let view = ApplyView(plan: try Samples.inSync(), outcome: outcome, status: .unknown, place: Samples.place)
    let text = try rendered(view, as: .table, style: TextStyle())
    #expect(text.split(separator: "\n").count { $0.contains(" \(word)  ") } == 2, "\(text)")
    #expect(text.contains("Applied: nothing; \(summary)"), "\(text)")
  }

  @Test func `the same values give the same bytes`() throws {
    func document() throws -> String {
      try rendered(PlanView(plan: try Samples.everything()), as: .json, style: TextStyle())
    }
    #expect(try document() == document())
    #expect(try document().hasSuffix("}\n"))
  }
}
