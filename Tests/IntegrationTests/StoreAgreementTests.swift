import Model
import TestSupport
import Testing
import XenProtocol

/// Stores that disagree: named, repaired if that is safe, and in agreement afterwards.
struct `Stores that disagree` {
  private static let home = "/local/domain/0/backend/pci/5/0"

  /// Damages most stores of a domain with three devices, each in its own way.
  private func damage(_ host: TestHost) async throws {
    let remove = try host.stock(
      "/usr/bin/xenstore-rm", ["/libxl/pci/\(Sample.address(0).storeKey)/domid"])
    #expect(try await remove.run().status == 0)
    try await host.write("/libxl/pci/\(Sample.address(1).storeKey)/domid", "77")
    try await host.write("/libxl/pci/\(Sample.address(6).storeKey)/domid", "78")
    // xl detaches a device, but leaves its saved line.
    let detach = try await host.xl("pci-detach", "net", Sample.address(2).text).run()
    #expect(detach.status == 0, "\(detach.errors)")
    let leaked = "/local/domain/0/backend/pci/66/0"
    for (node, value) in ["state": "4", "frontend": "/local/domain/66/device/pci/0", "num_devs": "0"] {
      try await host.write("\(leaked)/\(node)", value)
    }
  }

  @Test(arguments: bothStores)
  func `a listing that is longer than a request may be is read whole`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let claims = (0..<400).map {
        "/libxl/pci/0000-\(hex(UInt64(0x40 + $0 / 32), 2))-\(hex(UInt64($0 % 32), 2))-0/domid"
      }
      let made = try await host.stock("/usr/bin/xenstore-write", claims.flatMap { [$0, "77"] }).run()
      #expect(made.status == 0, "\(made.errors)")
      let status = try await host.berth("status")
      #expect(status.status == 0, "\(status.errors)")
      #expect(status.output.ranges(of: "stale-claim: ").count == claims.count, "\(status.output)")
    }
  }

  @Test(arguments: bothStores)
  func `all damage is named, and gone after an apply`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let devices = [0, 1, 2].map(Sample.address)
      let manifest = try host.manifest(["net": devices])
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      let clean = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(clean.status == 0, "\(clean.output)\(clean.errors)")
      #expect(clean.output.contains("no drift"))

      try await damage(host)
      let names = ["claim-missing", "claim-foreign", "config-only", "stale-claim", "leaked-back-end"]
      let found = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(found.status == 2, "\(found.errors)")
      for name in names {
        #expect(found.output.contains("\(name): "), "\(name) is missing: \(found.output)")
        #expect(try await host.berth("explain", name).status == 0)
      }
      #expect(found.output.contains("5 drifts: 5 to be repaired by the next apply."), "\(found.output)")
      // Without a manifest, the same drift is shown, without any declaration.
      let bare = try await host.berth("status", "--drift")
      #expect(bare.status == 0)
      for name in names { #expect(bare.output.contains("\(name): "), "\(bare.output)") }
      let status = try await host.berth("status")
      for name in names { #expect(status.output.contains("\(name): "), "\(status.output)") }

      let doctor = try await host.berth("doctor", "--detailed-exitcode")
      #expect(doctor.status == 2, "\(doctor.errors)")
      for name in names { #expect(doctor.output.contains("! \(name) "), "\(doctor.output)") }

      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      let healed = try await host.berth("doctor", "--detailed-exitcode")
      #expect(healed.status == 0, "\(healed.output)\(healed.errors)")
      #expect(healed.output.contains("No problem found"))
      let after = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(after.status == 0, "\(after.output)\(after.errors)")
      #expect(after.output.contains("no drift"))
      #expect(try await host.disagreements(of: "net", expecting: Set(devices)) == [])
    }
  }

  @Test(arguments: bothStores)
  func `entries that a count cut off are named and added again`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let devices = [0, 1, 2].map(Sample.address)
      let manifest = try host.manifest(["net": devices])
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      try await host.write("\(Self.home)/num_devs", "1")
      let found = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(found.status == 2)
      #expect(found.output.contains("orphan-entry: dev-2 names it, but num_devs is 1"), "\(found.output)")
      #expect(found.output.contains("2 drifts: 2 to be repaired by the next apply."), "\(found.output)")
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      let after = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(after.status == 0, "\(after.output)\(after.errors)")
      #expect(try await host.disagreements(of: "net", expecting: Set(devices)) == [])
    }
  }

  @Test(arguments: bothStores)
  func `an HVM guest's bus that xl left at 7 is named, and at rest after an apply`(
    _ store: TestHost.Store
  ) async throws {
    try await TestHost.with(TestScenario.host(devices: 4, [Kind.hvm.domain("net", 5)]), store) { host in
      let devices = [0, 1].map(Sample.address)
      for device in devices {
        let attach = try await host.xl("pci-attach", "net", device.text).run()
        #expect(attach.status == 0, "\(attach.errors)")
      }
      let manifest = try host.manifest(["net": devices])
      let found = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(found.status == 2)
      #expect(found.output.contains("bus-unsettled: back end 7"), "\(found.output)")
      #expect(found.output.contains("export-pending: "), "\(found.output)")
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      let after = try await host.berth("status", manifest, "--drift", "--detailed-exitcode")
      #expect(after.status == 0, "\(after.output)\(after.errors)")
      #expect(after.output.contains("net at 0000:00:"), "what QEMU shows has its column: \(after.output)")
    }
  }

  /// What happens to the first of an HVM guest's two devices, and the manifest afterwards.
  enum LeftAtSeven: String, CaseIterable {
    case reattached, detached, moved, other, adopted, adoptedAndMoved
  }

  @Test(arguments: LeftAtSeven.allCases)
  func `no bus ends over a device that pciback holds since an xl pci-detach`(_ variant: LeftAtSeven) async throws {
    let domains = [
      Kind.hvm.domain("ml", 2, "devices: [\"\(Sample.address(0))\", \"\(Sample.address(1))\"]"),
      Kind.pv.domain("fw", 5, "devices: [\"\(Sample.address(2))\"]"),
    ]
    try await TestHost.with(TestScenario.host(devices: 3, domains)) { host in
      let (one, two, three) = (Sample.address(0), Sample.address(1), Sample.address(2))
      let both = try host.manifest(["ml": [one, two]], name: "both.yaml")
      let wanted: [String: [PCIAddress]] =
        switch variant {
        case .reattached, .detached, .adopted: ["ml": [one, two]]
        case .other: ["ml": [two]]
        case .moved: ["fw": [one]]
        case .adoptedAndMoved: ["ml": [two], "fw": [one]]
        }
      let manifest = try host.manifest(wanted)
      if variant == .adopted || variant == .adoptedAndMoved {
        #expect(try await host.berth("apply", both, "--yes").status == 0)
      }
      #expect(try await host.xl("pci-detach", "ml", one.text).run().status == 0)
      if variant == .reattached || variant == .adopted || variant == .other {
        #expect(try await host.xl("pci-attach", "ml", one.text).run().status == 0)
      }
      let apply = try await host.berth("apply", manifest, "--yes")
      let said = "\(apply.output)\(apply.errors)"
      let isSettled = variant == .adopted || variant == .adoptedAndMoved
      #expect(apply.status == (isSettled || variant == .other ? 0 : 3), "\(said)")
      #expect(!said.contains("repaired") || isSettled, "\(said)")
      if !isSettled { #expect(said.contains(variant == .moved ? "config-only" : "bus-unsettled"), "\(said)") }
      let again = try await host.berth("plan", manifest, "--detailed-exitcode")
      #expect(again.status == apply.status, "\(again.output)")

      let status = try await host.status()
      #expect(try status.domain("fw").exported.values.contains(three))
      #expect(try status.domain("ml").exported.values.contains(two))
      let nodes = try await host.nodes(below: "/local/domain/0")
      #expect(nodes["/local/domain/0/backend/pci/5/0/state"] == "4")
      #expect(nodes["/local/domain/0/backend/pci/2/0/state"] == (isSettled ? "3" : "7"))
      #expect(!nodes.keys.contains { $0.hasPrefix("/local/domain/0/error/backend/pci") }, "\(nodes)")
      if variant == .adoptedAndMoved { #expect(try status.domain("fw").exported.values.contains(one)) }
    }
  }

  @Test func `showing drift changes nothing`() async throws {
    try await TestHost.with(TestScenario.host(), isTracing: true) { host in
      let manifest = try host.manifest(["net": [0, 1, 2].map(Sample.address)])
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      try await damage(host)
      let before = try host.storeChanges()
      #expect(try await host.berth("status", manifest, "--drift", "-o", "json").status == 0)
      #expect(try host.storeChanges() == before)
    }
  }

  @Test(arguments: bothStores)
  func `a doctor reports why a host is unreadable, and everything else`(_ store: TestHost.Store) async throws {
    let scenario = TestScenario.host(faults: "{heldLocks: [net]}", iommu: false)
    try await TestHost.with(scenario, store) { host in
      let domain = try await host.status().domain("net")
      let saved = "host/root/var/lib/xen/userdata-d.\(domain.id).\(domain.uuid).libxl-json"
      try host.folder.write(saved, "{ not JSON\0")
      try host.folder.makeFolder("host/root/run/berth/intents")
      try host.folder.write("host/root/run/berth/intents/1-1.json", "{")
      try await host.write("/local/domain/0/error/backend/pci/5/0/error", "22 Couldn't locate PCI device")
      let status = try await host.berth("status")
      #expect(status.status == 0 && status.errors.contains("intents/1-1.json"), "\(status)")

      let doctor = try await host.berth("doctor", "-o", "json")
      #expect(doctor.status == 0, "\(doctor.errors)")
      for name in [
        "no-iommu", "intent-unreadable", "lock-held", "back-end-error", "corrupt-saved-configuration",
      ] { #expect(doctor.output.contains("\"name\" : \"\(name)\""), "\(name): \(doctor.output)") }
      let before = try await host.nodes(below: "/")
      _ = try await host.berth("doctor")
      #expect(try await host.nodes(below: "/") == before, "looking changes nothing")
    }
  }

  @Test func `a doctor answers even if nothing else does`() async throws {
    let folder = try TemporaryFolder()
    let result = try await Command.berth(["doctor"], environment: ["BERTH_SANDBOX": "\(folder.path)/none"]).run()
    #expect(result.status == 69)
    for word in ["xen-unreachable", "xenstore-unreachable", "berth sandbox start", "cause: ", "next: "] {
      #expect(result.output.contains(word), "\(result.output)")
    }
  }

  @Test func `only drift changes the exit code of status`() async throws {
    let result = try await Command.berth(["status", "--detailed-exitcode"]).run()
    #expect(result.status == 64)
    #expect(result.errors.contains("--drift"))
  }
}
