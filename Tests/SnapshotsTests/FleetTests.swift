import FoundationEssentials
import Glibc
import Model
import Ports
import TestSupport
import Testing

/// `plan --fleet`: the plans of many hosts on their snapshots.
@Suite struct FleetTests {
  private let world: CommandWorld
  init() throws {
    world = try CommandWorld()
    try world.folder.makeFolder("fleet")
  }

  private var fleet: String { "\(world.folder.path)/fleet" }

  /// A host on which a domain `net` has the first of two devices.
  private func host(_ name: String) -> Host {
    let model = ModelHost()
    for number in 0..<2 { model.addDevice(Sample.address(number)) }
    model.addDomain(5, "net")
    var host = model.host
    host.name = name
    return host
  }

  private func snapshot(_ name: String, _ file: String? = nil) throws {
    _ = try world.snapshot(of: host(name), "fleet/\(file ?? name + ".json")")
  }

  private func document(_ hosts: [String], _ numbers: [Int] = [0]) -> String {
    hosts.map { host in
      "---\napiVersion: berth/v1alpha1\nkind: HostAssignments\nmetadata: {name: \(host)}\nspec:\n  domains:\n    net:\n"
        + "      devices:\n" + numbers.map { "        - {address: \"\(Sample.address($0))\"}\n" }.joined()
    }.joined()
  }

  private func manifest(_ text: String, _ name: String = "all.yaml") throws -> String {
    try world.folder.write(name, text)
    return "\(world.folder.path)/\(name)"
  }

  private func hosts(_ answer: CommandAnswer) throws -> [JSON] {
    try JSON(text: answer.output)["hosts"]?.elements ?? []
  }

  @Test func `each host's plan is the one of the host alone`() throws {
    let names = (1...9).map { "host\($0)" }
    for name in names { try snapshot(name) }
    let manifest = try manifest(document(names) + document(["other"], [1]))
    let answer = world.run(["plan", "--fleet", fleet, manifest, "-o", "json"])
    // Nobody has a snapshot of `other`.
    #expect(answer.status == 66, "\(answer)")
    let found = try hosts(answer)
    #expect(found.compactMap { $0["name"]?.string } == names + ["other"])
    for (name, entry) in zip(names, found) {
      let alone = world.run(["plan", "--host", "\(fleet)/\(name).json", manifest, "-o", "json"])
      #expect(entry["plan"] == (try JSON(text: alone.output)), "\(name)")
      #expect(entry["exitStatus"] == .integer(0) && entry["state"] == .string("changing"))
    }
    #expect(found.last?["failure"]?["message"]?.string?.contains("no snapshot of it is in") == true)
    #expect(found.last?["snapshot"] == nil)
  }

  @Test func `a subdirectory has its host's snapshot and manifests, beside those of all hosts`() throws {
    try world.folder.makeFolder("fleet/a")
    try world.folder.makeFolder("fleet/b")
    try snapshot("host1", "a/snapshot.json")
    try snapshot("host2", "b/whatever.json")
    try world.folder.write("fleet/a/net.yaml", document(["host1"], [0]))
    try world.folder.write("fleet/b/net.yaml", document(["host2"], [0, 1]))
    let answer = world.run(["plan", "--fleet", fleet, "--detailed-exitcode"])
    #expect(answer.status == 2 && answer.messages.isEmpty == false, "\(answer)")
    #expect(answer.output.contains("~ host1") && answer.output.contains("1 to attach"), "\(answer)")
    #expect(answer.output.contains("~ host2") && answer.output.contains("2 to attach"), "\(answer)")
    #expect(answer.output.contains("Hosts: 2 with changes."), "\(answer)")
    // The plan is the one that the host would have with both.
    let shared = try manifest("apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {policy: {prune: never}}\n")
    let both = try hosts(world.run(["plan", "--fleet", fleet, shared, "-o", "json"]))
    let alone = world.run(["plan", "--host", "\(fleet)/b/whatever.json", shared, "\(fleet)/b/net.yaml", "-o", "json"])
    #expect(both.last?["plan"] == (try JSON(text: alone.output)))
    #expect(both.last?["plan"]?["policy"]?["prune"] == .string("never"))
  }

