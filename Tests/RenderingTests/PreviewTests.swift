import Model
import Planning
import TestSupport
import Testing

@testable import Rendering

@Suite struct PreviewTests {
  /// The forms of a plan, and how their golden files end.
  static let forms: [(OutputFormat, String)] = [
    (.markdown, "markdown"), (.html, "html"), (.github, "github"), (.sarif, "sarif"), (.gitlab, "codequality"),
    (.gitlabSummary, "summary"), (.junit, "xml"),
  ]

  @Test(arguments: forms.indices)
  func `a plan with one of everything, in each form`(_ index: Int) throws {
    let (form, ending) = Self.forms[index]
    let text = try rendered(try PreviewSamples.everything(), as: form, style: TextStyle(usesColor: true, isASCII: true))
    try expectGolden(text, "previews/plan.\(ending)")
    let refused = try PreviewSamples.everything(refusal: .tooManyRemovals(planned: 5, allowed: 4))
    try expectGolden(try rendered(refused, as: form, style: TextStyle()), "previews/refused.\(ending)")
  }

  @Test(arguments: forms.indices.dropLast(2))
  func `a verdict on manifests, in each form`(_ index: Int) throws {
    let (form, ending) = Self.forms[index]
    try expectGolden(try rendered(PreviewSamples.invalid, as: form, style: TextStyle()), "previews/invalid.\(ending)")
    try expectGolden(try rendered(PreviewSamples.valid, as: form, style: TextStyle()), "previews/valid.\(ending)")
  }

  @Test func `an answer that has no such form is not written`() throws {
    for form in [OutputFormat.junit, .gitlabSummary] {
      #expect(throws: MissingForm.self) { try rendered(PreviewSamples.valid, as: form, style: TextStyle()) }
    }
    let explanations = ExplanationView(entries: Catalogue.all, detail: .line)
    for (form, _) in Self.forms.dropFirst() {
      #expect(throws: MissingForm.self) { try rendered(explanations, as: form, style: TextStyle()) }
    }
  }

  @Test(arguments: [true, false])
  func `a log of SARIF has what its readers require`(_ isPlan: Bool) throws {
    let text =
      isPlan
      ? try rendered(try PreviewSamples.everything(refusal: .notRunning(count: 1)), as: .sarif, style: TextStyle())
      : try rendered(PreviewSamples.invalid, as: .sarif, style: TextStyle())
    let log = try JSON(text: text)
    let run = try #require(log["runs"]?.elements.first)
    let driver = try #require(run["tool"]?["driver"])
    let rules = try #require(driver["rules"]?.elements)
    let results = try #require(run["results"]?.elements)
    #expect(log["version"] == .string("2.1.0") && driver["name"] == .string("berth") && !results.isEmpty)
    #expect(Set(rules.compactMap { $0["id"]?.string }).count == rules.count)
    for rule in rules {
      #expect(rule["shortDescription"]?["text"]?.string?.isEmpty == false, "\(rule)")
      #expect(rule["helpUri"]?.string?.hasPrefix("urn:berth:explain:") == true, "\(rule)")
    }
    for result in results {
      guard case .integer(let index)? = result["ruleIndex"] else { throw Samples.NotAValue(text: text) }
      #expect(rules[index]["id"] == result["ruleId"], "\(result)")
      #expect(["error", "warning", "note"].contains(result["level"]?.string), "\(result)")
      let place = try #require(result["locations"]?.elements.first?["physicalLocation"], "\(result)")
      #expect(place["artifactLocation"]?["uri"]?.string?.wholeMatch(of: /[\w.%-]+(\/[\w.%-]+)*/) != nil, "\(place)")
      guard case .integer(let line)? = place["region"]?["startLine"] else { throw Samples.NotAValue(text: text) }
      #expect(line >= 1, "\(place)")
      let print = result["partialFingerprints"]?["primaryLocationLineHash"]?.string
      #expect(print?.wholeMatch(of: /[0-9a-f]{16}:[0-9]+/) != nil, "\(result)")
    }
  }

  @Test func `a remark without a file has a place all the same`() throws {
    let view = ValidationView(
      files: [], hosts: [], remarks: [Remark(severity: .error, file: "", line: 0, column: 0, message: "no")])
    let log = try JSON(text: try rendered(view, as: .sarif, style: TextStyle()))
    let place = log["runs"]?.elements.first?["results"]?.elements.first?["locations"]?.elements.first
    #expect(place?["physicalLocation"]?["artifactLocation"]?["uri"] == .string("manifest"))
    let issues = try JSON(text: try rendered(view, as: .gitlab, style: TextStyle()))
    #expect(issues.elements.first?["location"]?["path"] == .string("manifest"))
  }

