import Model
import Planning
import TestSupport
import Testing

@testable import Rendering

/// The plans of many hosts, in each form.
@Suite struct FleetViewTests {
  @Test func `a fleet with a host in each state, for people and for programs`() throws {
    try expectGolden(
      try rendered(try FleetSamples.everything(.table), as: .table, style: TextStyle()), "fleet/fleet.txt")
    let verbose = TextStyle(isASCII: true, isVerbose: true)
    try expectGolden(
      try rendered(try FleetSamples.everything(.table, style: verbose), as: .table, style: verbose),
      "fleet/verbose.txt")
    try expectGolden(
      try rendered(try FleetSamples.everything(.json), as: .json, style: TextStyle()), "fleet/fleet.json")
  }

  @Test(arguments: PreviewTests.forms.indices)
  func `a fleet in each form that other programs show`(_ index: Int) throws {
    let (form, ending) = PreviewTests.forms[index]
    try expectGolden(
      try rendered(try FleetSamples.everything(form), as: form, style: TextStyle()), "fleet/fleet.\(ending)")
  }

  @Test func `findings of two hosts in one file are two, and keep their keys`() throws {
    func keys() throws -> [String] {
      let log = try JSON(text: try rendered(try FleetSamples.everything(.sarif), as: .sarif, style: TextStyle()))
      let results = try #require(log["runs"]?.elements.first?["results"]?.elements)
      return results.compactMap { $0["partialFingerprints"]?["primaryLocationLineHash"]?.string }
    }
    let first = try keys()
    #expect(first.count > 4 && Set(first).count == first.count)
    #expect(try keys() == first)
  }

  @Test func `a comment about many hosts is short enough, and says what it leaves out`() throws {
    let hosts = (0..<3000).map { number in
      FleetHost(
        name: "host\(number)", source: "a.json", place: "a.json",
        failure: Failure(.noManifest, "no document of the manifests is for this host"))
    }
    let view = FleetView(hosts: hosts, status: .noManifest, directory: nil)
    let page = try rendered(view, as: .markdown, style: TextStyle())
    #expect(page.utf16.count <= 60_000 && page.contains(" of 3000 hosts"))
    let commands = try rendered(view, as: .github, style: TextStyle())
    #expect(commands.split(separator: "\n").count == 12 && commands.contains("2990 more errors"))
  }

  @Test func `what stays as it is is left out first`() throws {
    let plan = try Samples.inSync()
    var hosts = (0..<2000).map { number -> FleetHost in
      var plan = plan
      plan.host.name = "quiet-host-with-a-long-name-\(number)"
      return FleetHost(
        source: "a.json", place: "a.json", view: PlanView(plan: plan), status: .done, format: .markdown,
        style: TextStyle())
    }
    hosts.append(
      FleetHost(name: "last", source: "b.json", place: "b.json", failure: Failure(.noManifest, "no snapshot")))
    let view = FleetView(hosts: hosts, status: .noManifest, directory: nil)
    let page = try rendered(view, as: .markdown, style: TextStyle())
    #expect(page.utf16.count <= 60_000 && page.contains("2000 hosts that are as declared"))
    #expect(page.contains("| last |") && !page.contains("quiet-host"))
  }

  @Test(arguments: PreviewEscapeTests.texts)
  func `a text from outside ends no cell of a table`(_ outside: String) throws {
    let page = try rendered(try FleetSamples.filled(with: outside, .markdown), as: .markdown, style: TextStyle())
    let rows = page.split(separator: "\n").filter { $0.hasPrefix("|") }
    #expect(
      rows.count == 5 && rows.allSatisfy { $0.count { $0 == "|" } == 4 && $0.hasSuffix(" |") || $0 == "|---|---|---|" },
      "\(page)")
  }
}
