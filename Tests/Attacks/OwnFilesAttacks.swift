import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Random damage of Berth's own files. Every command ends with a right exit code, other domains are changed as usual, and
/// after the damaged file is moved away, as the message says, an apply works.
@Suite struct OwnFilesAttacks {
  /// The number of attacks on one sandbox.
  private static let count = SoakReport.isSoak ? SoakReport.rounds * 5 : 14

  private static let ours = Sample.address(0)
  private static let theirs = Sample.address(1)

  @Test func `a damaged file of Berth's own stops its own domain, and nothing else`() async throws {
    let domains = ["{name: ours, domid: 5}", "{name: theirs, domid: 7}"]
    try await TestHost.with(TestScenario.host(devices: 2, domains)) { host in
      // Whoever follows a link to it waits for ever.
      try #require(unsafe mkfifo("\(host.folder.path)/endless", 0o600) == 0)
      let base: UInt64 = SoakReport.isSoak ? UInt64.random(in: 0..<1_000_000) : 0
      var failures = 0
      for seed in base..<base + UInt64(Self.count) where failures < 5 {
        var attack = OwnFilesAttack(host: host, seed: seed)
        do {
          for fault in try await attack.run() {
            failures += 1
            Issue.record("seed \(seed), \(attack.name): \(fault)")
          }
        } catch {
          failures += 1
          Issue.record("seed \(seed), \(attack.name): \(error)")
        }
      }
      try SoakReport.add(["attacks": Self.count, "attack_failures": failures])
    }
  }
}

/// One attack: a file about the domain `ours` is damaged, and then both domains are to change.
private struct OwnFilesAttack {
  private enum Target: CaseIterable { case record, intent, oldIntent, runLock }

  private enum Damage: CaseIterable {
    case flippedBit, truncated, empty, garbage, huge, nested, numbers
    case link, folder, pipe, socket, writable, unreadable, stranger
  }

  private let host: TestHost
  private var random: SeededGenerator
  private let target: Target
  private let damage: Damage
  private(set) var name = ""

  init(host: TestHost, seed: UInt64) {
    self.host = host
    random = SeededGenerator(seed: seed)
    // Only root gives files away.
    let damages = Damage.allCases.filter { $0 != .stranger || geteuid() == 0 }
    // Consecutive seeds go through all damages, and later through all targets of each.
    let (round, number) = Int(seed).quotientAndRemainder(dividingBy: damages.count)
    damage = damages[number]
    target = Target.allCases[(number + round) % Target.allCases.count]
    name = "\(target) \(damage)"
  }

  /// Returns what was wrong; empty if nothing was.
  mutating func run() async throws -> [String] {
    var faults: [String] = []
    let both = try host.manifest(["ours": [Sample.address(0)], "theirs": [Sample.address(1)]], name: "both.yaml")
    let none = try host.manifest(["ours": [], "theirs": []], name: "none.yaml")
    let start = try await host.berth("apply", both, "--yes")
    guard start.status == 0 else { return ["the start: \(start.output)\(start.errors)"] }

    let path = try await place()
    try makeDamage(at: path)
    // Damage may leave a file that is still one of Berth's: a bit in a text for people, for example.
    let doctor = try await host.berth("doctor", "-o", "json")
    let isSeen = doctor.output.replacing("\\/", with: "/").contains(path)
    if doctor.status != 0 { faults.append("doctor ended with \(doctor.status): \(doctor.errors)") }
    let status = try await host.berth("status")
    if status.status != 0 { faults.append("status ended with \(status.status): \(status.errors)") }
    if isSeen, !status.errors.contains(path) { faults.append("status does not name \(path): \(status.errors)") }
    let plan = try await host.berth("plan", none)
    if ![0, 3].contains(plan.status) { faults.append("plan ended with \(plan.status): \(plan.errors)") }

    let apply = try await host.berth("apply", none, "--yes", "--lock-timeout", "2s")
    let view = try await host.status()
    if isSeen {
      // A run reports the domain's lock; a plan is blocked by the other files.
      let right: Set<Int32> = target == .runLock ? [1, 6] : [3]
      if !right.contains(apply.status) {
        faults.append("apply ended with \(apply.status): \(apply.output)\(apply.errors)")
      }
      if !(apply.output + apply.errors).contains(path) { faults.append("apply does not name \(path): \(apply.output)") }
      if try view.domain("ours").guestDevices.isEmpty { faults.append("the file's own domain was changed") }
    } else if ![0, 1, 3, 5, 6].contains(apply.status) {
      // The file is one that Berth could have written. It may name other devices now.
      faults.append("apply ended with \(apply.status), and doctor saw no damage: \(apply.output)\(apply.errors)")
    }
    if try !view.domain("theirs").guestDevices.isEmpty { faults.append("another domain was not changed") }
    return faults + (try await moveAway(path, both, none))
  }

