import Core
import TestSupport
import Testing

/// Rounds of the guest's bus that another's write has brought to a stop.
@Suite struct StuckRounds {
  /// libxl asks for a round blindly. Where it does so just as pciback has answered the guest, each waits for the other.
  @Test(arguments: [TestHost.Store.c, .ox])
  func `a round asked for over pciback's answer goes on`(_ store: TestHost.Store) async throws {
    let domain = "{name: net, domid: 5, answers: slow, delay: 500ms}"
    try await TestHost.with(TestScenario.host([domain]), store) { host in
      let devices = (0..<2).map(Sample.address)
      let first = try host.manifest(["net": [devices[0]]], policy: "{prune: never}", name: "first.yaml")
      let both = try host.manifest(["net": devices], policy: "{prune: never}", name: "both.yaml")
      #expect(try await host.berth("apply", first, "--yes", "--wait-timeout", "60s").status == 0)
      let state = "/local/domain/0/backend/pci/5/0/state"
      async let applied = host.berth("apply", both, "--yes", "--wait-timeout", "3s")
      try await host.wait(for: state, toBe: "8")
      try await host.write(state, "7")
      let result = try await applied
      #expect(result.status == 0, "\(result.output)\(result.errors)")
      #expect(try await host.disagreements(of: "net", expecting: Set(devices)) == [])
    }
  }
}
