import FoundationEssentials
import Model
import Planning
import Ports
import Testing

@testable import Commands

/// Texts from outside in all that commands write: arguments, names of files, texts of files, the environment.
@Suite struct OutsideTextTests {
  static let name = "x\u{1B}[8m\u{202E}\n::error file=x::not from berth\n\u{200B}"

  private func expectSafe(_ world: FakeWorld, _ what: String) {
    for line in (world.output + world.messages).split(separator: "\n") {
      #expect(visible(line).utf8.elementsEqual(line.utf8), "\(what): \(line.debugDescription)")
      #expect(!line.hasPrefix("::"), "\(what): \(line)")
    }
  }

  @Test(arguments: [
    [name], ["plan", "--\(name)"], ["plan", "-o", name], ["apply", "--lock-timeout", name], ["explain", name],
    ["plan", name], ["validate", name], ["plan", "a", "--sandbox", name], ["apply", "--prune", name], ["help", name],
    ["sandbox", name], ["sandbox", "start", name, "--sandbox", "x"], ["status", "--sandbox=\(name)", name],
    ["-\(name)"],
    ["--auto-approve=\(name)", "apply"], ["schema", name], ["doctor", "--", name], ["validate", "/dev/null/\(name)"],
  ])
  func `an argument is repeated only in a form that a reader sees`(_ arguments: [String]) {
    let world = FakeWorld()
    #expect(world.run(arguments) != 0)
    #expect(!world.messages.isEmpty)
    expectSafe(world, "\(arguments)")
  }

  @Test func `the parser's own lines stay lines`() {
    let world = FakeWorld()
    #expect(world.run(["plan", "--no-\u{1B}such"]) == 64)
    #expect(world.messages.split(separator: "\n").count > 1)
    #expect(world.messages.contains("--no-\\u{1b}such"))
  }

  @Test(arguments: [
    "domains: {\"a\\e[8m\\n::error ::b\": {devices: [\"03:00.9\\u202E\"]}}", "\"k\\u200B\": 1, domains: {}",
    "domains: {a: {devices: [\"x\\r\\n::b\", {\"\\x9b31m\": 1}]}}", "domains: {\"e\\u0301\": {devices: 1}}",
  ])
  func `a manifest's text is shown in a form that a reader sees`(_ spec: String) throws {
    try withManifest("apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {\(spec)}\n") { path in
      for command in ["validate", "plan"] {
        for format in ["table", "json"] {
          let world = FakeWorld()
          #expect(world.run([command, path, "-o", format]) == 65)
          expectSafe(world, "\(command) \(spec)")
        }
      }
    }
  }

  @Test func `a file that is not Berth's is not shown by any command`() throws {
    try withManifest("root:$6$hunter2:1:::\ndatabase_password: hunter2\n") { path in
      for arguments in [
        ["validate"], ["validate", "-o", "json"], ["plan"], ["plan", "-v"], ["apply", "--yes"],
        ["sandbox", "start", "--sandbox", path + ".box"],
      ] {
        let world = FakeWorld()
        #expect(world.run(arguments + [path]) == 65, "\(arguments)")
        #expect(!(world.output + world.messages).contains("hunter2"), "\(arguments): \(world.messages)")
      }
    }
  }

  @Test func `a name from xenstore is shown in a form that a reader sees while an apply runs`() throws {
    var given = FakeWorld.Given()
    given.isTerminal = true
    let domain = RunEvent.Domain(name: Name(Self.name), uuid: try #require(DomainUUID(bytes: [UInt8](0..<16))))
    given.events = [
      RunEvent(run: RunID("00000000000000ff"), kind: .waiting(domain, [], until: .now)),
      RunEvent(run: RunID("00000000000000ff"), kind: .domainEnded(domain, nil)),
    ]
    given.answers = ["y"]
    try withManifest { path in
      for extra in [[], ["-v"], ["-o", "jsonl"]] {
        let world = FakeWorld()
        _ = world.run(["apply", path, "--yes"] + extra, given: given)
        let shown = (world.output + world.messages).replacing("\r", with: "\n").replacing(/\u{1B}\[[0-9;]*m/, with: "")
        for line in shown.split(separator: "\n") {
          #expect(visible(line).utf8.elementsEqual(line.utf8), "\(extra): \(line.debugDescription)")
        }
      }
    }
  }
}
