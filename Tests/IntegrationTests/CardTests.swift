import Glibc
import Model
import TestSupport
import Testing

/// What an apply does if the card that a guest has is pulled, replaced, or given to a driver of the host.
struct Cards {
  enum Fate: String, CaseIterable { case givenBack, replaced, pulled }

  private let device = Sample.address(0)

  private func sysfs(_ host: TestHost) -> String { "\(host.directory)/root/sys/bus/pci" }

  /// Writes an attribute as a shell in dom0 does. No child process that another test starts keeps the file open.
  private func write(_ path: String, _ text: String, _ host: TestHost) async throws {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    _ = unsafe text.withCString { unsafe Glibc.write(file, $0, text.utf8.count) }
    close(file)
    // The next request to the hypervisor sees the write as done.
    _ = try await host.status()
  }

  private func suffer(_ fate: Fate, _ host: TestHost) async throws {
    let folder = "\(sysfs(host))/devices/\(device)"
    switch fate {
    case .givenBack:
      try await write("\(sysfs(host))/drivers/pciback/unbind", "\(device)", host)
      try await write("\(sysfs(host))/drivers/igb/bind", "\(device)", host)
    case .pulled: try await write("\(folder)/remove", "1", host)
    case .replaced:
      try await write("\(folder)/remove", "1", host)
      let alias = "pci:v0000144Dd0000A80Asv0000144Dsd0000A801bc01sc08i02\n"
      try host.folder.makeFolder(String(folder.dropFirst(host.folder.path.count + 1)))
      try await write("\(folder)/modalias", alias, host)
      try await write("\(folder)/resource", "0x00000000b1000000 0x00000000b1003fff 0x0000000000040200\n", host)
      try await write("\(folder)/reset", "", host)
      try host.folder.link(String("\(folder)/driver".dropFirst(host.folder.path.count + 1)), to: "../../drivers/nvme")
    }
  }

  @Test(arguments: Fate.allCases, bothStores)
  func `what was granted is revoked, and what is at the address is left alone`(
    _ fate: Fate, _ store: TestHost.Store
  ) async throws {
    let igb = "{address: \"\(Sample.address(20))\", id: \"8086:1533\", driver: igb}"
    try await TestHost.with(TestScenario.host(devices: 2, extraDevices: [igb], ["{name: net, domid: 5}"]), store) {
      host in
      #expect(try await host.berth("apply", host.manifest(["net": [device]]), "--yes").status == 0)
      let before = try await host.status()
      #expect(try before.domain("net").grantedRanges > 0)
      try await suffer(fate, host)

      let optional = try host.manifest(["net": [device]], options: "required: false", name: "optional.yaml")
      let plan = try await host.berth("plan", optional)
      #expect(plan.status == (fate == .pulled ? 0 : 3), "\(plan.output)")
      for command in [["plan"], ["status", "--drift"]] {
        let shown = try await host.berth(command + [optional])
        #expect(!shown.output.contains("pci-assignable-add"), "\(shown.output)")
      }

      let apply = try await host.berth("apply", host.manifest(["net": []]), "--yes", "-v")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      let line = apply.output.split(separator: "\n").first { $0.contains("\(device)") && $0.contains("detached") }
      #expect(line?.contains("8086:1533") == true && line?.contains("144d:a80a") == false, "\(apply.output)")
      #expect(apply.output.contains("its driver is igb") == (fate == .givenBack))
      let after = try await host.status()
      let guest = try after.domain("net")
      #expect(guest.grantedRanges == 0 && guest.mappedInterrupts.isEmpty && guest.assigned.isEmpty)
      let resets = [before, after].map { status in status.devices.first { $0.address == device }?.resets }
      #expect(resets[0] == resets[1])
      if fate == .replaced { #expect(try host.folder.read(file("reset", host)).isEmpty) }
      let drift = try await host.berth("status", "--drift")
      #expect(!drift.output.contains("rights-left") && !drift.output.contains("not-on-pciback"), "\(drift.output)")
    }
  }

  private func file(_ name: String, _ host: TestHost) -> String {
    String("\(sysfs(host))/devices/\(device)/\(name)".dropFirst(host.folder.path.count + 1))
  }

  @Test func `rights that nobody recorded are shown until the domain ends`() async throws {
    try await TestHost.with(TestScenario.host(devices: 1, ["{name: net, domid: 5}"])) { host in
      #expect(try await host.berth("apply", host.manifest(["net": [device]]), "--yes").status == 0)
      let uuid = try await host.status().domain("net").uuid
      // The record of a Berth that kept no facts.
      try host.folder.write(
        "host/root/var/lib/berth/domains/\(uuid).json",
        #"{"version": 1, "uuid": "\#(uuid)", "name": "net", "devices": ["\#(device)"]}"#)
      try await suffer(.pulled, host)
      let apply = try await host.berth("apply", host.manifest(["net": []]), "--yes")
      #expect(apply.status == 1 && apply.output.contains("rights-left"), "\(apply.output)")
      for _ in 0..<2 {
        let drift = try await host.berth("status", "--drift", "--detailed-exitcode")
        #expect(drift.status == 2 && drift.output.contains("rights-left"), "\(drift.output)")
        #expect(try await host.berth("apply", host.manifest(["net": []]), "--yes").status == 0)
      }
      #expect(try await host.status().domain("net").grantedRanges > 0)
      try await host.change("destroy", "net")
      #expect(try await host.berth("status", "--drift", "--detailed-exitcode").status == 0)
    }
  }
}
