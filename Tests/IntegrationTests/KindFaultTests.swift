import Model
import TestSupport
import Testing

/// Faults of a guest, its QEMU or its stub domain, for every kind: the answer, what remains, and how it ends.
struct `Every kind in trouble` {
  /// A fault of QEMU, in the form of `berth sandbox device-model`.
  struct Fault: Sendable {
    var words: [String]
    /// Whether qemu-traditional can have the fault.
    var isForAll = false
  }

  /// After these faults, nobody knows the outcome of a change.
  static let silent = [
    Fault(words: ["silent"], isForAll: true),
    Fault(words: ["silent", "--command", "greeting"]),
    Fault(words: ["silent", "--command", "query-pci"]),
    Fault(words: ["hangs-up"]),
    Fault(words: ["truncates"]),
    Fault(words: ["truncates", "--command", "query-pci"]),
  ]
  /// With these faults, there is nobody to ask.
  static let absent = [Fault(words: ["gone"], isForAll: true), Fault(words: ["crashed"], isForAll: true)]

  @Test(arguments: Kind.deviceModels, bothStores)
  func `whatever QEMU does wrong, nothing is lost, and the next apply completes the work`(
    _ kind: Kind, _ store: TestHost.Store
  ) async throws {
    let faults = (Self.silent + Self.absent).filter { $0.isForAll || !kind.isTraditional }
    let unknown = faults.count - Self.absent.count
    let names = faults.indices.map { "q\($0)" }
    let scenario = TestScenario.host(
      devices: faults.count * 2, names.enumerated().map { kind.domain($1, 5 + $0 * 2, "delay: 2ms") })
    try await TestHost.with(scenario, store) { host in
      func wanted(_ numbers: (Int) -> [Int], _ range: Range<Int>? = nil) -> [String: [Int]] {
        Dictionary(uniqueKeysWithValues: (range ?? faults.indices).map { (names[$0], numbers($0)) })
      }
      func disturb() async throws {
        for (name, fault) in zip(names, faults) { try await host.disturb(name, fault.words) }
      }
      func mend() async throws { for name in names { try await host.change("device-model", name, "normal") } }
      func check(_ numbers: (Int) -> [Int], ignoring: [String] = [], line: Int = #line) async throws {
        for (index, name) in names.enumerated() {
          let found = try await host.settled(name, kind, numbers(index), ignoring: ignoring)
          #expect(found == [], "line \(line): \(faults[index].words)")
        }
      }

      let first = try await host.apply(wanted { [$0 * 2] })
      #expect(first.status == 0, "\(first)")
      try await disturb()
      let attach = try await host.apply(wanted { [$0 * 2, $0 * 2 + 1] }, wait: "1s")
      #expect(attach.status == 7, "\(attach)")
      for index in faults.indices {
        let step = attach.step(Sample.address(index * 2 + 1))
        #expect(step?.result == "unknown" && step?.isUndone == false, "\(faults[index].words): \(attach)")
        #expect(step?.detail?.contains("the next apply continues from here") == true, "\(attach)")
      }
      try await check({ [$0 * 2, $0 * 2 + 1] }, ignoring: ["in QEMU"])
      try await mend()
      let again = try await host.apply(wanted { [$0 * 2, $0 * 2 + 1] })
      #expect(again.status == 0, "\(again)")
      // qemu-traditional cannot list its devices, so nobody sees that it was restarted.
      try await check({ [$0 * 2, $0 * 2 + 1] }, ignoring: kind.isTraditional ? ["in QEMU"] : [])
      #expect(try host.intents() == [])

      try await disturb()
      let detach = try await host.apply(
        wanted { $0 < unknown ? [$0 * 2] : [$0 * 2, $0 * 2 + 1] }, wait: "1s")
      #expect(detach.status == 7, "\(detach)")
      let refused = try await host.apply(wanted({ [$0 * 2] }), wait: "1s")
      #expect(refused.status == (kind.isTraditional ? 7 : 1), "\(refused)")
      for index in faults.indices {
        let result = refused.step(Sample.address(index * 2 + 1))?.result
        #expect(result == (index < unknown || kind.isTraditional ? "unknown" : "failed"), "\(refused)")
      }
      try await check({ [$0 * 2, $0 * 2 + 1] }, ignoring: ["in QEMU", "leaving"])
      try await mend()
      // A restarted qemu-traditional never reports the release of a device, and cannot be asked.
      let isOpen = { @Sendable (index: Int) in kind.isTraditional && index >= unknown }
      let last = try await host.apply(wanted { isOpen($0) ? [$0 * 2, $0 * 2 + 1] : [$0 * 2] })
      #expect(last.status == 0, "\(last)")
      try await check(
        { isOpen($0) ? [$0 * 2, $0 * 2 + 1] : [$0 * 2] }, ignoring: kind.isTraditional ? ["in QEMU"] : [])
      #expect(try host.intents() == [])
    }
  }

