import Model
import Ports
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// HVM guests whose QEMU runs in a domain of its own.
struct StubDomainTests {
  private let devices = Scenarios.addresses
  private let names = Scenarios.addresses.map { DeviceModelName($0).description }
  private let back = StorePath.backEnd(DomainID(2)).text
  private let front = StorePath.frontEnd(DomainID(2)).text

  @Test(arguments: StoreKind.allCases)
  func `the devices of a guest with a stub domain are granted to both domains`(store: StoreKind) async throws {
    try await guest("stubDomain: {}\ndevices: [0000:00:05.0]", store: store) { sandbox in
      let link = try sandbox.connect()
      for (path, value) in [
        "/local/domain/1/image/device-model-domid": "2", "/local/domain/2/target": "1",
        "/local/domain/2/name": "pv1-dm", "/libxl/2/type": "pv", "/local/domain/2/device-model/1/state": "running",
        back + "/state": "4", front + "/state": "4", back + "/state-0": "3", back + "/domain": "pv1-dm",
        "/libxl/pci/0000-00-05-0/domid": "1",
      ] { #expect(try link.read(path) == value, "\(path)") }
      #expect(try link.read("/local/domain/0/device-model/1") == nil)
      #expect(try link.read(StorePath.backEnd(DomainID(1)).text) == nil)
      let (domain, stub) = (try sandbox.domain(1), try sandbox.domain(2))
      #expect(domain.stubDomain == DomainID(2) && stub.target == DomainID(1) && stub.kind == .pv)
      #expect(domain.assigned == [devices[0]] && stub.assigned.isEmpty)
      #expect(domain.mappedInterrupts == [21] && stub.mappedInterrupts == [21])
      #expect(domain.grantedRanges == 2 && stub.grantedRanges == 2)
      #expect(stub.guestDevices.values.sorted() == [devices[0]])
      #expect(try sandbox.emulated() == [names[0]])
      let hypervisor = SandboxHypervisor(paths: sandbox.paths)
      #expect(try hypervisor.probe(devices[1], for: DomainID(1)) == .free)
      #expect(try hypervisor.probe(devices[1], for: DomainID(2)) == .noIOMMU)
      let saved = try SavedConfiguration(
        fileBytes(
          sandbox.paths.userdata("d", of: DomainKey(id: DomainID(1), uuid: Scenarios.uuid), "libxl-json")))
      #expect(saved.devices.map(\.address) == [devices[0]])
      #expect(!fileExists(sandbox.paths.userdata("d", of: DomainKey(id: DomainID(2), uuid: stub.uuid), "libxl-json")))
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `QEMU in a stub domain has only what its kernel has`(store: StoreKind) async throws {
    try await guest("stubDomain: {domid: 2}\nlifecycle: cold", store: store) { sandbox in
      let client = try sandbox.qmp()
      let text = "Could not open '/sys/bus/pci/devices/\(devices[0])/config': No such file or directory"
      #expect(
        try client.add(devices[0]) == "{\"id\": 7, \"error\": {\"class\": \"GenericError\", \"desc\": \"\(text)\"}}")
      try Hand(link: try sandbox.connect(), domain: DomainID(2)).create([devices[0]])
      try sandbox.wait(for: [back + "/state": "4", front + "/state": "4"])
      #expect(try client.add(devices[0]) == "{\"return\": {}, \"id\": 7}")
      #expect(try sandbox.emulated() == [names[0]])
    }
  }

  @Test(arguments: ["running", "cold"])
  func `xl goes through both layers`(lifecycle: String) async throws {
    try await guest("stubDomain: {}\nlifecycle: \(lifecycle)") { sandbox in
      let attach = try await sandbox.xl("pci-attach", "pv1", "00:05.0").run()
      #expect(attach.status == 0, "\(attach.errors)")
      try sandbox.wait(for: [back + "/state": "4", front + "/state": "4", "/libxl/pci/0000-00-05-0/domid": "1"])
      let (domain, stub) = (try sandbox.domain(1), try sandbox.domain(2))
      #expect(domain.assigned == [devices[0]] && stub.guestDevices.values.sorted() == [devices[0]])
      #expect(domain.grantedRanges == 2 && stub.grantedRanges == 2)
      #expect(try sandbox.emulated() == [names[0]])
    }
  }

  @Test func `nobody answers while the stub domain is paused`() async throws {
    try await guest("stubDomain: {}\ndevices: [0000:00:05.0]\ndelay: 0s") { sandbox in
      let client = try sandbox.qmp()
      try sandbox.request("pause pv1-dm")
      client.send("{\"execute\":\"device_del\",\"id\":7,\"arguments\":{\"id\":\"\(names[0])\"}}")
      #expect(try sandbox.emulated() == [names[0]])
      #expect(!client.hasWords)
      try sandbox.request("unpause pv1-dm")
      #expect(try client.deleted() == names[0])
    }
  }

  @Test func `a new stub domain begins without devices`() async throws {
    try await guest("stubDomain: {}\ndevices: [0000:00:05.0]") { sandbox in
      let client = try sandbox.qmp()
      try sandbox.request("restart-stub pv1")
      #expect(try client.line() == nil)
      try sandbox.wait(for: [
        "/local/domain/2": nil, back: nil, "/local/domain/1/image/device-model-domid": "3",
        "/local/domain/3/target": "1", "/libxl/pci/0000-00-05-0/domid": "1",
      ])
      let domain = try sandbox.domain(1)
      #expect(domain.stubDomain == DomainID(3) && domain.assigned == [devices[0]])
      #expect(try sandbox.emulated() == [])
      let listed = try sandbox.qmp().listed()
      #expect(listed.count == 5)
      try Hand(link: try sandbox.connect(), domain: DomainID(3)).create([devices[0]])
      try sandbox.wait(for: ["/local/domain/3/device/pci/0/state": "4"])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `the stub domain of a destroyed guest ends too`(store: StoreKind) async throws {
    try await guest("stubDomain: {}\ndevices: [0000:00:05.0]", store: store) { sandbox in
      try sandbox.request("destroy pv1")
      try sandbox.wait(for: [
        "/local/domain/1": nil, "/local/domain/2": nil, "/libxl/2": nil, "/libxl/pci/0000-00-05-0/domid": nil,
      ])
      #expect(try sandbox.status().domains.isEmpty)
      #expect(!fileExists(sandbox.paths.deviceModelSocket(of: DomainID(1))))
      #expect(try SandboxHypervisor(paths: sandbox.paths).probe(devices[0], for: nil) == .free)
      try sandbox.request("create pv1")
      #expect(try sandbox.status().domains.map(\.name) == ["pv1", "pv1-dm"])
    }
  }

  @Test func `a stub domain that ends alone leaves a guest without QEMU`() async throws {
    try await guest("stubDomain: {}\ndevices: [0000:00:05.0]") { sandbox in
      try sandbox.request("destroy pv1-dm")
      let domain = try sandbox.domain(1)
      #expect(domain.deviceModel == nil && domain.stubDomain == nil && domain.assigned == [devices[0]])
      #expect(!fileExists(sandbox.paths.deviceModelSocket(of: DomainID(1))))
    }
  }

  private func guest(
    _ domain: String, store: StoreKind = .c, _ body: @Sendable (LiveSandbox) async throws -> Void
  ) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm\n" + domain), store: store, body)
  }
}
