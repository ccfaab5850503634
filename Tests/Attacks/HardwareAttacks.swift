import Model
import TestSupport
import Testing

/// A run is killed at a random call. Its device is then put to use elsewhere, and the next apply finds what the dead run
/// left: the apply must not touch the device.
///
/// A failure names its seed.
@Suite struct HardwareAttacks {
  private static let count = SoakReport.isSoak ? SoakReport.rounds : 3
  private static let firstSeed: UInt64 = 55_000_000
  private static let device = Sample.address(0)

  @Test(arguments: [TestHost.Store.c, .ox])
  func `a device in use by another guest is not touched for a dead run`(_ store: TestHost.Store) async throws {
    let domains = ["{name: ours, domid: 5}", "{name: theirs, domid: 7}"]
    try await TestHost.with(TestScenario.host(devices: 2, domains), store) { host in
      let with = try host.manifest(["ours": [Sample.address(1), Self.device]], name: "with.yaml")
      let without = try host.manifest(["ours": [Sample.address(1)]], name: "without.yaml")
      let words = ["apply", with, "--yes"]
      let (whole, calls) = try await host.berth(words, cutAt: nil)
      try #require(whole.status == 0 && !calls.isEmpty)
      var (tried, failures) = (0, 0)
      let base = Self.firstSeed + (store == .c ? 0 : 500_000)
      for seed in base..<base + UInt64(Self.count) where failures < 5 {
        var random = SeededGenerator(seed: seed)
        try await reset(host, without)
        let number = Int.random(in: 1...calls.count, using: &random)
        let (run, _) = try await host.berth(words, cutAt: CutPoint(number: number))
        guard run.status == 128 + 9 else { continue }
        // If Xen has assigned it already, xl cannot take it: then there is nothing to harm.
        let taken = try await host.xl("pci-attach", "theirs", Self.device.description).run()
        guard taken.status == 0 else { continue }
        tried += 1
        // xl has ended before the guest has taken the device.
        try await host.wait(for: "/local/domain/7/device/pci/0/state", toBe: "4")
        let before = try await place(of: Self.device, on: host)
        let apply = try await host.berth("apply", without, "--yes")
        let after = try await place(of: Self.device, on: host)
        if after != before {
          failures += 1
          Issue.record(
            "\(store.rawValue), seed \(seed), killed at call \(number): \(before), then \(after): \(apply.output)")
        }
      }
      try SoakReport.add(["attacks": tried, "attack_failures": failures])
    }
  }

  /// Gives both devices back, whoever has them.
  private func reset(_ host: TestHost, _ without: String) async throws {
    _ = try await host.xl("pci-detach", "theirs", Self.device.description).run()
    for _ in 0..<2 { _ = try await host.berth("apply", without, "--yes") }
    let status = try await host.status()
    let owner = status.devices.first { $0.address == Self.device }?.owner
    // A claim that stock xl leaves is removed, as a person would.
    let claim = "/libxl/pci/\(Self.device.description.replacing(":", with: "-").replacing(".", with: "-"))/domid"
    _ = try await host.stock("/usr/bin/xenstore-rm", [claim]).run()
    try #require(owner.map { !$0.contains("5") && !$0.contains("7") } == true, "owner: \(owner ?? "none")")
  }

  /// Whose the device is, how often it was reset, and whether the guest has it.
  private func place(of device: PCIAddress, on host: TestHost) async throws -> String {
    let status = try await host.status()
    guard let found = status.devices.first(where: { $0.address == device }) else { return "gone" }
    let guest = try status.domain("theirs").guestDevices.values.contains(device)
    return "owner \(found.owner), \(found.resets) resets, \(guest ? "in" : "not in") the guest"
  }
}