  @Test(arguments: Kind.deviceModels, bothStores)
  func `a device that QEMU refuses is returned, with QEMU's words`(_ kind: Kind, _ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(devices: 4, [kind.domain("net", 5)]), store) { host in
      let words = kind.isTraditional ? "refused" : "no room in the inn"
      try await host.change("device-model", "net", "refuses", "--times", "1", "--text", words)
      let alone = try await host.apply(["net": [0]])
      #expect(alone.status == 5, "\(alone)")
      #expect(alone.step(Sample.address(0))?.detail?.contains(words) == true, "\(alone)")
      #expect(alone.step(Sample.address(0))?.isUndone == true, "\(alone)")
      #expect(try await host.findingsAtRest("net", kind, []) == [])

      #expect(try await host.apply(["net": [0]]).status == 0)
      try await host.change("device-model", "net", "refuses", "--times", "1", "--text", words)
      let mixed = try await host.apply(["net": [0, 1, 2]])
      #expect(mixed.status == 6, "\(mixed)")
      #expect([1, 2].map { mixed.step(Sample.address($0))?.result } == ["failed", "done"], "\(mixed)")
      #expect(try await host.findingsAtRest("net", kind, [0, 2]) == [])
      #expect(try await host.apply(["net": [0, 1, 2]]).status == 0)

      guard !kind.isTraditional else { return }
      try await host.change("device-model", "net", "refuses", "--command", "device_del", "--text", words)
      let detach = try await host.apply(["net": [0]])
      #expect(detach.status == 1, "\(detach)")
      #expect(detach.step(Sample.address(1))?.detail?.contains(words) == true, "\(detach)")
      #expect(try await host.findings("net", kind, [0, 1, 2]) == [])
      try await host.change("device-model", "net", "normal")
      #expect(try await host.apply(["net": [0]]).status == 0)
      #expect(try await host.findingsAtRest("net", kind, [0]) == [])
    }
  }

  @Test(arguments: Kind.allCases, bothStores)
  func `a guest that releases nothing keeps everything, and a slow one is waited for`(
    _ kind: Kind, _ store: TestHost.Store
  ) async throws {
    let scenario = TestScenario.host(
      devices: 6, [kind.domain("silent", 5), kind.domain("slow", 7), kind.domain("quick", 9)])
    try await TestHost.with(scenario, store) { host in
      let all = ["silent": [0, 1], "slow": [2, 3], "quick": [4, 5]]
      #expect(try await host.apply(all).status == 0)
      try await host.change("answers", "silent", "never")
      try await host.change("answers", "slow", "slow", "--delay", "300ms")
      let detach = try await host.apply(["silent": [0], "slow": [2], "quick": [4]], wait: "2s")
      #expect(detach.status == 7, "\(detach)")
      #expect([1, 3, 5].map { detach.step(Sample.address($0))?.result } == ["unknown", "done", "done"], "\(detach)")
      #expect(detach.duration > .milliseconds(300))
      let silent = try await host.status().domain("silent")
      #expect(silent.assigned == addresses([0, 1]), "it may be using it")
      if kind.hasDeviceModel {
        #expect(try await host.settled("silent", kind, [0, 1], ignoring: ["leaving"]) == [])
      }
      #expect(try await host.findings("slow", kind, [2]) == [])
      #expect(try await host.findings("quick", kind, [4]) == [])
      try await host.change("answers", "silent", "normal")
      let again = try await host.apply(["silent": [0], "slow": [2], "quick": [4]])
      #expect(again.status == 0, "\(again)")
      #expect(try await host.findingsAtRest("silent", kind, [0]) == [])
    }
  }
}

extension TestHost {
  /// Repeats `findings` until there are none, or half a minute is over. Leaves out findings that begin as in
  /// `ignoring`.
  func settled(
    _ name: String, _ kind: Kind, _ numbers: [Int], ignoring: [String] = [], isCold: Bool = false
  ) async throws -> [String] {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      let found = try await findings(name, kind, numbers, isCold: isCold).filter { finding in
        !ignoring.contains { finding.hasPrefix("\(name): \($0)") }
      }
      if found.isEmpty || .now > deadline { return found }
    }
  }
}
