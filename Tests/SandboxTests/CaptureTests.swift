import Model
import Sandbox
import TestSupport
import Testing

/// Compares the sandbox with the nodes that a real host wrote: Xen 4.17.5, Linux 6.1, C xenstored, the same devices and
/// commands. The lab's scenarios `captures` compare these nodes with each release. Xen 4.20 with Linux 6.12 writes the
/// same.
struct CaptureTests {
  @Test func `stock xl leaves the same nodes as on a real host`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      try await attach(sandbox, "00:05.0", count: 1)
      #expect(try found(sandbox) == captured("pv-2-attached1"))
      try await attach(sandbox, "00:07.0", count: 2)
      try await attach(sandbox, "01:00.0", count: 3)
      #expect(try found(sandbox) == captured("pv-4-attached3"))
      let file = sandbox.paths.userdata("d", of: DomainKey(id: DomainID(1), uuid: Scenarios.uuid), "libxl-json")
      #expect(try deviceList(fileBytes(file)) == deviceList(fileBytes(fixture("pv-4-attached3.json"))))

      try await detach(sandbox, "00:07.0")
      #expect(try found(sandbox) == captured("pv-5-detached2"))
      try await detach(sandbox, "00:05.0")
      try await detach(sandbox, "01:00.0")
      try sandbox.wait(for: ["/local/domain/1/error/device/pci/0/error": "22 freeing event channel 8"])
      #expect(try found(sandbox) == captured("pv-6-detached-all"))
      try await attach(sandbox, "00:05.0", count: 1)
      #expect(try found(sandbox) == captured("pv-7-reattached"))
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `a device that exists from the start looks attached`(store: StoreKind) async throws {
    let scenario = Scenarios.laboratory(domain: "devices: [0000:00:05.0]")
    try await LiveSandbox.run(scenario, store: store) { sandbox in
      let nodes = try found(sandbox)
      #expect(try nodes == captured("pv-2-attached1"))
    }
  }

  @Test func `a cold guest with devices looks as on a real host`() async throws {
    let scenario = Scenarios.laboratory(
      domain: "devices: [0000:00:05.0, {address: 0000:01:00.0, permissive: true}]")
    try await LiveSandbox.run(scenario) { sandbox in
      let expected = try captured("cold").map { $0.replacing("\"cold\"", with: "\"pv1\"") }.filter {
        !$0.hasPrefix("/vm")
      }
      #expect(try found(sandbox) == expected)
    }
  }

  private func attach(_ sandbox: LiveSandbox, _ device: String, count: Int) async throws {
    let result = try await sandbox.xl("pci-attach", "pv1", device).run()
    #expect(result.status == 0, "\(result.errors)")
    try sandbox.wait(for: [
      "/local/domain/0/backend/pci/1/0/state": "4", "/local/domain/1/device/pci/0/state": "4",
      "/local/domain/0/backend/pci/1/0/state-\(count - 1)": "3",
    ])
  }

  private func detach(_ sandbox: LiveSandbox, _ device: String) async throws {
    let result = try await sandbox.xl("pci-detach", "pv1", device).run()
    #expect(result.status == 0, "\(result.errors)")
  }

  /// Returns all nodes of PCI devices, as `xenstore-ls -fp` prints them.
  private func found(_ sandbox: LiveSandbox) throws -> [String] {
    try ["/local/domain/0/backend/pci", "/local/domain/1/device/pci", "/local/domain/1/error/device/pci", "/libxl/pci"]
      .flatMap { try sandbox.dump($0) }.sorted()
  }

  private func captured(_ name: String) throws -> [String] {
    try fileText(fixture("\(name).txt")).split(separator: "\n").map(String.init).sorted()
  }

  private func fixture(_ name: String) -> String { repositoryRoot + "/Tests/SandboxTests/Fixtures/" + name }

  /// Returns the bytes from `pcidevs` on, with the NUL at the end.
  private func deviceList(_ bytes: [UInt8]) -> [UInt8] {
    let key = Array("\"pcidevs\"".utf8)
    let start = bytes.indices.first { bytes[$0...].starts(with: key) } ?? bytes.endIndex
    return Array(bytes[start...])
  }
}
