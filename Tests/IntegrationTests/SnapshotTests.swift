import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// The program answers from a snapshot of a sandbox as it answers on the sandbox.
struct SnapshotTests {
  private static let examples =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path + "/examples"

  /// The commands that look at a host.
  private static let looks: [[String]] = [
    ["status"], ["status", "-o", "json"], ["status", "--drift"], ["status", "--drift", "-o", "json"], ["doctor"],
    ["doctor", "-o", "json"], ["devices"], ["devices", "--all", "-o", "wide"], ["devices", "-o", "json"],
  ]

  /// Returns an answer with the moments and the ages in it left out: a look takes place later than the one before it.
  private static func timeless(_ result: Command.Result) -> String {
    let lines = (result.output + result.errors).split(separator: "\n", omittingEmptySubsequences: false)
    return "\(result.status)\n"
      + lines.filter { !$0.contains("\"takenAt\"") }.map { line in
        var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        // `for 14 s`.
        for index in words.indices.dropLast() where Int(words[index]) != nil && words[index + 1].hasPrefix("s") {
          words[index] = "N"
        }
        return words.joined(separator: " ")
      }.joined(separator: "\n")
  }

  private func expectSameAnswers(_ host: TestHost, _ manifests: [String]) async throws {
    let file = "\(host.folder.path)/snapshot.json"
    let snapshot = try await host.berth("snapshot", "--out", file)
    #expect(snapshot.status == 0, "\(snapshot.errors)")
    let plans = manifests.flatMap {
      [["plan", $0], ["plan", $0, "-v"], ["plan", $0, "-o", "json"], ["status", $0]]
    }
    for words in Self.looks + plans {
      let live = Self.timeless(try await host.berth(words))
      // There is no sandbox for this command, so it can ask nobody.
      let played = Self.timeless(try await Command.berth(words + ["--host", file]).run())
      #expect(live == played, "\(words)")
    }
  }

  /// What names or numbers something in a document, wherever it stands.
  private static func identities(in document: String) -> Set<String> {
    let keys = ["\"mac\" : \"", "\"serial\" : \"", "\"uuid\" : \"", "\"hostName\" : \""]
    var found: Set<String> = []
    for line in document.split(separator: "\n") {
      for key in keys {
        guard let start = line.firstRange(of: key)?.upperBound else { continue }
        found.insert(String(line[start...].prefix { $0 != "\"" }))
      }
    }
    return found
  }

  @Test func `a snapshot replaces a file, and neither a link, a pipe nor a folder`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let file = "\(host.folder.path)/snapshot.json"
      for _ in 0..<2 { #expect(try await host.berth("snapshot", "--out", file).status == 0) }
      let (link, pipe) = ("\(host.folder.path)/link", "\(host.folder.path)/pipe")
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
      try #require(unsafe mkfifo(pipe, 0o600) == 0)
      for (place, words) in [(link, "is a link"), (pipe, "is a named pipe"), (host.folder.path, "is a folder")] {
        let answer = try await host.berth("snapshot", "--out", place)
        #expect(answer.status != 0 && answer.errors.contains(words), "\(answer)")
      }
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == file)
      #expect(try FileManager.default.attributesOfItem(atPath: pipe)[.type] as? FileAttributeType != .typeRegular)
    }
  }

  @Test(arguments: ["home", "kinds", "workstation", "drivers"])
  func `a redacted snapshot has no identity of an example, and the same commands work on it`(_ name: String)
    async throws
  {
    let scenario = try String(contentsOfFile: "\(Self.examples)/sandbox/\(name).yaml", encoding: .utf8)
    try await TestHost.with(scenario) { host in
      let file = "\(host.folder.path)/redacted.json"
      let snapshot = try await host.berth("snapshot", "--redact", "--out", file)
      #expect(snapshot.status == 0, "\(snapshot.errors)")
      let text = String(decoding: try host.folder.read("redacted.json"), as: UTF8.self)
      var originals = Self.identities(in: try await host.berth("status", "-o", "json").output)
      originals.formUnion(Self.identities(in: try await host.berth("devices", "--all", "-o", "json").output))
      originals.formUnion(try await host.status().domains.map { "\"\($0.name)\"" })
      #expect(!originals.isEmpty)
      for original in originals { #expect(!text.contains(original), "\(original)") }
      for words in Self.looks {
        let live = try await host.berth(words)
        let played = try await Command.berth(words + ["--host", file]).run()
        #expect(live.status == played.status, "\(words): \(played.errors)")
        #expect(live.output.split(separator: "\n").count == played.output.split(separator: "\n").count, "\(words)")
      }
    }
  }

  @Test(arguments: ["home", "guests", "faults", "drift", "kinds", "workstation", "drivers", "refusals"])
  func `an example`(_ name: String) async throws {
    let scenario = try String(contentsOfFile: "\(Self.examples)/sandbox/\(name).yaml", encoding: .utf8)
    let manifests = ["host", "full", "kinds", "host-changed"].map { "\(Self.examples)/\($0).yaml" }
    try await TestHost.with(scenario) { host in try await expectSameAnswers(host, manifests) }
  }

  @Test func `a host on which Berth has worked`() async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5}", "{name: win, domid: 6, kind: hvm}"])) { host in
      let devices = (0..<6).map { Sample.address($0) }
      let applied = try await host.berth(
        "apply", try host.manifest(["net": Array(devices[..<2]), "win": [devices[3]]]), "--yes")
      #expect(applied.status == 0, "\(applied.output)\(applied.errors)")
      let next = try host.manifest(
        ["net": [devices[0], devices[4]], "win": [devices[3], devices[5]]], name: "next.yaml")
      try await expectSameAnswers(host, [next])
    }
  }
}
