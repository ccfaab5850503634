import FoundationEssentials
import Model
import Planning
import Rendering
import Testing

/// Names from xenstore and from files in everything that is shown.
@Suite struct OutsideNameTests {
  /// Names that steer a terminal, begin a line, hide, reorder, look alike, or are wide.
  static let names: [Name] = [
    "a\u{1B}]0;title\u{7}\u{1B}[8m", "b\n::error ::not from berth", "c\r\u{9B}2J", "d\u{202E}e", "f\u{200B}g",
    "cafe\u{301}", "日本語の名前のとても長いドメイン名は幅で切られる名前", "😀 guest", .missing, "::set-env::x",
  ]

  private func plan(_ names: [Name]) throws -> Plan {
    Plan(
      host: HostFacts(name: "host\u{1B}[31m"), domainCount: names.count, deviceCount: 1, policy: Policy(),
      domains: try names.map { name in
        DomainPlan(
          name: name, id: DomainID(4), kind: .pv, lifecycle: .running,
          steps: [
            try Samples.step("0000:03:00.0", .blocked(.domainUnknown), evidence: "'\(name)' is here")
          ])
      })
  }

  /// Whether each character is seen as it is, and no line begins as a CI system's command.
  private func isSafe(_ text: String) -> Bool {
    text.split(separator: "\n").allSatisfy { line in
      visible(line).utf8.elementsEqual(line.utf8)
    }
  }

  @Test(arguments: names)
  func `no name reaches the terminal as it is`(_ name: Name) throws {
    let plan = try plan([name])
    for style in [TextStyle(), TextStyle(isASCII: true), TextStyle(isVerbose: true)] {
      let text = try rendered(PlanView(plan: plan), as: .table, style: style)
      #expect(isSafe(text), "\(text)")
    }
    #expect(isSafe(Failure(.failed, "no \(name)", hint: "\(name)").text(TextStyle()).description))
  }

  @Test(arguments: names)
  func `a document has the whole name, and only visible characters`(_ name: Name) throws {
    let text = try rendered(PlanView(plan: try plan([name])), as: .json, style: TextStyle())
    #expect(text.unicodeScalars.allSatisfy { $0.isVisible || $0 == "\n" })
    struct Document: Decodable {
      struct Domain: Decodable { var name: String }
      var domains: [Domain]
    }
    let document = try JSONDecoder().decode(Document.self, from: Data(text.utf8))
    #expect(document.domains.map { Name($0.name) } == [name])
  }

  @Test func `headings are aligned by the columns that a terminal gives them, and cut there`() throws {
    let wide = String(repeating: "日", count: 30)
    let plan = try plan(["web", "日本", "x\u{1F600}", Name(wide)])
    let text = try rendered(PlanView(plan: plan), as: .table, style: TextStyle())
    let headings = text.split(separator: "\n").filter { $0.contains("domid 4") && !$0.hasPrefix(" ") }
    #expect(headings.count == 4)
    let places = headings.map { line in
      columns(of: line[..<(line.firstRange(of: "domid")?.lowerBound ?? line.endIndex)])
    }
    #expect(Set(places).count == 1, "\(headings.joined(separator: "\n"))")
    #expect(headings.contains { $0.contains(String(repeating: "日", count: 21) + "…") })
    #expect(headings.allSatisfy { !$0.contains(wide) })
  }

  @Test func `a domain without a name is shown by its number`() throws {
    let text = try rendered(PlanView(plan: try plan([.missing])), as: .table, style: TextStyle())
    #expect(text.contains("\ndomid 4 "), "\(text)")
  }

  @Test func `colours are Berth's own`() throws {
    let text = try rendered(PlanView(plan: try plan(["\u{1B}[8m"])), as: .table, style: TextStyle(usesColor: true))
    #expect(text.contains("\u{1B}[1m\\u{1b}[8m\u{1B}[0m") || text.contains("\u{1B}[1m\\u{1b}[8m"), "\(text)")
    #expect(!text.contains("\u{1B}[8m"))
  }
}