  /// Moves the file away, as the message says. Then an apply works.
  private func moveAway(_ path: String, _ both: String, _ none: String) async throws -> [String] {
    let away = "\(host.folder.path)/away"
    if unsafe rename(path, away) == 0 {
      try FileManager.default.removeItem(atPath: away)
    } else if errno != ENOENT {
      return ["rename: \(errno)"]
    }
    // Without its record the device is foreign, so it is adopted before it is detached.
    for manifest in [both, none] {
      let result = try await host.berth("apply", manifest, "--yes")
      if result.status != 0 {
        return ["the apply after all ended with \(result.status): \(result.output)\(result.errors)"]
      }
    }
    let view = try await host.status()
    let left = try ["ours", "theirs"].filter { try !view.domain($0).guestDevices.isEmpty }
    let doctor = try await host.berth("doctor", "--detailed-exitcode", "-o", "json")
    let isSeen = doctor.output.replacing("\\/", with: "/").contains(path)
    return left.map { "\($0) still has its device" } + (isSeen ? ["doctor still names \(path)"] : [])
  }

  /// Returns the path of the file to damage. An intent is made, as a killed run leaves it.
  private mutating func place() async throws -> String {
    let domain = try await host.status().domain("ours")
    let root = "\(host.directory)/root"
    switch target {
    case .record: return "\(root)/var/lib/berth/domains/\(domain.uuid).json"
    case .runLock: return "\(root)/run/berth/locks/\(domain.uuid).lock"
    case .intent, .oldIntent:
      let uuid = target == .intent ? "-\(domain.uuid)" : ""
      let name =
        "host/root/run/berth/intents/\(domain.id)\(uuid)-attach-\(UInt32.random(in: 0...99, using: &random)).json"
      try host.folder.write(
        name,
        """
        {"version": 1, "operation": "attach", "devices": ["\(Sample.address(0))"], "since": 1700000000,
         "domain": {"id": \(domain.id), "uuid": "\(domain.uuid)"}}
        """)
      return "\(host.folder.path)/\(name)"
    }
  }

  private mutating func makeDamage(at path: String) throws {
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    var status: Int32 = 0
    switch damage {
    case .flippedBit:
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        guard let place = bytes.indices.randomElement(using: &random) else { continue }
        bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
      }
    case .truncated: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
    case .empty: bytes = []
    case .garbage: bytes = (0..<200).map { _ in UInt8.random(in: 0...255, using: &random) }
    case .nested: bytes += Array(repeating: UInt8(ascii: "["), count: 300_000)
    case .numbers:
      let huge = ["-9223372036854775808", "18446744073709551615", "9223372036854775807", "1e308", "-1", "4294967296"]
      bytes = Array(
        String(decoding: bytes, as: UTF8.self).replacing(/[0-9]+(?=[,\n} ])/) { _ in
          huge.randomElement(using: &random) ?? "0"
        }.utf8)
    case .huge: status = unsafe truncate(path, 1 << 36)
    case .link: status = unsafe rename(path, path + ".aside") | symlink("\(host.folder.path)/endless", path)
    case .folder: status = unsafe unlink(path) | mkdir(path, 0o700)
    case .pipe: status = unsafe unlink(path) | mkfifo(path, 0o600)
    case .socket: status = unsafe unlink(path) | mknod(path, S_IFSOCK | 0o600, 0)
    case .writable: status = unsafe chmod(path, 0o666)
    case .unreadable: status = unsafe chmod(path, 0)
    case .stranger: status = unsafe chown(path, 65534, 65534)
    }
    try #require(status == 0, "cannot damage \(path): \(errno)")
    switch damage {
    case .flippedBit, .truncated, .empty, .garbage, .nested, .numbers:
      // The new bytes are in a new file: nobody has the old one open.
      try Data(bytes).write(to: URL(fileURLWithPath: path))
    case .huge, .link, .folder, .pipe, .socket, .writable, .unreadable, .stranger: break
    }
  }
}
