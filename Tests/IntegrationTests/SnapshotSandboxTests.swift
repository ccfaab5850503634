import FoundationEssentials
import Model
import TestSupport
import Testing

/// A sandbox that is started from a snapshot of another one.
struct SnapshotSandboxTests {
  private static let examples =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path + "/examples"

  /// Returns what a person sees of a host's domains and devices.
  private static func look(_ run: ([String]) async throws -> Command.Result) async throws -> [String] {
    var answers: [String] = []
    for words in [["status"], ["status", "--drift"], ["devices", "--all"]] {
      let result = try await run(words)
      #expect(result.status == 0, "\(words): \(result.errors)")
      answers.append(result.output)
    }
    return answers
  }

  /// Starts a sandbox from a snapshot, and returns what the same commands show there.
  private func played(_ file: String) async throws -> (start: String, answers: [String]) {
    let folder = try TemporaryFolder()
    let directory = "\(folder.path)/played"
    func berth(_ words: [String]) async throws -> Command.Result {
      try await Command.berth(words, environment: ["BERTH_SANDBOX": directory]).run()
    }
    await Places.forSandboxes.take()
    defer { Places.forSandboxes.free() }
    let start = try await berth(["sandbox", "start", "--from", file])
    guard start.status == 0 else { throw Odd(description: start.errors) }
    let answers: Result<[String], any Error>
    do {
      answers = .success(try await Self.look { words in try await berth(words) })
    } catch {
      answers = .failure(error)
    }
    let stop = try await berth(["sandbox", "stop"])
    #expect(stop.status == 0, "\(stop.errors)")
    return (start.errors, try answers.get())
  }

  @Test(arguments: ["home", "guests", "faults", "drift", "kinds", "workstation", "drivers", "refusals"])
  func `the played host has the domains, devices and stores of the first one`(_ name: String) async throws {
    let scenario = try String(contentsOfFile: "\(Self.examples)/sandbox/\(name).yaml", encoding: .utf8)
    let folder = try TemporaryFolder()
    let file = "\(folder.path)/snapshot.json"
    let first = try await TestHost.with(scenario) { host in
      let snapshot = try await host.berth("snapshot", "--out", file)
      #expect(snapshot.status == 0, "\(snapshot.errors)")
      return try await Self.look { try await host.berth($0) }
    }
    #expect(try await played(file).answers == first)
  }

  @Test func `what a sandbox cannot have is named`() async throws {
    let folder = try TemporaryFolder()
    let file = "\(folder.path)/snapshot.json"
    try await TestHost.with(TestScenario.host()) { host in
      let apply = try await host.berth("apply", try host.manifest(["net": [Sample.address(0)]]), "--yes")
      let snapshot = try await host.berth("snapshot", "--out", file)
      #expect(apply.status == 0 && snapshot.status == 0, "\(apply.errors)\(snapshot.errors)")
    }
    let (start, answers) = try await played(file)
    #expect(start.contains("not in the sandbox: Berth's records"), "\(start)")
    #expect(answers[0].contains("\(Sample.address(0))"), "\(answers[0])")
  }

  @Test func `a file that is no snapshot starts nothing`() async throws {
    let folder = try TemporaryFolder()
    try folder.write("x.json", "{}")
    let start = try await Command.berth(
      ["sandbox", "start", "--from", "\(folder.path)/x.json"], environment: ["BERTH_SANDBOX": "\(folder.path)/box"]
    ).run()
    #expect(start.status == 65 && start.errors.contains("is no snapshot"), "\(start.errors)")
    #expect(try folder.names(in: "") == ["x.json"])
  }
}
