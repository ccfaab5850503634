import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// `berth plan --out`, and an apply of what was saved.
struct `Saved plans` {
  private static let guests = ["{name: net, domid: 5}", "{name: other, domid: 6, lifecycle: absent}"]

  /// Returns an answer of `berth apply` without a terminal and without `--yes`.
  private func apply(_ host: TestHost, _ words: String...) async throws -> Command.Result {
    try await host.berth(["apply"] + words)
  }

  @Test func `a saved plan is applied without a question, and once more it finds everything made`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests), isTracing: true) { host in
      let devices = Set((0..<3).map(Sample.address))
      let manifest = try host.manifest(["net": devices.sorted()])
      let file = "\(host.folder.path)/plan.json"
      let plan = try await host.berth("plan", manifest, "--out", file)
      #expect(plan.status == 0 && plan.errors.contains("saved in \(file): 3 changes, fingerprint sha256:"), "\(plan)")
      #expect(try DocumentSchemas().violations(of: try text(file)) == [])
      // The plan has the manifest, so the file of the manifest does not matter any more.
      try FileManager.default.removeItem(atPath: manifest)
      let first = try await apply(host, file)
      #expect(first.status == 0 && first.output.contains("3 attached"), "\(first)")
      #expect(try await host.disagreements(of: "net", expecting: devices) == [])
      let before = try host.storeChanges()
      let again = try await apply(host, file)
      #expect(again.status == 0 && !again.output.contains("attached"), "\(again)")
      #expect(try host.storeChanges() == before)
    }
  }

  @Test func `the environment says who overrides, and from where a path is shown`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests)) { host in
      let manifest = try host.manifest(["net": [Sample.address(0), Sample.address(200)]])
      let (folder, file) = (host.folder.path, "\(host.folder.path)/plan.json")
      let environment = ["SUDO_USER": "eve", "PWD": folder]
      let words = ["plan", manifest, "--override", "\(Sample.address(0))=why", "--out", file, "-o", "github"]
      let plan = try await host.berth(words, environment: environment)
      #expect(plan.status == 3 && plan.output.contains("::error file=host.yaml,"), "\(plan)")
      let saved = try JSON(text: try text(file))
      #expect(saved["options"]?["overrides"]?.elements.map { $0["user"]?.string } == ["eve"], "\(saved)")
      // A program that no shell started has no PWD.
      let bare = try await host.berth(words, environment: ["PWD": ""])
      #expect(bare.output.contains("::error file=\(manifest),"), "\(bare)")
    }
  }

  @Test func `a guest that no change concerns may start, the one that is changed may not`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests), isTracing: true) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let file = "\(host.folder.path)/plan.json"
      #expect(try await host.berth("plan", manifest, "--out", file).status == 0)
      try await host.change("start-domain", "other")
      try await host.change("destroy", "net")
      try await host.change("start-domain", "net")
      let before = try host.storeChanges()
      let stale = try await apply(host, file)
      #expect(stale.status == 4, "\(stale)")
      #expect(
        stale.output.contains("domid was 5, and is ") && stale.output.contains("Nothing was touched."), "\(stale)")
      #expect(try host.storeChanges() == before)
      let document = try await apply(host, file, "-o", "json")
      #expect(document.status == 4)
      #expect(try DocumentSchemas().violations(of: document.output) == [])

      #expect(try await host.berth("plan", manifest, "--out", file).status == 0)
      try await host.change("destroy", "other")
      let fresh = try await apply(host, file)
      #expect(fresh.status == 0, "\(fresh)")
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a plan that another toolstack has overtaken is not applied`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests)) { host in
      let devices = [Sample.address(0), Sample.address(1)]
      let file = "\(host.folder.path)/plan.json"
      #expect(try await host.berth("plan", try host.manifest(["net": devices]), "--out", file).status == 0)
      let one = try host.manifest(["net": [devices[0]]], name: "one.yaml")
      #expect(try await host.berth("apply", one, "--yes").status == 0)
      let stale = try await apply(host, file)
      #expect(stale.status == 4 && stale.output.contains("not needed any more"), "\(stale)")
      #expect(try await host.disagreements(of: "net", expecting: [devices[0]]) == [])
    }
  }

  @Test func `a file that is no saved plan of this start of this host touches nothing`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests), isTracing: true) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let file = "\(host.folder.path)/plan.json"
      #expect(try await host.berth("plan", manifest, "--out", file).status == 0)
      let before = try host.storeChanges()
      let good = try text(file)
      let edits: [(String, String, Int32, String)] = [
        (#""host" : "test""#, #""host" : "host18""#, 65, "somebody has edited it"),
        (#""formatVersion" : 1"#, #""formatVersion" : 7"#, 65, "its format has version 7"),
        (#"domid=5"#, "domid=6", 65, "somebody has edited it"),
        ("domains:", "domains: [", 65, "invalid manifest"),
      ]
      for (old, new, status, words) in edits {
        #expect(good.contains(old), "\(old)")
        try host.folder.write("edited.json", good.replacing(old, with: new, maxReplacements: 1))
        let answer = try await apply(host, "\(host.folder.path)/edited.json")
        #expect(answer.status == status && answer.errors.contains(words), "\(new): \(answer)")
      }
      try host.folder.write("cut.json", String(good.prefix(good.utf8.count - 40)))
      let cut = try await apply(host, "\(host.folder.path)/cut.json")
      #expect(cut.status == 65 && cut.errors.contains("incomplete"), "\(cut)")
      let link = "\(host.folder.path)/link.json"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
      let linked = try await apply(host, link)
      #expect(linked.status == 66 && linked.errors.contains("is a link"), "\(linked)")
      for words in [[file, manifest], [file, "--prune", "all"], [file, "--lock", manifest]] {
        #expect(try await host.berth(["apply"] + words).status == 64, "\(words)")
      }
      #expect(try await host.berth("plan", file).status == 65)
      #expect(try host.storeChanges() == before)
    }
  }

  @Test func `a plan is saved in a new file or over an older plan, and over nothing else`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests)) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let before = try text(manifest)
      let file = "\(host.folder.path)/plan.json"
      for _ in 0..<2 { #expect(try await host.berth("plan", manifest, "--out", file).status == 0) }
      let link = "\(host.folder.path)/link.json"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
      let pipe = "\(host.folder.path)/pipe"
      try #require(unsafe mkfifo(pipe, 0o600) == 0)
      for place in [manifest, pipe, link, host.folder.path, "-"] {
        let answer = try await host.berth("plan", manifest, "--out", place)
        #expect(answer.status == 64, "\(place): \(answer)")
      }
      #expect(try text(manifest) == before)
      #expect(try FileManager.default.attributesOfItem(atPath: pipe)[.type] as? FileAttributeType != .typeRegular)
    }
  }

  @Test func `another start of dom0 makes a plan stale`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests)) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let file = "\(host.folder.path)/plan.json"
      #expect(try await host.berth("plan", manifest, "--out", file).status == 0)
      let path = "\(host.directory)/root/proc/sys/kernel/random/boot_id"
      #expect(try text(file).contains(try text(path).prefix(36)))
      try "0c6c9ac6-8e0e-4d0b-9b3f-2f6f6c3b5a10\n".write(toFile: path, atomically: true, encoding: .utf8)
      let stale = try await apply(host, file)
      #expect(stale.status == 4 && stale.output.contains("dom0 has started since"), "\(stale)")
    }
  }

  @Test func `a fingerprint is consent, too`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests)) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let plan = try await host.berth("plan", manifest, "-o", "json")
      #expect(try DocumentSchemas().violations(of: plan.output) == [])
      let fingerprint = try #require(try JSON(text: plan.output)["fingerprint"]?.string)
      let verbose = try await host.berth("plan", manifest, "-v")
      #expect(verbose.output.contains("Fingerprint: \(fingerprint)"))
      #expect(try await apply(host, manifest, "--expect", "abc").status == 64)
      let wrong = "sha256:" + String(repeating: "0", count: 64)
      let stale = try await apply(host, manifest, "--expect", wrong)
      #expect(stale.status == 4 && stale.output.contains(fingerprint) && stale.output.contains(wrong), "\(stale)")
      // A comment is no change; another device is one.
      let commented = try text(manifest) + "# for the router\n"
      try commented.write(toFile: manifest, atomically: true, encoding: .utf8)
      let other = try host.manifest(["net": [Sample.address(1)]], name: "other.yaml")
      #expect(try await apply(host, other, "--expect", fingerprint).status == 4)
      #expect(try await apply(host, manifest, "--expect", fingerprint).status == 0)
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a plan that is refused is not saved`() async throws {
    try await TestHost.with(TestScenario.host(Self.guests)) { host in
      let devices = (0..<2).map(Sample.address)
      #expect(try await host.berth("apply", try host.manifest(["net": devices]), "--yes").status == 0)
      let none = try host.manifest(["net": []], policy: "{maxRemovals: 1}", name: "none.yaml")
      let file = "\(host.folder.path)/plan.json"
      let plan = try await host.berth("plan", none, "--out", file)
      #expect(plan.status == 3 && plan.errors.contains("nothing was saved"), "\(plan)")
      #expect(!FileManager.default.fileExists(atPath: file))
    }
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try #require(FileManager.default.contents(atPath: path), "there is no \(path)"), as: UTF8.self)
  }
}
