import Model
import TestSupport
import Testing

/// Berth and stock xl on one host, one after the other: each finds what the other did.
struct `Beside xl` {
  @Test(arguments: [TestHost.Store.c, .ox])
  func `xl lists the devices that Berth attached, and Berth repairs what xl left behind`(_ store: TestHost.Store)
    async throws
  {
    try await TestHost.with(TestScenario.host(), store) { host in
      let two = try host.manifest(["net": [0, 1].map(Sample.address)])
      #expect(try await host.berth("apply", two, "--yes").status == 0)
      let list = try await host.xl("pci-list", "net").run()
      #expect(list.status == 0, "\(list.errors)")
      for number in 0..<2 { #expect(list.output.contains(Sample.address(number).text), "\(list.output)") }

      // xl detaches one device, but leaves its saved line.
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

  @Test func `a device that xl attached is foreign until it is declared`() async throws {
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

  /// An `xl pci-attach` that read the count before the apply. Nothing shows that it is at work until it writes.
  @Test(arguments: bothStores)
  func `a requested audit finds entries that are overwritten later`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let devices = [0, 1].map(Sample.address)
      let one = try host.manifest(["net": [devices[0]]], policy: "{prune: never}", name: "one.yaml")
      let two = try host.manifest(["net": devices], policy: "{prune: never}", name: "two.yaml")
      #expect(try await host.berth("apply", one, "--yes").status == 0)
      async let applied = host.berth(["apply", two, "--yes", "--audit", "-o", "json"])
      let bus = "/local/domain/0/backend/pci/5/0"
      try await host.wait(for: "\(bus)/state-1", toBe: "3")
      try await host.wait(for: "\(bus)/state", toBe: "4")
      try await host.wait(for: "/local/domain/5/device/pci/0/state", toBe: "4")
      let third = Sample.address(2).text
      let nodes = ["dev-1": third, "key-1": third, "opts-1": "", "state-1": "1", "num_devs": "2", "state": "7"]
      let written = try await host.stock("/usr/bin/xenstore-write", nodes.flatMap { ["\(bus)/\($0)", $1] }).run()
      #expect(written.status == 0, "\(written.errors)")
      let result = try await applied
      #expect(result.status == 0, "\(result.output)\(result.errors)")
      #expect(try Races.readopted(in: result.output) == 1, "\(result.output)")
      let listed = try await host.nodes(below: bus).filter { $0.key.contains("/dev-") }.values
      #expect(Set(listed) == Set(devices.map(\.text) + [third]))
      #expect(Set(try await host.status().domain("net").guestDevices.values).isSuperset(of: devices))
    }
  }
}

/// Berth and stock xl on one HVM guest.
struct `Beside xl, with QEMU` {
  @Test(arguments: bothStores)
  func `a bus that xl left at 7 is repaired, and xl's device is adopted`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(devices: 4, [Kind.hvm.domain("net", 5)]), store) { host in
      for number in [0, 1] {
        let attach = try await host.xl("pci-attach", "net", Sample.address(number).text).run()
        #expect(attach.status == 0, "\(attach.errors)")
      }
      let back = "/local/domain/0/backend/pci/5/0"
      #expect(try await host.nodes(below: back)["\(back)/state"] == "7", "as libxl leaves it")
      let applied = try await host.apply(["net": [0, 1, 2]])
      #expect(applied.status == 0, "\(applied)")
      #expect(try await host.findingsAtRest("net", .hvm, [0, 1, 2]) == [])
      #expect(try await host.apply(["net": [2]]).status == 0)
      #expect(try await host.findingsAtRest("net", .hvm, [2]) == [], "adopted, they are Berth's to remove")
    }
  }

  @Test(arguments: bothStores)
  func `a remnant of a forced xl detach in QEMU is named, and removed if allowed`(
    _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(TestScenario.host(devices: 4, [Kind.hvm.domain("net", 5)]), store) { host in
      #expect(try await host.apply(["net": [1]]).status == 0)
      try await host.change("pause", "net")
      _ = try await host.xl("pci-detach", "-f", "net", Sample.address(1).text).run()
      try await host.change("answers", "net", "never")
      try await host.change("unpause", "net")
      let status = try await host.berth("status")
      #expect(status.output.contains("device-model-only"), "\(status.output)\(status.errors)")
      let asked = try await host.apply(["net": []], wait: "1s")
      #expect(asked.status == 7, "\(asked)")
      #expect(asked.step(Sample.address(1))?.action == "detach", "\(asked)")
      try await host.change("answers", "net", "normal")
      let applied = try await host.apply(["net": []])
      #expect(applied.status == 0, "\(applied)")
      let findings = try await host.findingsAtRest("net", .hvm, [])
      #expect(findings == [], "\(applied)")
    }
  }
}
