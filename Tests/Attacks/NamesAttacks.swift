import FoundationEssentials
import Model
import TestSupport
import Testing

/// Random names of domains on a host: they look alike, steer terminals, are wide, or are missing.
///
/// A failure names its seed, and `RandomNames(seed:)` draws the same names again.
struct NamesAttacks {
  private static let rounds = SoakReport.isSoak ? 4 * SoakReport.rounds : 2
  private static let firstSeed: UInt64 = 53_000_000

  @Test func `a device goes to the domain of exactly the declared name, and every name is shown as it is`() async throws
  {
    var failures = 0
    for seed in Self.firstSeed..<Self.firstSeed + UInt64(Self.rounds) {
      let names = RandomNames(seed: seed)
      let found = try await faults(names)
      if !found.isEmpty { failures += 1 }
      #expect(found == [], "seed \(seed): \(names.all.map(\.debugDescription))")
    }
    try SoakReport.add(["attacks": Self.rounds, "attack_failures": failures])
  }

  private func faults(_ names: RandomNames) async throws -> [String] {
    let domains = names.all.enumerated().map { number, name in "{name: \(yaml(name)), domid: \(5 + number)}" }
    let nameless = 5 + names.all.count - 1
    let scenario = TestScenario.host(
      devices: 2, domains, faults: "{store: {/local/domain/\(nameless)/name: null}}")
    return try await TestHost.with(scenario) { host in
      try host.folder.write(
        "m.yaml",
        """
        apiVersion: berth/v1alpha1
        kind: HostAssignments
        spec: {domains: {\(yaml(names.declared)): {devices: [{address: "\(Sample.address(0))", id: "8086:1533"}]}}}

        """)
      let manifest = "\(host.folder.path)/m.yaml"
      var faults: [String] = []
      for (words, statuses) in [
        (["plan", manifest], [0]), (["plan", manifest, "-o", "json"], [0]), (["status"], [0]),
        (["status", "--drift"], [0]),
        (["status", "-o", "json"], [0]), (["doctor"], [0, 1]), (["sandbox", "status"], [0]),
        (["apply", manifest, "--yes", "-v"], [0]), (["plan", manifest], [0]), (["status", manifest], [0]),
      ] as [([String], [Int32])] {
        let command = try Command.berth(words, environment: ["BERTH_SANDBOX": host.directory])
        faults += try await Shown.faults(of: command, statuses: statuses).map {
          "\(words.joined(separator: " ")): \($0)"
        }
      }
      let status = try await host.berth("status", "-o", "json")
      let document = try JSONDecoder().decode(HostDocument.self, from: Data(status.output.utf8))
      let holders = document.domains.filter {
        $0.devices.contains { $0.device.address == Sample.address(0).description }
      }
      if holders.map({ Name($0.name) }) != [Name(names.declared)] || holders.first?.domid != 5 {
        faults.append("the device is in \(holders.map(\.name.debugDescription))")
      }
      let unnamed = document.domains.filter { $0.domid == UInt32(nameless) }.map(\.name)
      if unnamed != [""] { faults.append("the domain without a name is called \(unnamed)") }
      return faults
    }
  }

  private struct HostDocument: Decodable {
    struct Domain: Decodable {
      var name: String
      var domid: UInt32?
      var devices: [Device]
    }
    struct Device: Decodable { var device: Address }
    struct Address: Decodable { var address: String }
    var domains: [Domain]
  }

  /// Returns a name as a quoted scalar of YAML, each character by its number.
  private func yaml(_ name: String) -> String {
    "\"" + name.unicodeScalars.map { "\\U" + hex(UInt64($0.value), 8) }.joined() + "\""
  }
}

/// Names for domains of one host, different in their bytes.
struct RandomNames {
  /// The names of all domains, in the order of their numbers: the declared one first.
  let all: [String]
  var declared: String { all[0] }

  /// Names that a manifest may declare, each with another one that Unicode lets look the same.
  private static let twins = [
    ("caf\u{E9}", "cafe\u{301}"), ("cafe\u{301}", "caf\u{E9}"), ("\u{C5}ngstr\u{F6}m", "\u{212B}ngstr\u{F6}m"),
    ("\u{AC01}", "\u{1100}\u{1161}\u{11A8}"), ("q\u{307}\u{323}", "q\u{323}\u{307}"), ("\u{2126}", "\u{3A9}"),
    ("Kelvin", "\u{212A}elvin"),
  ]

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let (first, second) = Self.twins.randomElement(using: &random) ?? ("a", "b")
    var names = [first, second]
    while names.count < 6 {
      var name = ""
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        name += RandomDirectory.pieces.randomElement(using: &random) ?? ""
      }
      // A placeholder that no tool has filled in is refused in a scenario.
      if !names.contains(where: { Name($0) == Name(name) }), !name.contains("$(") { names.append(name) }
    }
    all = names
  }
}
