import Core
import TestSupport
import Testing

/// Berth and stock xl on one host, one after the other: each finds what the other did.
struct `Beside xl` {
  @Test(arguments: [TestHost.Store.c, .ox])
  func `xl lists what Berth attached, and Berth mends what xl left behind`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let two = try host.manifest(["net": [0, 1].map(Sample.address)])
      #expect(try await host.berth("apply", two, "--yes").status == 0)
      let list = try await host.xl("pci-list", "net").run()
      #expect(list.status == 0, "\(list.errors)")
      for number in 0..<2 { #expect(list.output.contains(Sample.address(number).text), "\(list.output)") }

      // xl takes one away, and leaves it in the saved configuration.
      let detach = try await host.xl("pci-detach", "net", Sample.address(0).text).run()
      #expect(detach.status == 0, "\(detach.errors)")
      #expect(try host.savedDevices(of: try await host.status().domain("net")).count == 2)

      let one = try host.manifest(["net": [Sample.address(1)]], name: "one.yaml")
      let plan = try await host.berth("plan", one, "--detailed-exitcode")
      #expect(plan.status == 2, "\(plan.errors)")
      #expect(plan.output.contains("config-only"))
      #expect(try await host.berth("apply", one, "--yes").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(1)]) == [])
    }
  }

  @Test func `what xl attached is foreign until it is declared`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let attach = try await host.xl("pci-attach", "net", Sample.address(0).text).run()
      #expect(attach.status == 0, "\(attach.errors)")
      let bus = "/local/domain/0/backend/pci/5/0"
      try await host.wait(for: "\(bus)/state", toBe: "4")
      try await host.wait(for: "/local/domain/5/device/pci/0/state", toBe: "4")

      let one = try host.manifest(["net": [Sample.address(1)]], name: "one.yaml")
      #expect(try await host.berth("apply", one, "--yes").status == 0)
      let both = Set([0, 1].map(Sample.address))
      #expect(try await host.disagreements(of: "net", expecting: both) == [])
      let status = try await host.berth("status")
      #expect(status.output.contains("foreign"), "\(status.output)")

      let declared = try host.manifest(["net": both.sorted()], name: "both.yaml")
      #expect(try await host.berth("apply", declared, "--yes").output.contains("adopted"))
      #expect(try await host.berth("plan", declared, "--detailed-exitcode").status == 0)
    }
  }
}
