import FoundationEssentials
import Model
import Planning
import Ports
import Rendering
import Testing
import XenProtocol

/// What Berth says about each name, and where it says it.
@Suite struct CatalogueTests {
  @Test func `every name has one entry`() {
    let names = Catalogue.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(
      Set(names)
        == Set(Reason.allCases.map(\.name) + Ailment.allCases.map(\.rawValue) + InterlockName.allCases.map(\.rawValue)))
  }

  @Test func `meanings differ, and are one sentence without a full stop`() {
    for entry in Catalogue.all {
      let meaning = entry.explanation.meaning
      #expect(meaning.count > 8 && !meaning.hasSuffix("."), "\(entry.name): \(meaning)")
    }
    #expect(Set(Reason.allCases.map(\.explanation.meaning)).count == Reason.allCases.count)
  }

  @Test func `causes are whole sentences`() {
    for entry in Catalogue.all {
      let cause = entry.explanation.cause
      #expect(cause.count > 40 && cause.hasSuffix("."), "\(entry.name): \(cause)")
    }
  }

  @Test(arguments: DriftName.allCases)
  func `every drift says how it is seen and what Berth does about it`(_ name: DriftName) throws {
    let texts = name.explanation
    let (seen, conduct) = (try #require(texts.seen), try #require(texts.conduct))
    #expect(seen.count > 8 && !seen.hasSuffix("."))
    #expect(conduct.count > 8 && !conduct.hasSuffix("."))
    let entry = try #require(Catalogue.drifts.first { $0.name == name.rawValue })
    let text = ExplanationView(entries: [entry], detail: .everything).text(TextStyle()).description
    #expect(text.contains("Seen: ") && text.contains("What Berth does: "), "\(text)")
  }

  @Test func `only drift says how it is seen and what Berth does about it`() {
    let others = Catalogue.all.map(\.name).filter { name in !Catalogue.drifts.contains { $0.name == name } }
    #expect(others.count > 40)
    for entry in Catalogue.all where others.contains(entry.name) {
      #expect(entry.explanation.seen == nil && entry.explanation.conduct == nil, "\(entry.name)")
    }
  }

  @Test func `what an apply writes or removes has words for a line of a plan`() throws {
    let repairs: [Repair] = [
      .saveEntry, .dropSavedEntry, .writeClaim(replacing: nil), .writeClaim(replacing: DomainID(7)), .settleBus,
    ]
    let removed: [DriftName] = [.staleClaim, .leakedBackEnd, .recordOnly, .leftoverIntent]
    for name in repairs.map(\.drift) + removed {
      #expect(name.explanation.action?.isEmpty == false, "\(name)")
    }
  }

  @Test(
    arguments: Obstacle.allCases.map(Reason.obstacle) + Wait.allCases.map(Reason.wait)
      + PlanRefusal.Name.allCases.map(Reason.refusal)
      + [DriftName.claimForeign, .duplicateEntry, .revokedButListed].map(Reason.drift))
  func `a step that waits for a person says what to do`(_ reason: Reason) throws {
    #expect(try #require(reason.explanation.remedy).text().count > 8)
  }

  @Test func `a remedy names the device and the domain`() throws {
    let device = try Samples.address("03:00.0")
    let domain = Holder(id: DomainID(5), name: "vm")
    func text(_ remedy: Remedy?) throws -> String { try #require(remedy).text(device: device, in: domain) }
    #expect(try text(Obstacle.notAssignable.explanation.remedy).contains("`berth explain 0000:03:00.0`"))
    #expect(try text(Wait.domainPaused.explanation.remedy) == "`xl unpause vm`, then run again")
    #expect(try text(DriftName.mislabelled.explanation.remedy).hasPrefix("run `lspci` in vm to see"))
    #expect(Wait.domainPaused.explanation.remedy?.text() == "`xl unpause DOMAIN`, then run again")
  }

  @Test(arguments: [
    ("vm", "vm"), ("my vm", "'my vm'"), ("it's", "'it'\\''s'"), ("$(reboot)", "'$(reboot)'"), ("-h", "5"),
    ("12", "5"), ("", "5"),
  ])
  func `a command can be pasted whatever the domain is called`(_ name: Name, _ argument: String) {
    let remedy = Wait.domainPaused.explanation.remedy
    #expect(
      remedy?.text(in: Holder(id: DomainID(5), name: name)) == "`xl unpause \(argument)`, then run again")
  }

  /// The rules of CONTRIBUTING.md for sentences, as far as a program can check them.
  @Test func `sentences are short and plain`() {
    for entry in Catalogue.all {
      let texts = entry.explanation
      let parts = [
        texts.meaning, texts.cause, texts.seen, texts.repair, texts.action, texts.whyLeft, texts.remedy?.text(),
      ].compactMap(\.self)
      for sentence in parts.flatMap({ $0.split(separator: /[.;:]( |$)/) }) {
        let words = sentence.split(separator: " ")
        #expect(words.count <= 25, "\(entry.name): \(words.count) words: \(sentence)")
        for word in ["told", "tells", "mended", "mends", "anew", "where"] {
          #expect(!words.contains { $0.lowercased() == word }, "\(entry.name): \"\(word)\" in: \(sentence)")
        }
      }
    }
  }

  @Test func `the documents have the catalogue's words`() throws {
    try expectRecorded(Catalogue.sections(of: Catalogue.drifts, level: 3), "names", in: "docs/drift.md")
    try expectRecorded(Catalogue.sections(of: Catalogue.ailments, level: 2), "findings", in: "docs/doctor.md")
    try expectRecorded(
      Catalogue.remedyTable(of: Catalogue.reasons) + "\n" + Catalogue.table(of: Catalogue.drifts), "reasons",
      in: "docs/output.md")
    try expectRecorded(Catalogue.interlockTable, "interlocks", in: "docs/safety.md")
    try expectRecorded(Catalogue.sections(of: Catalogue.interlocks, level: 3), "interlock names", in: "docs/safety.md")
    try expectRecorded(Catalogue.sentenceTable, "sentences", in: "docs/output.md")
  }

  @Test func `the whole catalogue as a page`() throws {
    let view = ExplanationView(entries: Catalogue.all, detail: .everything)
    let page = try rendered(view, as: .markdown, style: TextStyle())
    for entry in Catalogue.all { #expect(page.contains("\n## `\(entry.name)`\n"), "\(entry.name)") }
    #expect(page.hasPrefix("# ") && page.hasSuffix("\n") && !page.contains("\n\n\n"))
    #expect(throws: MissingForm.self) {
      try rendered(LockView(lock: DeviceLock(host: "host17", devices: [])), as: .markdown, style: TextStyle())
    }
  }
}
