import Glibc
import Model
import TestSupport
import Testing

/// Random things in and around a sandbox's directory: nothing outside of it ever changes.
struct SandboxAttacks {
  /// The number of rounds of each kind.
  private static let count = SoakReport.isSoak ? SoakReport.rounds : 4

  /// When the things are planted.
  enum Moment: String, CaseIterable { case beforeStart, whileRunning }

  @Test(arguments: Moment.allCases)
  func `nothing outside a sandbox changes, whatever stands in its place or among its files`(
    _ moment: Moment
  ) async throws {
    var failures = 0
    let base: UInt64 = moment == .beforeStart ? 0 : 1_000_000
    for seed in base..<base + UInt64(Self.count) {
      await Places.forSandboxes.take()
      defer { Places.forSandboxes.free() }
      var attack = try SandboxAttack(seed: seed)
      let findings = try await moment == .beforeStart ? attack.beforeStart() : attack.whileRunning()
      if !findings.isEmpty { failures += 1 }
      #expect(findings == [], "\(moment.rawValue), seed \(seed): \(attack.story)")
    }
    try SoakReport.add(["attacks": Self.count, "attack_failures": failures])
  }
}

/// One sandbox, its surroundings, and what a seed plants there.
private struct SandboxAttack {
  private let folder: TemporaryFolder
  private var random: SeededGenerator
  /// What was planted, and what the commands said, for the report of a failure.
  private(set) var story: [String] = []
  private var planted = 0

  private var directory: String { folder.path + "/host" }
  private var victim: String { folder.path + "/victim" }
  private let scenario: String
  private let manifest: String

  /// Names that a sandbox has; each may be planted before it starts.
  private static let names = [
    "root", "root/dev", "root/dev/kmsg", "root/run", "root/var", "root/var/lib/berth", "root/var/lib/xen",
    "root/sys/bus/pci/devices", "xenstored", "xenstored/socket", "log", "log/simulator.log", "log/xenstored.log",
    "sandbox.json", "sandbox.json.new", "scenario.yaml", "simulator.lock", "hypervisor.sock", "dom-5", "notes.txt",
    ".git/config",
  ]

  init(seed: UInt64) throws {
    random = SeededGenerator(seed: seed)
    folder = try TemporaryFolder()
    (scenario, manifest) = (folder.path + "/scenario.yaml", folder.path + "/host.yaml")
    try folder.write("victim/file", "as it was")
    try folder.write("victim/folder/keep", "as it was")
    try folder.write("victim/folder/deep/keep", "as it was")
    let domains = ["{name: net, domid: 5}", "{name: off, domid: 6, lifecycle: absent}"]
    try folder.write("scenario.yaml", TestScenario.host(devices: 3, domains))
    let device = Sample.address(0)
    try folder.write(
      "host.yaml",
      "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domains:\n    net:\n      devices: ['\(device)']\n")
  }

  // MARK: Rounds

  /// Plants things where a sandbox is to start, and tries every command there.
  mutating func beforeStart() async throws -> [String] {
    if chance(of: 4) {
      try link(directory, to: victim + "/folder")
    } else if chance(of: 2) {
      // A stopped sandbox, whose files are then exchanged.
      guard try await berth("sandbox", "start", scenario) == 0 else { return ["no sandbox started: \(story)"] }
      _ = try await berth("sandbox", "stop", "--keep")
    } else {
      try folder.makeFolder("host")
      _ = unsafe chmod(directory, pick([0o700, 0o755, 0o777]))
    }
    if !isLink(directory) {
      for _ in 0..<Int.random(in: 0...3, using: &random) { try plant(pick(Self.names)) }
      if geteuid() == 0, chance(of: 5) { give(directory) }
    }
    let before = try TreeSnapshot(of: victim)
    let all = try TreeSnapshot(of: folder.path)
    let status = try await berth("sandbox", "start", scenario)
    var findings: [String] = []
    if status != 0, status != 1 {
      // A refusal comes before any change. An own empty directory may have been closed to others.
      findings += try TreeSnapshot(of: folder.path).differences(from: all).filter { !$0.hasPrefix(directory + ": ") }
    }
    for words in [["status"], ["doctor"], ["apply", manifest, "--yes", "--wait-timeout", "5s"], ["sandbox", "stop"]] {
      _ = try await berth(words)
    }
    return try findings + TreeSnapshot(of: victim).differences(from: before)
  }