  @Test func `the marker of a comment has the fingerprint that an apply expects`() throws {
    let plan = try Samples.everything()
    let own = PlanConsent(to: plan, bootID: nil).fingerprint
    func firstLine(_ fingerprint: String?) throws -> Substring? {
      try rendered(PlanView(plan: plan, fingerprint: fingerprint), as: .markdown, style: TextStyle())
        .split(separator: "\n").first
    }
    #expect(try firstLine(nil) == "<!-- berth:plan host=host17 fingerprint=\(own) -->")
    #expect(try firstLine("sha256:0") == "<!-- berth:plan host=host17 fingerprint=sha256:0 -->")
  }

  @Test(arguments: [
    ("a.yaml", "a.yaml"), ("./a/../b/./c.yaml", "b/c.yaml"), ("../a.yaml", "../a.yaml"), ("/repo/x/a.yaml", "x/a.yaml"),
    ("/repo", "/repo"), ("/repos/a.yaml", "/repos/a.yaml"), ("/repo/../a.yaml", "/a.yaml"), ("<stdin>", "<stdin>"),
  ])
  func `a path is relative to the directory that has it`(_ path: String, _ expected: String) {
    #expect(ManifestPath(path, in: "/repo/").path == expected)
  }

  @Test func `an address of a file has no sign of its own`() {
    #expect(ManifestPath("a b/ü%#?.yaml", in: nil).uri == "a%20b/%C3%BC%25%23%3F.yaml")
    #expect(ManifestPath("/etc/berth/a.yaml", in: "relative").uri == "file:///etc/berth/a.yaml")
  }
}

