import FoundationEssentials
import Model
import TestSupport
import Testing

/// Every kind of domain, on both xenstoreds: afterwards, every store agrees with the declaration.
struct `Every kind` {
  @Test(arguments: Kind.allCases, bothStores)
  func `devices are attached, changed and detached, for a running guest and one that never ran`(
    _ kind: Kind, _ store: TestHost.Store
  ) async throws {
    let scenario = TestScenario.host(
      devices: 8, [kind.domain("hot", 5, "delay: 5ms"), kind.domain("cold", 7, "lifecycle: cold, delay: 5ms")])
    try await TestHost.with(scenario, store) { host in
      func check(_ hot: [Int], _ cold: [Int], isCold: Bool = true, line: Int = #line) async throws {
        #expect(try await host.findingsAtRest("hot", kind, hot) == [], "line \(line)")
        #expect(try await host.findings("cold", kind, cold, isCold: isCold) == [], "line \(line)")
      }
      // First devices are attached, then more, and then one of several is detached.
      for (hot, cold) in [([0], [4]), ([0, 1, 2], [4, 5, 6])] {
        let applied = try await host.apply(["hot": hot, "cold": cold])
        #expect(applied.status == 0, "\(applied)")
        try await check(hot, cold)
      }
      let some = try await host.apply(["hot": [0, 2], "cold": [4, 5, 6]])
      #expect(some.status == 0, "\(some)")
      try await check([0, 2], [4, 5, 6])

      // Different options: each device is detached, and attached again with the new options.
      let again = try await host.apply(["hot": [0, 2]], options: "permissive: true", policy: "{prune: never}")
      #expect(again.status == 0, "\(again)")
      #expect(again.domains.flatMap(\.steps).map(\.action) == ["reattach", "reattach"], "\(again)")
      try await check([0, 2], [4, 5, 6])
      if Kind.upstream.contains(kind) {
        let shown = try await host.status().domain("hot").deviceModel?.devices ?? []
        #expect(shown.count(where: \.isPermissive) == 2, "\(shown)")
      }

      // The guest that never ran runs now. Then one device of each guest is detached, and another is attached.
      try await host.change("unpause", "cold")
      let manifest = ["hot": [0, 2], "cold": [4, 5, 6]]
      try await host.poll { try await host.findings("cold", kind, [4, 5, 6]) == [] }
      let settled = try await host.apply(manifest, options: "permissive: true")
      #expect(settled.status == 0, "\(settled)")
      let exchange = try await host.apply(["hot": [2, 3], "cold": [5, 6, 7]], options: "permissive: true")
      #expect(exchange.status == 0, "\(exchange)")
      try await check([2, 3], [5, 6, 7], isCold: false)

      let none = try await host.apply(["hot": [], "cold": []])
      #expect(none.status == 0, "\(none)")
      try await check([], [], isCold: false)
      #expect(try await host.status().devices.allSatisfy { $0.owner == "dom0" || $0.owner == "quarantine" })
      let running = try await host.apply(["hot": [1, 2], "cold": [5]])
      #expect(running.status == 0, "\(running)")
      try await check([1, 2], [5], isCold: false)
    }
  }

  @Test(arguments: Kind.allCases, bothStores)
  func `devices leave a guest that never ran, if nobody must be asked`(
    _ kind: Kind, _ store: TestHost.Store
  ) async throws {
    let scenario = TestScenario.host(devices: 4, [kind.domain("cold", 7, "lifecycle: cold")])
    try await TestHost.with(scenario, store) { host in
      #expect(try await host.apply(["cold": [0, 1, 2]]).status == 0)
      let detach = try await host.apply(["cold": [0, 2]], wait: "300ms")
      if kind == .pv {
        #expect(detach.status == 0, "\(detach)")
        #expect(try await host.findings("cold", kind, [0, 2], isCold: true) == [])
        return
      }
      // QEMU runs and asks, but the guest sleeps: nothing is taken from the guest until it releases the device.
      #expect(detach.status == 7, "\(detach)")
      #expect(detach.step(Sample.address(1))?.result == "unknown", "\(detach)")
      let findings = try await host.findings("cold", kind, [0, 1, 2], isCold: true)
      #expect(findings.filter { !$0.contains("leaving") } == [])
      try await host.change("unpause", "cold")
      let again = try await host.apply(["cold": [0, 2]])
      #expect(again.status == 0, "\(again)")
      #expect(try await host.findingsAtRest("cold", kind, [0, 2]) == [])
    }
  }

  @Test(arguments: bothStores)
  func `a device moves from kind to kind`(_ store: TestHost.Store) async throws {
    let domains = Kind.allCases.enumerated().map { number, kind in
      kind.domain(kind.rawValue, 5 + number * 2, "delay: 5ms")
    }
    try await TestHost.with(TestScenario.host(devices: 10, domains), store) { host in
      // Each has one device that stays, and one that moves to the next domain, all in one apply.
      let kinds = Kind.allCases
      for turn in 0...kinds.count {
        func numbers(_ index: Int) -> [Int] { [index, 5 + (index + turn) % kinds.count] }
        let wanted = Dictionary(uniqueKeysWithValues: kinds.enumerated().map { ($1.rawValue, numbers($0)) })
        let applied = try await host.apply(wanted)
        #expect(applied.status == 0, "turn \(turn): \(applied)")
        for (index, kind) in kinds.enumerated() {
          #expect(try await host.findingsAtRest(kind.rawValue, kind, numbers(index)) == [], "turn \(turn)")
        }
      }
    }
  }

  @Test(arguments: bothStores)
  func `the example of all kinds is applied, and then nothing more is written`(_ store: TestHost.Store) async throws {
    let examples = repositoryRoot + "/examples"
    let scenario = try String(contentsOfFile: "\(examples)/sandbox/kinds.yaml", encoding: .utf8)
    // oxenstored keeps no such trace.
    try await TestHost.with(scenario, store, isTracing: store == .c) { host in
      let manifest = "\(examples)/kinds.yaml"
      let plan = try await host.berth("plan", manifest, "--detailed-exitcode")
      #expect(plan.status == 3, "\(plan.output)\(plan.errors)")
      #expect(plan.output.contains("kind-not-supported"), "\(plan.output)")
      let before = store == .c ? try host.storeChanges() : 0
      let applied = try await host.apply(manifest)
      #expect(applied.status == 3, "\(applied)")
      #expect(applied.domains.flatMap(\.steps).allSatisfy { $0.result == "done" }, "\(applied)")
      let status = try await host.status()
      for (name, count) in ["router": 3, "desktop": 3, "vault": 2, "workshop": 2, "museum": 1, "cell": 0] {
        #expect(try status.domain(name).assigned.count == count, "\(name)")
      }
      let gpu = try status.domain("desktop").deviceModel?.devices.first { $0.slot == 28 }
      #expect(gpu?.address == PCIAddress("0000:08:00.0") && gpu?.isPermissive == true)
      let after = store == .c ? try host.storeChanges() : 1
      #expect(after > before)
      let again = try await host.apply(manifest)
      #expect(again.status == 3 && again.domains.isEmpty, "\(again)")
      #expect(try host.intents() == [])
      if store == .c { #expect(try host.storeChanges() == after) }
    }
  }
}