  /// Exchanges files of a running sandbox, works on it, stops it, exchanges more, and starts it again.
  mutating func whileRunning() async throws -> [String] {
    guard try await berth("sandbox", "start", scenario) == 0 else { return ["no sandbox started: \(story)"] }
    // The simulator is found by these two. Without them the test could not end it.
    let found = try below("").filter { $0 != "sandbox.json" && $0 != "simulator.lock" }
    for _ in 0..<Int.random(in: 1...4, using: &random) { try plant(pick(found)) }
    let before = try TreeSnapshot(of: victim)
    let apply = ["apply", manifest, "--yes", "--wait-timeout", "3s", "--lock-timeout", "1s"]
    for words in [
      apply, ["status"], ["sandbox", "destroy", "net"], ["sandbox", "start-domain", "net"],
      ["sandbox", "start-domain", "off"], ["sandbox", "lock", "off"], apply, ["sandbox", "status"],
    ].shuffled(using: &random) { _ = try await berth(words) }
    guard try await berth("sandbox", "stop", "--keep") == 0 else { return ["the sandbox did not stop: \(story)"] }
    var findings = try TreeSnapshot(of: victim).differences(from: before)
    for _ in 0..<Int.random(in: 0...2, using: &random) { try plant(pick(found + ["sandbox.json", "simulator.lock"])) }
    let later = try TreeSnapshot(of: victim)
    let isRunning = try await berth("sandbox", "start", scenario) == 0
    let stopped = try await berth("sandbox", "stop")
    if isRunning, stopped != 0 { findings.append("the second sandbox did not stop: \(story)") }
    return try findings + TreeSnapshot(of: victim).differences(from: later)
  }

  private mutating func berth(_ words: String...) async throws -> Int32 { try await berth(words) }

  private mutating func berth(_ words: [String]) async throws -> Int32 {
    let result = try await Command.berth(words, environment: ["BERTH_SANDBOX": directory]).run(within: .seconds(120))
    story.append("\(words.joined(separator: " ")): \(result.status) \(result.errors)")
    return result.status
  }

  // MARK: Planting

  /// Puts something in the place of a name, and moves what is there into the sandbox's log.
  private mutating func plant(_ name: String) throws {
    let path = directory + "/" + name
    planted += 1
    if let slash = name.lastIndex(of: "/") {
      // A parent that was planted stays as it is.
      guard !isLink(directory + "/" + name[..<slash]) else { return }
      makeParents(of: path)
    }
    var found = stat()
    let isThere = unsafe lstat(path, &found) == 0
    let isFolder = isThere && found.st_mode & S_IFMT == S_IFDIR
    if isThere {
      let aside = "\(directory)/\(name.hasPrefix("log") ? "root" : "log")/aside-\(planted)"
      guard unsafe rename(path, aside) == 0 else { return }
    }
    switch Int.random(in: 0..<8, using: &random) {
    case 0, 1, 2: try link(path, to: victim + (isFolder ? "/folder" : "/file"))
    case 3: try link(path, to: victim + (isFolder ? "/file" : "/folder"))
    case 4: if unsafe Glibc.link(victim + "/file", path) == 0 { story.append("\(path) is the victim's file") }
    case 5: if unsafe mkdir(path, 0o700) == 0 { story.append("\(path) is a directory") }
    // Attributes of devices are not looked at before they are read, and a FIFO keeps its reader for ever.
    case 6 where !name.contains("pci/devices/"):
      if unsafe mkfifo(path, 0o600) == 0 { story.append("\(path) is a FIFO") }
    default:
      let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
      if file >= 0 { close(file) }
      story.append("\(path) is an empty file")
    }
    if geteuid() == 0, chance(of: 4) { give(path) }
  }

  private mutating func link(_ path: String, to target: String) throws {
    if unsafe symlink(target, path) == 0 { story.append("\(path) leads to \(target)") }
  }

  /// Gives a name to another user. Only root can.
  private mutating func give(_ path: String) {
    // A second name of the victim's file would give the victim away.
    var found = stat()
    guard unsafe lstat(path, &found) == 0, found.st_mode & S_IFMT == S_IFDIR || found.st_nlink == 1 else { return }
    if unsafe lchown(path, 65534, 65534) == 0 { story.append("\(path) belongs to another user") }
  }

  private func makeParents(of path: String) {
    var made = directory
    for name in path.dropFirst(directory.count).split(separator: "/").dropLast() {
      made += "/" + name
      _ = unsafe mkdir(made, 0o700)
    }
  }

  /// Returns whether a path, or a part of it below the folder of the round, is a link.
  private func isLink(_ path: some StringProtocol) -> Bool {
    var part = folder.path
    for name in path.dropFirst(folder.path.count).split(separator: "/") {
      part += "/" + name
      var found = stat()
      if unsafe lstat(part, &found) == 0, found.st_mode & S_IFMT == S_IFLNK { return true }
    }
    return false
  }

  /// Returns every name below a directory of the sandbox, without following links.
  private func below(_ name: String) throws -> [String] {
    var names: [String] = []
    for child in try folder.names(in: "host/" + name) {
      let path = name.isEmpty ? child : name + "/" + child
      names.append(path)
      var found = stat()
      guard unsafe lstat(directory + "/" + path, &found) == 0, found.st_mode & S_IFMT == S_IFDIR else { continue }
      names += try below(path)
    }
    return names
  }

  private mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[Int.random(in: 0..<elements.count, using: &random)]
  }

  private mutating func chance(of count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
}
