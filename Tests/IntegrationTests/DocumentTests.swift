import TestSupport
import Testing

struct `Documents` {
  @Test func `every document of the program conforms to its schema`() async throws {
    let schemas = try DocumentSchemas()
    try await TestHost.with(TestScenario.host(), .c) { host in
      let manifest = try host.manifest(["net": [0, 1].map(Sample.address)])
      var kinds: Set<String> = []
      for words in [
        ["validate", manifest], ["plan", manifest], ["apply", manifest, "--yes"], ["plan", manifest],
        ["status", manifest], ["status", manifest, "--drift"], ["devices"], ["doctor"], ["explain"],
        ["import", "--host"], ["lock", manifest], ["render", "xl", "net", manifest],
        ["render", "boot", "--for", "grub", "--all", manifest],
        ["explain", "half-removed"],
        ["sandbox", "status"],
      ] {
        let result = try await host.berth(words + ["-o", "json"])
        #expect(result.status == 0, "\(words): \(result.errors)")
        let violations = try schemas.violations(of: result.output)
        #expect(violations.isEmpty, "\(words): \(violations.joined(separator: "; "))")
        if let kind = try JSON(text: result.output)["kind"]?.string { kinds.insert(kind) }
      }
      let less = try host.manifest(["net": [Sample.address(0)]], name: "less.yaml")
      let lines = try await host.berth("apply", less, "--yes", "-o", "jsonl")
      #expect(lines.status == 0, "\(lines.errors)")
      for line in lines.output.split(separator: "\n").map(String.init) {
        #expect(try schemas.violations(of: line) == [], "\(line)")
        if let kind = try JSON(text: line)["kind"]?.string { kinds.insert(kind) }
      }
      try host.folder.makeFolder("fleet")
      #expect(try await host.berth("snapshot", "--out", "\(host.folder.path)/fleet/host.json").status == 0)
      let fleet = try await host.berth("plan", "--fleet", "\(host.folder.path)/fleet", manifest, "-o", "json")
      #expect(fleet.status == 0, "\(fleet)")
      #expect(try schemas.violations(of: fleet.output) == [])
      if let kind = try JSON(text: fleet.output)["kind"]?.string { kinds.insert(kind) }
      // A plan that does not fit any more, because its domain is gone.
      let file = "\(host.folder.path)/plan.json"
      #expect(try await host.berth("plan", manifest, "--out", file).status == 0)
      try await host.change("destroy", "net")
      let stale = try await host.berth("apply", file, "-o", "json")
      #expect(stale.status == 4, "\(stale)")
      let saved = String(decoding: try host.folder.read("plan.json"), as: UTF8.self)
      for text in [saved, stale.output] {
        #expect(try schemas.violations(of: text) == [])
        if let kind = try JSON(text: text)["kind"]?.string { kinds.insert(kind) }
      }
      #expect(kinds == Set(schemas.names.map(\.kind)))
    }
  }
}
