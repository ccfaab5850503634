import Model
import TestSupport
import Testing

/// The usual sequence of a person's commands, on both xenstoreds.
struct `Plan and apply` {
  @Test(arguments: [TestHost.Store.c, .ox])
  func `declared devices are planned and applied, and then nothing remains to be done`(_ store: TestHost.Store)
    async throws
  {
    try await TestHost.with(TestScenario.host(), store) { host in
      let devices = Set((0..<3).map(Sample.address))
      let manifest = try host.manifest(["net": devices.sorted()])

      let plan = try await host.berth("plan", manifest, "--detailed-exitcode")
      #expect(plan.status == 2, "\(plan.errors)")
      for device in devices { #expect(plan.output.contains(device.text)) }
      #expect(plan.output.contains("3 to attach"))
      #expect(try await host.status().domain("net").assigned.isEmpty, "a plan changes nothing")

      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      #expect(try await host.disagreements(of: "net", expecting: devices) == [])

      let again = try await host.berth("plan", manifest, "--detailed-exitcode")
      #expect(again.status == 0, "\(again.output)\(again.errors)")
      let status = try await host.berth("status")
      #expect(status.status == 0)
      for device in devices { #expect(status.output.contains(device.text)) }
    }
  }

  @Test(arguments: [TestHost.Store.c, .ox])
  func `a changed manifest detaches, attaches and changes options`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let first = try host.manifest(["net": (0..<4).map(Sample.address)])
      #expect(try await host.berth("apply", first, "--yes").status == 0)

      // 0 and 1 are detached, 2 and 3 become permissive, 5 is attached.
      let devices = [2, 3, 5].map(Sample.address)
      let second = try host.manifest(["net": devices], options: "permissive: true")
      let apply = try await host.berth("apply", second, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      #expect(try await host.disagreements(of: "net", expecting: Set(devices)) == [])
      let bus = try await host.nodes(below: "/local/domain/0/backend/pci/5/0")
      for index in 0..<3 {
        #expect(bus["/local/domain/0/backend/pci/5/0/opts-\(index)"]?.contains("permissive=1") == true)
      }
    }
  }

  @Test(arguments: [TestHost.Store.c, .ox])
  func `the last device's bus is closed, and a new first device creates a new bus`(_ store: TestHost.Store) async throws
  {
    try await TestHost.with(TestScenario.host(), store) { host in
      let one = try host.manifest(["net": [Sample.address(0)]], name: "one.yaml")
      let none = try host.manifest(["net": []], name: "none.yaml")
      #expect(try await host.berth("apply", one, "--yes").status == 0)
      let apply = try await host.berth("apply", none, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      #expect(try await host.disagreements(of: "net", expecting: []) == [])
      #expect(try await host.berth("apply", one, "--yes").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a second apply writes nothing`() async throws {
    try await TestHost.with(TestScenario.host(), isTracing: true) { host in
      let manifest = try host.manifest(["net": (0..<8).map(Sample.address)])
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      let before = try host.storeChanges()
      #expect(before > 8, "the trace tells what the first one wrote")
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      #expect(try await host.berth("plan", manifest).status == 0)
      #expect(try await host.berth("status", manifest).status == 0)
      #expect(try host.storeChanges() == before)
    }
  }

  @Test func `eight devices need one round of the guest's bus`() async throws {
    try await TestHost.with(TestScenario.host(devices: 9), isTracing: true) { host in
      let first = try host.manifest(["net": [Sample.address(0)]], name: "first.yaml")
      #expect(try await host.berth("apply", first, "--yes").status == 0)
      let all = try host.manifest(["net": (0..<9).map(Sample.address)])
      #expect(try await host.berth("apply", all, "--yes").status == 0)
      let rounds = try host.storeRequests().count {
        $0.hasPrefix("WRITE (/local/domain/0/backend/pci/5/0/state 7")
      }
      #expect(rounds == 1)
      #expect(try await host.disagreements(of: "net", expecting: Set((0..<9).map(Sample.address))) == [])
    }
  }

  @Test func `a domain that never ran gets its devices at once, and has them when it runs`() async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5, lifecycle: cold}"])) { host in
      let devices = (0..<3).map(Sample.address)
      let manifest = try host.manifest(["net": devices])
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      try await host.change("unpause", "net")
      // The guest connects at its own time. Each look is one request to the sandbox.
      let deadline = ContinuousClock.now + .seconds(120)
      while try await host.status().domain("net").guestDevices.count < 3, .now < deadline {}
      #expect(try await host.disagreements(of: "net", expecting: Set(devices)) == [])
      #expect(try await host.berth("plan", manifest, "--detailed-exitcode").status == 0)
    }
  }

  @Test func `several domains change at once`() async throws {
    let domains = (0..<4).map { "{name: guest\($0), domid: \($0 + 1)}" }
    try await TestHost.with(TestScenario.host(devices: 8, domains)) { host in
      let wanted = Dictionary(
        uniqueKeysWithValues: (0..<4).map { ("guest\($0)", [Sample.address($0 * 2), Sample.address($0 * 2 + 1)]) })
      let apply = try await host.berth("apply", try host.manifest(wanted), "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      for (name, devices) in wanted {
        #expect(try await host.disagreements(of: name, expecting: Set(devices)) == [])
      }
    }
  }

  @Test func `attached devices are adopted if declared, and otherwise left unchanged`() async throws {
    let scenario = TestScenario.host([
      "{name: net, domid: 5, devices: [\"\(Sample.address(0))\", \"\(Sample.address(1))\"]}"
    ])
    try await TestHost.with(scenario, isTracing: true) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let before = try host.storeChanges()
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      #expect(try host.storeChanges() == before, "adopting changes Berth's own record only")
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0), Sample.address(1)]) == [])

      // Berth may remove the adopted device, but not the other one.
      let none = try host.manifest(["net": []], name: "none.yaml")
      #expect(try await host.berth("apply", none, "--yes").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(1)]) == [])
      // Only `--prune all` removes everything undeclared.
      #expect(try await host.berth("apply", none, "--yes", "--prune", "all").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: []) == [])
    }
  }

  @Test func `an apply without a terminal requires yes`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let apply = try await host.berth("apply", manifest)
      #expect(apply.status == 64)
      #expect(apply.errors.contains("--yes"))
      #expect(try await host.status().domain("net").assigned.isEmpty)
    }
  }
}
