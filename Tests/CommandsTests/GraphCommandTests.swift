import TestSupport
import Testing

/// `berth graph`, without a page.
@Suite struct GraphCommandTests {
  @Test func `wrong usage has its code`() {
    let world = FakeWorld()
    #expect(world.run("graph") == 64)
    #expect(world.run("graph", "--check", "a.yaml") == 64)
    #expect(world.run("graph", "-o", "json", "a.yaml") == 64)
    #expect(world.run("graph", "--update", "", "a.yaml") == 64)
    #expect(world.output.isEmpty)
  }

  @Test func `manifests are drawn, alone or in a block of Markdown`() throws {
    try withManifest { path in
      let world = FakeWorld()
      #expect(world.run("graph", path) == 0)
      #expect(world.output.hasPrefix("flowchart LR\n  subgraph h1[\"host17\"]\n    h1d1[\"sys-net\"]\n"))
      let page = FakeWorld()
      #expect(page.run("graph", path, "-o", "markdown") == 0)
      #expect(page.output == "```mermaid\n\(world.output)```\n")
    }
  }

  @Test func `a diagram that Mermaid would not draw is refused`() throws {
    let domains = (0..<501).map { number in
      let slot = String(UInt32(0x1000 + number), radix: 16)
      return "    d\(number): {devices: [{address: \"\(slot):01:00.0\", id: \"8086:1533\"}]}\n"
    }
    let text = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domains:\n" + domains.joined()
    try withManifest(text) { path in
      let world = FakeWorld()
      #expect(world.run("graph", path) == 1)
      #expect(world.messages.contains("the diagram is too large"), "\(world.messages)")
      #expect(world.output.isEmpty)
    }
  }
}