/// How much of a large answer each form has.
@Suite struct PreviewLimitTests {
  private func plan(
    _ count: Int, _ kind: DeviceStep.Kind, evidence: String? = nil, also others: [DeviceStep] = []
  ) throws -> PlanView {
    let steps = try (0..<count).map { number in
      DeviceStep(
        domain: .name("web"),
        device: try #require(
          PCIAddress(
            segment: UInt16(number >> 8), bus: UInt8(number & 0xFF), device: 0, function: 0)), kind: kind,
        evidence: evidence)
    }
    return PlanView(
      plan: Plan(
        host: Samples.host, domainCount: 1, deviceCount: count, policy: Policy(),
        domains: [
          DomainPlan(name: "web", id: DomainID(1), kind: .pv, lifecycle: .running, steps: others + steps)
        ]))
  }

  private func page(_ view: PlanView) throws -> String { try rendered(view, as: .markdown, style: TextStyle()) }

  @Test func `a comment that is too long lacks unchanged devices first, and says so`() throws {
    let change = try Samples.step(
      "0001:00:00.0", .attach(DeviceOptions(), because: .declared), evidence: "seen by hand")
    let whole = try page(try plan(100, .unchanged, also: [change]))
    #expect(whole.contains("0000:63:00.0") && !whole.contains("Left out"))
    let cut = try page(try plan(3000, .unchanged, also: [change]))
    #expect(cut.utf16.count < 2000 && cut.contains("seen by hand"))
    #expect(cut.contains("**Left out**, because a comment has at most 60 000 characters: 3000 unchanged devices. "))
    #expect(!cut.contains("= 0000:63:00.0"))
  }

  @Test func `then it lacks the evidence, and then changes before what is blocked`() throws {
    let change = DeviceStep.Kind.change(
      .attach(DeviceOptions(), because: .declared), in: try Samples.target("web", "2"))
    let evidence = String(repeating: "it was seen. ", count: 20)
    let blocked = try Samples.step("0fff:00:00.0", .blocked(.isBridge))
    let withoutEvidence = try page(try plan(300, change, evidence: evidence, also: [blocked]))
    #expect(withoutEvidence.utf16.count <= 60_000 && !withoutEvidence.contains("it was seen"))
    #expect(
      withoutEvidence.contains("characters: 300 lines of evidence. ")
        && withoutEvidence.contains("+ 0001:2b:00.0: attach"))
    let short = try page(try plan(5000, change, evidence: evidence, also: [blocked]))
    #expect((58_000...60_000).contains(short.utf16.count), "\(short.utf16.count)")
    #expect(short.contains("characters: 5000 lines of evidence, ") && short.contains(" of 5001 lines of the changes. "))
    #expect(short.contains("* `0fff:00:00.0` for `web`: **is-bridge**"))
    #expect(short.split(separator: "\n").count { $0.hasPrefix("```") } == 2, "each block ends")
  }

  @Test func `a very long text is cut`() throws {
    let text = try page(try plan(200, .blocked(.isBridge), evidence: String(repeating: "`@x` ", count: 10_000)))
    #expect((50_000...60_000).contains(text.utf16.count), "\(text.utf16.count)")
    #expect(text.contains(" of 200 blocked devices. "))
  }

  @Test func `GitHub gets ten of a kind, the most severe first, and the number of the rest`() throws {
    func lines(_ errors: Int, _ notes: Int) throws -> [Substring] {
      let others = try plan(notes, .pending(.domainAbsent)).plan.domains[0].steps
      return try rendered(try plan(errors, .blocked(.isBridge), also: others), as: .github, style: TextStyle())
        .split(separator: "\n").dropFirst().map { $0 }
    }
    let few = try lines(10, 10)
    #expect(few.count { $0.hasPrefix("::error ") } == 10 && few.count { $0.hasPrefix("::notice ") } == 10)
    #expect(few.first?.hasPrefix("::error ") == true && !few.contains { $0.contains("Not shown") })
    let many = try lines(25, 12)
    #expect(many.count { $0.hasPrefix("::error ") } == 10 && many.count { $0.hasPrefix("::notice ") } == 10)
    #expect(
      many.last
        == "::notice title=berth::Not shown here: 15 more errors, 3 more notices. The answer without -o has all of them."
    )
    #expect(try lines(11, 0).last?.contains("Not shown here: 1 more error. ") == true)
  }

  @Test func `a log of SARIF has at most 25 000 results, and says how many are left out`() throws {
    #expect(SARIFLog.most == 25_000)
    let log = SARIFLog(try plan(8, .blocked(.isBridge)).annotations, directory: nil, release: "1", most: 5)
    let run = try #require(try JSON(text: try json(log).description)["runs"]?.elements.first)
    #expect(run["results"]?.elements.count == 5)
    let notices = run["invocations"]?.elements.first?["toolExecutionNotifications"]?.elements
    #expect(
      notices?.first?["message"]?["text"] == .string("3 of 8 results are left out, because GitHub takes 5."))
  }

  @Test func `fingerprints differ within an answer, and stay when lines move`() throws {
    func prints(_ line: Int) throws -> (sarif: [String], gitlab: [String]) {
      let view = PlanView(
        plan: try plan(3, .blocked(.isBridge)).plan,
        declarations: Declarations { _, _, _ in ManifestPlace(file: "a.yaml", line: line, column: 1) })
      let log = try JSON(text: try rendered(view, as: .sarif, style: TextStyle()))
      let issues = try JSON(text: try rendered(view, as: .gitlab, style: TextStyle()))
      return (
        log["runs"]?.elements.first?["results"]?.elements.compactMap {
          $0["partialFingerprints"]?["primaryLocationLineHash"]?.string
        } ?? [], issues.elements.compactMap { $0["fingerprint"]?.string }
      )
    }
    let first = try prints(3)
    #expect(Set(first.sarif).count == 3 && Set(first.gitlab).count == 3)
    #expect(try prints(40) == first)
    let twice = Remark(severity: .error, file: "a.yaml", line: 3, column: 1, message: "no")
    let view = ValidationView(files: [], hosts: [], remarks: [twice, twice])
    let issues = try JSON(text: try rendered(view, as: .gitlab, style: TextStyle()))
    #expect(Set(issues.elements.compactMap { $0["fingerprint"]?.string }).count == 2)
  }

  @Test func `a report of tests is no longer than GitLab reads, and says what is left out`() throws {
    let waiting = try plan(
      20, .unchanged, also: [try Samples.step("0000:ff:00.0", .blocked(.isBridge))]
    ).plan
    let report = JUnitReport(waiting)
    let whole = JUnitReport.text(of: [report, report]).description
    #expect(whole.components(of: "<testcase ").count == 43 && !whole.contains("left out"))
    #expect(JUnitReport.text(of: [report, report], longest: whole.utf8.count).description == whole)
    let cut = JUnitReport.text(of: [report, report], longest: whole.utf8.count - 1).description
    #expect(cut.components(of: "<failure ").count == 3 && cut.contains("name=\"40 cases are left out, because"))
    #expect(cut.contains("<testsuites tests=\"3\" failures=\"2\""))
    let blocked = JUnitReport(try plan(200, .blocked(.isBridge)).plan)
    let least = JUnitReport.text(of: [blocked], longest: 10_000).description
    let failures = least.components(of: "<failure ").count - 1
    #expect(least.utf8.count <= 10_000 && failures > 20, "\(least.utf8.count) \(failures)")
    #expect(least.contains("<failure message=\"left-out\">") && !cut.contains("left-out"))
    #expect(least.contains("name=\"\(201 - failures) cases are left out"))
  }

  @Test func `a device with several steps is one case, and the worst counts`() throws {
    let view = try plan(1, .blocked(.isBridge), also: [try Samples.step("0000:00:00.0", .pending(.domainPaused))])
    let text = try rendered(view, as: .junit, style: TextStyle())
    #expect(text.components(of: "<testcase ").count == 2 && text.contains("<failure message=\"is-bridge\">"))
  }
}

extension String {
  func components(of separator: String) -> [Substring] { split(separator: separator, omittingEmptySubsequences: false) }
}