  @Test func `what is wrong with one host ends no other host's plan`() throws {
    for name in ["host1", "host2", "twin"] { try snapshot(name) }
    try snapshot("twin", "twin-of-yesterday.json")
    try world.folder.write("fleet/bad.json", "{")
    try world.folder.write("fleet/plan.json", #"{"kind": "SavedPlan", "formatVersion": 1}"#)
    for name in ["empty", "many", "invalid", "strange"] { try world.folder.makeFolder("fleet/\(name)") }
    for name in ["x", "y"] { try world.folder.write("fleet/many/\(name).json", "{}") }
    for name in ["invalid", "strange"] { try snapshot(name, "\(name)/snapshot.json") }
    try world.folder.write("fleet/invalid/a.yaml", document(["invalid"]).replacing("devices", with: "devcies"))
    try world.folder.write("fleet/strange/a.yaml", document(["host1"]))
    try world.folder.write("fleet/notes.yaml", "notes")
    let manifest = try manifest(document(["host1", "twin"]))
    let answer = world.run(["plan", "--fleet", fleet, manifest, "-o", "json"])
    #expect(answer.status == 1, "\(answer)")
    let found = Dictionary(
      try hosts(answer).map { ($0["name"]?.string ?? "", $0) }, uniquingKeysWith: { first, _ in first })
    let causes = [
      "host2": "is for this host", "twin": "another snapshot is of this host, too: twin", "bad": "is cut off",
      "plan": "its kind is 'SavedPlan'", "empty": "there is no *.json",
      "many": "none is snapshot.json: 'x.json', 'y.json'",
      "invalid": "1 error in the manifests for this host", "strange": "1 error in the manifests for this host",
    ]
    #expect(found["host1"]?["plan"] != nil && found.count == causes.count + 1, "\(found.keys)")
    for (name, cause) in causes {
      #expect(
        found[name]?["failure"]?["message"]?.string?.contains(cause) == true,
        "\(name): \(String(describing: found[name]))")
      #expect(found[name]?["plan"] == nil && found[name]?["state"] == .string("notPlanned"))
    }
    #expect(
      answer.messages.contains("host invalid:\n") && answer.messages.contains("did you mean 'devices'?"), "\(answer)")
    #expect(answer.messages.contains("this document is for host 'host1', and the snapshot beside it is of 'strange'"))
    #expect(answer.messages.contains("not read in") && answer.messages.contains("'notes.yaml'"), "\(answer)")
  }

  @Test func `what is said of all hosts is said once`() throws {
    for number in 1...5 { try snapshot("host\(number)") }
    let manifest = try manifest(document((1...5).map { "host\($0)" }))
    let answer = world.run(["plan", "--fleet", fleet, manifest])
    #expect(answer.status == 0, "\(answer)")
    // The ids are not given, once per document; nothing else is said.
    #expect(answer.messages.components(of: "is not given") == 5, "\(answer.messages)")
  }

  @Test func `a host's warnings are those of the host alone, and each is said once`() throws {
    for name in ["host1", "host2"] { try snapshot(name) }
    let unused = "spec:\n  devices:\n    spare: {address: \"0000:0f:00.0\", id: \"8086:1533\"}\n  domains:"
    let manifest = try manifest(document(["host1", "host2"]).replacing("spec:\n  domains:", with: unused))
    let answer = world.run(["plan", "--fleet", fleet, manifest, "-o", "json"])
    for (name, entry) in zip(["host1", "host2"], try hosts(answer)) {
      let alone = world.run(["plan", "--host", "\(fleet)/\(name).json", manifest, "-o", "json"])
      #expect(
        try Set(JSON(text: alone.output)["warnings"]?.strings ?? []) == Set(entry["plan"]?["warnings"]?.strings ?? []))
    }
    #expect(answer.messages.ranges(of: "no domain uses the device").count == 2, "\(answer.messages)")
    let page = world.run(["plan", "--fleet", fleet, manifest, "-o", "markdown"]).output
    #expect(page.contains("Warning: `host1`, `host2`: no domain uses the device"), "\(page)")
  }

  @Test func `a broken entry takes no good host's plan away`() throws {
    try snapshot("host1")
    try world.folder.makeFolder("fleet/host1")
    try snapshot("host2", "new.json")
    try world.folder.write("fleet/host2.json", "{")
    let manifest = try manifest(document(["host1", "host2"]))
    let found = try hosts(world.run(["plan", "--fleet", fleet, manifest, "-o", "json"]))
    #expect(found.count == 4, "\(found)")
    #expect(found.filter { $0["plan"] != nil }.compactMap { $0["name"]?.string } == ["host1", "host2"])
    let causes = found.compactMap { $0["failure"]?["message"]?.string }
    #expect(causes.contains { $0.contains("no *.json") } && causes.contains { $0.contains("cut off") }, "\(causes)")
  }

  @Test func `nothing outside of the directory is read, and nothing is waited for`() throws {
    try snapshot("host1")
    try world.folder.makeFolder("outside")
    _ = try world.snapshot(of: host("host2"), "outside/host2.json")
    try world.folder.write("outside/host2.yaml", "secret: words")
    try world.folder.link("fleet/link.json", to: "../outside/host2.json")
    try world.folder.link("fleet/folder", to: "../outside")
    #expect(unsafe mkfifo("\(fleet)/pipe.json", 0o600) == 0)
    let answer = world.run(["plan", "--fleet", fleet, try manifest(document(["host1"])), "-o", "json"])
    let causes = Dictionary(
      uniqueKeysWithValues: try hosts(answer).map { ($0["name"]?.string, $0["failure"]?["message"]?.string) })
    #expect(causes["link"]??.contains("is a link to a file outside") == true, "\(causes)")
    #expect(causes["folder"]??.contains("is a link to a directory outside") == true, "\(causes)")
    #expect(causes["pipe"]??.contains("is no file") == true && causes.count == 4, "\(causes)")
    #expect(!answer.messages.contains("secret"))
  }

  @Test func `a lock, and what looks like a manifest, counts in a directory without manifests`() throws {
    try world.folder.makeFolder("fleet/host1")
    try snapshot("host1", "host1/snapshot.json")
    try world.folder.write("fleet/host1/host1.lock.yaml", "no lock")
    try world.folder.write("fleet/host1/net.YAML", "x: y")
    let manifest = try manifest(document(["host1"]))
    let answer = world.run(["plan", "--fleet", fleet, manifest, "-o", "json"])
    #expect(answer.status == 65, "\(answer)")
    #expect(answer.messages.contains("not read in \(fleet)/host1: 'net.YAML'\n  next: give manifests"), "\(answer)")
  }

  @Test func `a name without end is refused, and one without signs is no host`() throws {
    for (file, name) in [("long", String(repeating: "x", count: 256)), ("none", " ")] {
      try snapshot("host1", file + ".json")
      let text = String(decoding: try world.folder.read("fleet/\(file).json"), as: UTF8.self)
      try world.folder.write(
        "fleet/\(file).json", text.replacing("\"host\" : \"host1\"", with: "\"host\" : \"\(name)\""))
    }
    let answer = world.run(["plan", "--fleet", fleet, try manifest(document(["host1"])), "-o", "json"])
    let causes = try hosts(answer).compactMap { $0["failure"]?["message"]?.string }
    #expect(causes.contains { $0.contains("host name of more than 255 bytes") }, "\(causes)")
    #expect(causes.contains { $0.contains("a host without a name") }, "\(causes)")
  }

  @Test func `manifests may stand beside the snapshots`() throws {
    try snapshot("host1")
    try world.folder.write("fleet/all.yaml", document(["host1"]))
    let answer = world.run(["plan", "--fleet", fleet, fleet])
    #expect(answer.status == 0 && !answer.messages.contains("not read"), "\(answer)")
  }

  @Test func `options that are about one host are refused`() throws {
    try snapshot("host1")
    let manifest = try manifest(document(["host1"]))
    for words in [
      ["--host", "x.json"], ["--sandbox", "/tmp"], ["--out", "plan.json"], ["--lock", "x.lock.yaml"],
      ["--override", "0000:04:00.0=why"],
    ] {
      let answer = world.run(["plan", "--fleet", fleet, manifest] + words)
      #expect(answer.status == 64 && answer.messages.contains(words[0]), "\(answer)")
      #expect(answer.output.isEmpty)
    }
  }

  @Test func `a directory without hosts, or none, is named`() throws {
    let manifest = try manifest(document(["host1"]))
    for (path, words) in [
      (fleet, "has no host"), (fleet + "/none", "there is no"), (manifest, "is no directory"),
    ] {
      let answer = world.run(["plan", "--fleet", path, manifest])
      #expect(answer.status == 66 && answer.messages.contains(words) && answer.output.isEmpty, "\(answer)")
    }
    try snapshot("host1")
    #expect(world.run(["plan", "--fleet", fleet]).status == 64)
    // A subdirectory without manifests is none that has them.
    try world.folder.makeFolder("fleet/host2")
    try snapshot("host2", "host2/snapshot.json")
    #expect(world.run(["plan", "--fleet", fleet]).status == 64)
    let invalid = try self.manifest("spec: 1\n", "bad.yaml")
    let answer = world.run(["plan", "--fleet", fleet, invalid])
    #expect(answer.status == 65 && answer.messages.contains("no host was planned") && answer.output.isEmpty)
  }

  @Test func `each form has all hosts`() throws {
    for name in ["host1", "host2"] { try snapshot(name) }
    let manifest = try manifest(document(["host1", "host2"], [0, 7]))
    for form in ["table", "json", "jsonl", "markdown", "html", "github", "sarif", "gitlab", "junit"] {
      let answer = world.run(["plan", "--fleet", fleet, manifest, "-o", form])
      #expect(answer.status == 3, "\(form): \(answer)")
      #expect(answer.output.contains("host1") && answer.output.contains("host2"), "\(form): \(answer.output)")
    }
    let numbers = world.run(["plan", "--fleet", fleet, manifest, "-o", "gitlab-summary"])
    #expect(numbers.output == "{\"create\":2,\"delete\":0,\"update\":0}\n", "\(numbers)")
  }
}

extension String {
  /// Returns how often a text is in this one.
  fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
