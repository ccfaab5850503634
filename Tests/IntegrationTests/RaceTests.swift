import FoundationEssentials
import Model
import TestSupport
import Testing

/// Several real processes at once: no device is lost.
struct Races {
  static let devices = (0..<8).map(Sample.address)

  @Test(arguments: TestHost.Store.allCases, 0..<SoakReport.raceTracks)
  func `eight applies at once, each with another first device of one fresh domain`(
    _ store: TestHost.Store, _ track: Int
  ) async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5, lifecycle: absent}"]), store) { host in
      let manifests = try Self.devices.enumerated().map { number, device in
        try host.manifest(["net": [device]], policy: "{prune: never}", name: "\(number).yaml")
      }
      let none = try host.manifest(["net": []], policy: "{prune: owned}", name: "none.yaml")
      var lost = 0
      // A daemon with artificial conflicts is oxenstored again.
      let all = store == .failing ? min(SoakReport.races, SoakReport.rounds) : SoakReport.races
      let races = (all + track) / SoakReport.raceTracks
      for round in 0..<races {
        try await host.change("start-domain", "net")
        let results = try await Self.all(
          manifests.map { manifest in
            { try await host.berth("apply", manifest, "--yes", "--lock-timeout", "10m", "--wait-timeout", "60s") }
          })
        for result in results {
          #expect(result.status == 0, "round \(round): \(result.output)\(result.errors)")
        }
        let findings = try await host.disagreements(of: "net", expecting: Set(Self.devices))
        #expect(findings == [], "round \(round)")
        // No run has taken another run's new intent for a leftover intent.
        let plan = try await host.berth("plan", none)
        #expect(plan.output.contains("Plan: 8 to detach."), "round \(round): \(plan.output)\(plan.errors)")
        lost += Self.devices.count - Set(try await host.status().domain("net").guestDevices.values).count
        try await host.change("destroy", "net")
      }
      let name = store == .c ? "races_c" : store == .ox ? "races_ox" : "races_eagain"
      try SoakReport.add(KeyValuePairs(dictionaryLiteral: (name, races), ("lost_berth", lost)))
    }
  }

  /// libxl reads the number of devices, waits for the bus to be at rest, and then writes on the basis of that number.
  ///
  /// The guest is slow, so that the wait is long and another program's entry is added during it.
  @Test(arguments: [TestHost.Store.c, .ox])
  func `beside a stock xl pci-attach, no device of Berth stays lost`(_ store: TestHost.Store) async throws {
    let domain = "{name: net, domid: 5, lifecycle: absent, answers: slow, delay: 150ms}"
    try await TestHost.with(TestScenario.host([domain]), store) { host in
      let ours = Array(Self.devices[..<4])
      let manifests = try ours.enumerated().map { number, device in
        try host.manifest(["net": [device]], policy: "{prune: never}", name: "\(number).yaml")
      }
      let all = try host.manifest(["net": ours], policy: "{prune: never}", name: "all.yaml")
      var lost = 0
      var readopted = 0
      for round in 0..<SoakReport.longRounds {
        try await host.change("start-domain", "net")
        // The bus already exists, so that xl appends to it.
        #expect(try await host.berth("apply", manifests[0], "--yes").status == 0)
        let xl = try host.xl("pci-attach", "net", Self.devices[7].text)
        // The other runs begin after the first has begun its round.
        let count = "/local/domain/0/backend/pci/\(try await host.status().domain("net").id)/0/num_devs"
        let results = try await Self.all(
          [
            {
              try await host.wait(for: count, toReach: 2)
              return try await xl.run()
            }
          ]
            + manifests[1...].enumerated().map { number, manifest in
              {
                if number > 0 { try await host.wait(for: count, toReach: 2) }
                return try await host.berth("apply", manifest, "--yes", "-o", "json")
              }
            })
        #expect(results[0].status == 0, "round \(round): \(results[0])")
        for result in results.dropFirst() { readopted += try Self.readopted(in: result.output) }
        let last = try await host.berth("apply", all, "--yes", "-o", "json")
        readopted += try Self.readopted(in: last.output)
        #expect(last.status == 0, "round \(round): \(last.output)\(last.errors)")
        let missing = Set(ours).subtracting(try await host.status().domain("net").guestDevices.values)
        #expect(missing == [], "round \(round)")
        lost += missing.count
        let everybody = Set(ours + [Self.devices[7]])
        #expect(try await host.disagreements(of: "net", expecting: everybody) == [], "round \(round)")
        try await host.change("destroy", "net")
      }
      try SoakReport.add(["races_beside_xl": SoakReport.longRounds, "lost_beside_xl": lost, "readopted": readopted])
    }
  }

  /// Runs all at the same time, and returns the results in order.
  private static func all(
    _ commands: [@Sendable () async throws -> Command.Result]
  ) async throws -> [Command.Result] {
    try await withThrowingTaskGroup(of: (Int, Command.Result).self) { group in
      for (number, command) in commands.enumerated() { group.addTask { (number, try await command()) } }
      return try await group.reduce(into: [(Int, Command.Result)]()) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  private struct Document: Decodable {
    struct Domain: Decodable { var readopted: [String]? }
    var domains: [Domain]?
  }

  /// Returns how many entries, according to an apply's document, were overwritten and added again.
  static func readopted(in document: String) throws -> Int {
    let domains = try JSONDecoder().decode(Document.self, from: Data(document.utf8)).domains ?? []
    return domains.reduce(0) { $0 + ($1.readopted?.count ?? 0) }
  }
}
