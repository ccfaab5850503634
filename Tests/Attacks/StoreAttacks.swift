import Model
import TestSupport
import Testing

/// Random damage of one domain's nodes in a real xenstored. Each command ends with an exit code of its own, the other
/// domain is changed as usual, and after the damaged guest has been replaced, an apply works.
///
/// A failure names its seed, and `StoreDamage(seed:)` draws the same damage again.
@Suite struct StoreAttacks {
  /// The number of attacks per xenstored.
  private static let count = SoakReport.isSoak ? 2 * SoakReport.rounds : 4
  private static let firstSeed: UInt64 = 54_000_000

  @Test(arguments: [TestHost.Store.c, .ox])
  func `damaged nodes of one domain stop nothing else`(_ store: TestHost.Store) async throws {
    let domains = ["{name: ours, domid: 5}", "{name: theirs, domid: 7}"]
    try await TestHost.with(TestScenario.host(devices: 4, domains), store) { host in
      var failures = 0
      let base = Self.firstSeed + (store == .c ? 0 : 500_000)
      for seed in base..<base + UInt64(Self.count) where failures < 5 {
        let damage = StoreDamage(seed: seed)
        for fault in try await faults(of: damage, on: host) {
          failures += 1
          Issue.record("\(store.rawValue), seed \(seed), \(damage): \(fault)")
        }
      }
      try SoakReport.add(["attacks": Self.count, "attack_failures": failures])
    }
  }

  private func faults(of damage: StoreDamage, on host: TestHost) async throws -> [String] {
    let first = try host.manifest(
      ["ours": [Sample.address(0), Sample.address(1)], "theirs": [Sample.address(2)]], name: "first.yaml")
    let second = try host.manifest(
      ["ours": [Sample.address(1)], "theirs": [Sample.address(2), Sample.address(3)]], name: "second.yaml")
    let start = try await host.berth("apply", first, "--yes")
    guard start.status == 0 else { return ["the start: \(start.output)\(start.errors)"] }

    let ours = try await host.status().domain("ours").id
    try await damage.make(on: host, ours)
    var faults: [String] = []
    for words in [["status"], ["status", "-o", "json"], ["plan", second], ["doctor"]] {
      let result = try await host.berth(words)
      if ![0, 1, 3].contains(result.status) {
        faults.append("\(words.joined(separator: " ")) ended with \(result.status): \(result.errors)")
      }
    }
    let apply = try await host.berth("apply", second, "--yes", "--wait-timeout", "2s", "--lock-timeout", "20s")
    if ![0, 1, 3, 4, 5, 6, 7].contains(apply.status) {
      faults.append("apply ended with \(apply.status): \(apply.output)\(apply.errors)")
    }
    // A claim in another domain's name may be that domain's.
    let claims = damage.claims(of: DomainID(7))
    let theirs = try await host.disagreements(of: "theirs", expecting: [Sample.address(2), Sample.address(3)])
    faults += theirs.filter { claims.isEmpty || !$0.hasPrefix("claimed: ") }.map { "theirs: \($0)" }

    // A guest whose bus is damaged is replaced, as the plan says.
    try await host.change("destroy", "ours")
    try await host.change("start-domain", "ours")
    for attempt in 1...2 {
      let after = try await host.berth("apply", first, "--yes")
      if after.status == 0 { break }
      if attempt == 2 { faults.append("after the restart: \(after.status): \(after.output)\(after.errors)") }
      // Such a claim stays until somebody removes it, with the command that the plan gives.
      for claim in claims where after.output.contains("`xenstore-rm \(claim)`") {
        _ = try await host.stock("/usr/bin/xenstore-rm", [claim]).run()
      }
    }
    return faults
  }
}

/// A few values that no toolstack writes, in nodes of one domain.
struct StoreDamage: CustomStringConvertible {
  private let changes: [(node: String, value: String?)]

  var description: String {
    changes.map { "\($0.node)=\($0.value.map { $0.prefix(40).debugDescription } ?? "none")" }.joined(separator: " ")
  }

  private static let values = [
    "", "0", "1", "2", "3", "5", "6", "7", "8", "9", "-1", "256", "257", "4294967296", "99999999999999999999", "0x10",
    " 4", "4 ", " -1", "four", "\u{1B}[8m", "\u{202E}", "0000:03:00.0", "0000:03:1f.7", "ffff:ff:1f.7", "0000:03:20.0",
    "0000:00:00.00", "/local/domain/7/device/pci/0", "/local/domain/0", "permissive=1", "msitranslate=,,=",
    String(repeating: "9", count: 1500),
  ]
  private static let backEnd = [
    "state", "num_devs", "online", "frontend", "frontend-id", "dev-0", "dev-1", "dev-2", "dev-255", "state-0",
    "state-1",
    "state-2", "vdev-0", "vdev-1", "opts-0", "opts-1", "key-0", "key-1", "vdevfn-0", "name-0",
  ]
  private static let frontEnd = ["state", "backend", "backend-id"]

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    changes = (0..<Int.random(in: 1...4, using: &random)).map { _ in
      let node =
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<6: "backend/pci/DOMAIN/0/" + (Self.backEnd.randomElement(using: &random) ?? "state")
        case 6..<8: "DOMAIN/device/pci/0/" + (Self.frontEnd.randomElement(using: &random) ?? "state")
        case 8: "claim-0"
        default: "claim-1"
        }
      let isGone = Int.random(in: 0..<5, using: &random) == 0
      return (node, isGone ? nil : Self.values.randomElement(using: &random))
    }
  }

  /// Returns the claims that say in the end that a device is the domain's.
  func claims(of domain: DomainID) -> [String] {
    ["claim-0", "claim-1"].filter { claim in changes.last { $0.node == claim }?.value == "\(domain)" }.map(
      path(ofClaim:))
  }

  /// Returns the path of a device's claim.
  private func path(ofClaim node: String) -> String {
    let device = Sample.address(node == "claim-0" ? 0 : 1)
    return "/libxl/pci/\(device.description.replacing(":", with: "-").replacing(".", with: "-"))/domid"
  }

  /// Writes and removes the nodes of a domain.
  func make(on host: TestHost, _ domain: DomainID) async throws {
    for (node, value) in changes {
      let path: String
      switch node {
      case "claim-0", "claim-1": path = self.path(ofClaim: node)
      default:
        let place = node.replacing("DOMAIN", with: "\(domain)")
        path = place.hasPrefix("backend") ? "/local/domain/0/" + place : "/local/domain/" + place
      }
      if let value {
        try await host.write(path, value)
      } else {
        _ = try await host.stock("/usr/bin/xenstore-rm", [path]).run()
      }
    }
  }
}
