import ArgumentParser
import Model
import Planning
import Ports
import Synchronization
import Testing

@testable import Commands

@Suite struct ArgumentTests {
  @Test(arguments: [
    ("10s", Duration.seconds(10)), ("500ms", .milliseconds(500)), ("2m", .seconds(120)), ("0s", .zero),
    ("24h", .seconds(86_400)),
  ])
  func `durations have a unit`(_ text: String, _ expected: Duration) throws {
    #expect(try #require(DurationArgument(argument: text)).duration == expected)
  }

  @Test(arguments: ["", "10", "s", "-1s", "1.5s", "10 s", "10S", "25h", "99999999999s", "1d", "٣s"])
  func `text that is not a duration is refused`(_ text: String) { #expect(DurationArgument(argument: text) == nil) }

  @Test func `an override has a device and a reason`() throws {
    let override = try OverrideArgument.parse("04:00.0=slot a=b is the guest's")
    #expect(override.device.description == "0000:04:00.0" && override.reason == "slot a=b is the guest's")
  }

  @Test(arguments: ["", "0000:04:00.0", "0000:04:00.0=", "0000:04:00.0= ", "=why", "nic=why", "04:00.0/1=why"])
  func `an override without a device or a reason is refused`(_ text: String) {
    #expect(throws: ValidationError.self) { try OverrideArgument.parse(text) }
  }

  @Test func `durations are shown in the form in which they are given`() {
    #expect(DurationArgument(.seconds(10)).defaultValueDescription == "10s")
    #expect(DurationArgument(.milliseconds(1500)).defaultValueDescription == "1500ms")
  }

  @Test(
    arguments: [
      ([:], true, false, true), ([:], false, false, false), ([:], true, true, false),
      (["NO_COLOR": "1"], true, false, false), (["NO_COLOR": ""], true, false, true),
      (["TERM": "dumb"], true, false, false),
      (["FORCE_COLOR": "1"], false, false, true), (["FORCE_COLOR": "1"], false, true, false),
      (["FORCE_COLOR": "1", "NO_COLOR": "1"], true, false, false), (["CLICOLOR_FORCE": "0"], true, false, false),
    ] as [([String: String], Bool, Bool, Bool)])
  func `the flag precedes the environment, which precedes the terminal`(
    _ row: ([String: String], Bool, Bool, Bool)
  ) {
    #expect(usesColor(Environment { row.0[$0] }, isTerminal: row.1, isForbidden: row.2) == row.3)
  }

  @Test(
    arguments: [
      ([:], false), (["LANG": "C"], false), (["LANG": "en_US.UTF-8"], true), (["LANG": "C.utf8"], true),
      (["LANG": "de_DE@euro"], false), (["LANG": "ca_ES.UTF-8@valencia"], true),
      (["LANG": "en_US.UTF-8", "LC_ALL": "C"], false), (["LANG": "C", "LC_CTYPE": "C.UTF-8"], true),
      (["LANG": "C.UTF-8", "LC_ALL": ""], true),
    ] as [([String: String], Bool)])
  func `the locale decides what can be shown`(_ row: ([String: String], Bool)) {
    #expect(hasUnicodeLocale(Environment { row.0[$0] }) == row.1)
  }

  @Test(arguments: [
    ["plan", "--no-such-option"], ["no-such-command"], ["apply", "--lock-timeout", "10"], ["plan", "-o", "xml"],
    ["apply", "--prune", "some"], ["plan"], ["apply", "--yes"], ["validate"],
  ])
  func `wrong usage is 64, with a message on standard error`(_ arguments: [String]) {
    let world = FakeWorld()
    #expect(world.run(arguments) == 64)
    #expect(world.output.isEmpty)
    #expect(world.messages.lowercased().contains("error"))
    #expect(world.state.withLock { $0.opened.isEmpty })
  }

  /// Wrong words, and what the message must contain.
  static let slips: [([String], String)] = [
    (["pln", "m.yaml"], "did you mean 'plan'?"), (["diff", "m.yaml"], "did you mean 'plan'?"),
    (["-v", "aply"], "did you mean 'apply'?"), (["--sandbox", "plan", "statsu"], "did you mean 'status'?"),
    (["sandbox", "strat"], "did you mean 'sandbox start'?"), (["nothing-like-it"], "`berth --help`"),
    (["help", "foo"], "there is no command 'foo'"), (["help", "sandbox", "foo"], "no command 'sandbox foo'"),
    (["apply", "m.yaml", "--auto-approve"], "use --yes"), (["plan", "m.yaml", "--json"], "use -o json"),
    (["apply", "m.yaml", "--yes", "--wait-timeout", "5"], "give a unit, such as 5s"),
    (["apply", "m.yaml", "--yes", "--lock-timeout", "1.5s"], "give a whole number and a unit"),
    (["explain", "half-removd"], "did you mean half-removed?"), (["explain", "removed"], "half-removed"),
    (["plan", ""], "the name of a manifest is empty"), (["validate", "a.yaml", ""], "the name of a manifest is empty"),
  ]

  @Test(arguments: slips)
  func `a slip is usage, and the message says what to type`(_ arguments: [String], _ words: String) {
    let world = FakeWorld()
    #expect(world.run(arguments) == 64, "\(world.messages)")
    #expect(world.output.isEmpty)
    #expect(world.messages.contains(words), "\(world.messages)")
  }

  @Test(arguments: [([], "USAGE: berth"), (["-v"], "USAGE: berth"), (["sandbox"], "USAGE: berth sandbox")])
  func `a command that does nothing by itself is usage, with the help`(_ arguments: [String], _ usage: String) {
    let world = FakeWorld()
    #expect(world.run(arguments) == 64)
    #expect(world.output.isEmpty)
    #expect(world.messages.contains(usage), "\(world.messages)")
  }

  @Test func `the form of the answer may follow its option directly`() {
    let world = FakeWorld()
    #expect(world.run("explain", "half-removed", "-ojson") == 0)
    #expect(world.output.hasPrefix("{"))
  }

  @Test(arguments: [["--help"], ["plan", "--help"], ["help", "apply"], ["help"], ["help", "sandbox", "start"]])
  func `help is an answer`(_ arguments: [String]) {
    let world = FakeWorld()
    #expect(world.run(arguments) == 0)
    #expect(world.output.contains("USAGE: berth"))
    #expect(world.messages.isEmpty)
  }

  @Test func `the version is one line`() {
    let world = FakeWorld()
    #expect(world.run("--version") == 0)
    #expect(world.output == "\(berthVersion)\n")
  }

  @Test func `the sandbox is named before or after the command, or by the environment`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("--sandbox", "/a", "plan", manifest) == 0)
      #expect(world.run("plan", "--sandbox", "/b", manifest) == 0)
      #expect(world.run("plan", manifest, given: .init(environment: ["BERTH_SANDBOX": "/c"])) == 0)
      #expect(world.run("plan", manifest, "--sandbox", "/d", given: .init(environment: ["BERTH_SANDBOX": "/c"])) == 0)
      #expect(world.run("status") == 0)
      #expect(world.state.withLock { $0.opened } == ["/a", "/b", "/c", "/d", nil])
    }
  }

  @Test func `a sandbox is named by its directory, and started from a file`() throws {
    let world = FakeWorld()
    for words in [
      ["start", "s.yaml"], ["stop"], ["status"], ["pause", "net"], ["answers", "net", "never"],
      ["device-model", "net", "silent"], ["restart-stub", "net"],
    ] {
      #expect(world.run(["sandbox"] + words) == 64)
    }
    #expect(world.messages.contains("--sandbox DIR"))
    #expect(world.run("sandbox", "answers", "net", "perhaps", "--sandbox", "/nowhere") == 64)
    let folder = "/tmp/berth-no-such-folder-\(UInt64.random(in: 0...UInt64.max))"
    #expect(world.run("sandbox", "start", "\(folder)/s.yaml", "--sandbox", folder) == 66)
    #expect(world.run("sandbox", "status", "--sandbox", folder) == 69)
    #expect(world.run("sandbox", "pause", "net", "--sandbox", folder) == 69)
  }

  @Test(arguments: [
    ["pause", "web 1"], ["destroy", ""], ["pause", "a\nshutdown"], ["start-domain", "a\r\nshutdown"],
    ["device-model", "net", "gone\nshutdown"], ["device-model", "net", "silent", "--command", "query pci"],
  ])
  func `a request to a sandbox names one domain, in one line`(_ words: [String]) {
    let world = FakeWorld()
    #expect(world.run(["sandbox"] + words + ["--sandbox", "/nowhere"]) == 64)
    #expect(world.messages.contains("is not one word"), "\(world.messages)")
  }

  @Test func `the help has every exit status`() {
    let world = FakeWorld()
    #expect(world.run("--help") == 0)
    let words = Set(world.output.split { " \n".contains($0) }.compactMap { Int32($0) })
    #expect(words == Set((0...255).compactMap { Planning.ExitStatus(rawValue: $0)?.rawValue }))
  }

  @Test func `the simulator's own command is hidden from people`() {
    let world = FakeWorld()
    #expect(world.run("sandbox", "--help") == 0)
    #expect(world.output.contains("start-domain") && !world.output.contains("serve"))
  }
}
