import Model
import Ports
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// HVM guests, with QEMU in dom0: their nodes, their back end, and their end.
struct SimulatedHVMTests {
  private let devices = Scenarios.addresses
  private let names = Scenarios.addresses.map { DeviceModelName($0).description }
  private let back = StorePath.backEnd(DomainID(1)).text
  private let front = StorePath.frontEnd(DomainID(1)).text

  @Test(arguments: StoreKind.allCases)
  func `a guest's first devices are in every place`(store: StoreKind) async throws {
    let scenario = Scenarios.laboratory(
      domain: "kind: hvm\ndevices: [{address: 0000:00:05.0, virtualSlot: 28}, 0000:01:00.0]")
    try await LiveSandbox.run(scenario, store: store) { sandbox in
      let link = try sandbox.connect()
      for (path, value) in [
        "/libxl/1/type": "hvm", "/libxl/1/dm-version": "qemu_xen", "/local/domain/0/device-model/1/state": "running",
        back + "/state": "3", front + "/state": "1", back + "/state-0": "3", back + "/state-1": "3",
        back + "/vdev-1": "0000:00:01.00", back + "/vdevfn-0": "e0", back + "/vdevfn-1": "18",
        "/libxl/pci/0000-01-00-0/domid": "1",
      ] { #expect(try link.read(path) == value, "\(path)") }
      #expect(try link.read("/local/domain/1/image/device-model-pid") != nil)
      #expect(try link.read("/local/domain/1/image/device-model-domid") == nil)
      let domain = try sandbox.domain(1)
      #expect(domain.assigned == [devices[0], devices[3]])
      #expect(domain.exported.values.sorted() == [devices[0], devices[3]])
      #expect(domain.guestDevices.isEmpty, "there is no pcifront in it")
      #expect(try sandbox.emulated() == [names[0], names[3]])
      #expect(domain.deviceModel?.devices.map(\.slot) == [28, 3])
      let known = try #require(try SandboxHypervisor(paths: sandbox.paths).domain(DomainID(1)))
      #expect(known.isHardwareVirtualised)
      let saved = try SavedConfiguration(fileBytes(sandbox.paths.userdata("d", of: key, "libxl-json")))
      #expect(saved.devices.map(\.address) == [devices[0], devices[3]])
      #expect(saved.devices.map(\.options.virtualSlot) == [28, 3])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `entries that are appended at state 3 are exported at once`(store: StoreKind) async throws {
    try await hvm("devices: [0000:00:05.0]", store: store) { sandbox, hand in
      try hand.append([devices[1]], state: nil)
      try sandbox.wait(for: [back + "/state-1": "3", back + "/vdev-1": "0000:00:01.00", back + "/state": "3"])
      #expect(try sandbox.domain(1).exported.count == 2)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `at 7 nothing is exported until 3 is written`(store: StoreKind) async throws {
    try await hvm("devices: [0000:00:05.0]", store: store) { sandbox, hand in
      // The simulator must have processed the start before the change.
      #expect(try sandbox.domain(1).exported.count == 1)
      try hand.append([devices[1]], state: "7")
      // The simulator processes the store before it answers, so its answer comes after it has seen the change.
      #expect(try sandbox.domain(1).exported.count == 1)
      #expect(try hand.link.read(back + "/state-1") == "1")
      #expect(try hand.link.read(front + "/state") == "1")
      try hand.write([back + "/state": "3"])
      try sandbox.wait(for: [back + "/state-1": "3"])
      try hand.append([devices[2]], state: nil)
      try sandbox.wait(for: [back + "/state-2": "3"])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `entries that leave at state 3 are released without an answer`(store: StoreKind) async throws {
    try await hvm("devices: [0000:00:05.0, 0000:00:06.0, 0000:00:07.0]", store: store) { sandbox, hand in
      try hand.write([back + "/state-0": "5", back + "/state-2": "5"])
      #expect(try sandbox.domain(1).exported.values.sorted() == [devices[1]])
      #expect(try hand.link.read(back + "/state-0") == "5")
      #expect(try hand.link.read(back + "/state") == "3")
      #expect(try fileText(sandbox.paths.kernelLog).contains("unregistering for 1"))
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `a bus without its ends is gone and can be recreated`(store: StoreKind) async throws {
    try await hvm("devices: [0000:00:05.0]", store: store) { sandbox, hand in
      try hand.remove([back, front])
      #expect(try !sandbox.domain(1).hasBackEndObject)
      #expect(try sandbox.emulated() == [names[0]], "QEMU keeps its device")
      try hand.create([devices[0], devices[1]])
      try sandbox.wait(for: [back + "/state": "3", back + "/state-1": "3", front + "/state": "1"])
    }
  }

  @Test func `the QEMU of a destroyed guest ends too`() async throws {
    try await hvm("devices: [0000:00:05.0]") { sandbox, _ in
      let client = try sandbox.qmp()
      try sandbox.request("destroy pv1")
      #expect(try client.line() == nil, "its client is disconnected")
      #expect(!fileExists(sandbox.paths.deviceModelSocket(of: DomainID(1))))
      try sandbox.wait(for: ["/local/domain/0/device-model/1": nil, "/libxl/1": nil])
      try sandbox.request("create pv1")
      #expect(try sandbox.emulated(2) == [names[0]])
      let listed = try sandbox.qmp(2).listed()
      #expect(listed["0:3.0"] == names[0])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `xl attaches and detaches as on a real host`(store: StoreKind) async throws {
    try await hvm("devices: [0000:00:07.0]\ndelay: 20ms", store: store) { sandbox, hand in
      // As captured on a real host: the second attach leaves the back end at 7 and its entry at 1.
      let attach = try await sandbox.xl("pci-attach", "pv1", "00:05.0").run()
      #expect(attach.status == 0, "\(attach.errors)")
      for (path, value) in [
        back + "/state": "7", back + "/state-1": "1", back + "/vdevfn-1": "20", front + "/state": "1",
        "/libxl/pci/0000-00-05-0/domid": "1",
      ] { #expect(try hand.link.read(path) == value, "\(path)") }
      #expect(try sandbox.emulated() == [names[0], names[2]].sorted())
      #expect(try sandbox.domain(1).assigned == [devices[0], devices[2]])
      let list = try await sandbox.xl("pci-list", "pv1").run()
      #expect(list.output == "Vdev Device\n03.0 0000:00:07.0\n04.0 0000:00:05.0\n")
      let detach = try await sandbox.xl("pci-detach", "pv1", "00:05.0").run()
      #expect(detach.status == 0, "\(detach.errors)")
      #expect(try sandbox.emulated() == [names[2]])
      #expect(try sandbox.domain(1).assigned == [devices[2]])
    }
  }

  @Test func `xl destroys a guest with its QEMU`() async throws {
    try await hvm("devices: [0000:00:05.0]") { sandbox, _ in
      let result = try await sandbox.xl("destroy", "pv1").run()
      #expect(result.status == 0, "\(result.errors)")
      #expect(try sandbox.status().domains.isEmpty)
      #expect(!fileExists(sandbox.paths.deviceModelSocket(of: DomainID(1))))
    }
  }

  @Test func `a PVH guest has a type and no QEMU`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: pvh")) { sandbox in
      #expect(try sandbox.connect().read("/libxl/1/type") == "pvh")
      let domain = try sandbox.domain(1)
      #expect(domain.kind == .pvh && domain.deviceModel == nil)
      let known = try #require(try SandboxHypervisor(paths: sandbox.paths).domain(DomainID(1)))
      #expect(known.isHardwareVirtualised)
      #expect(!fileExists(sandbox.paths.deviceModelSocket(of: DomainID(1))))
    }
  }

  private var key: DomainKey { DomainKey(id: DomainID(1), uuid: Scenarios.uuid) }

  private func hvm(
    _ domain: String, store: StoreKind = .c, _ body: @Sendable (LiveSandbox, Hand) async throws -> Void
  ) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm\n" + domain), store: store) { sandbox in
      try await body(sandbox, Hand(link: try sandbox.connect(), domain: DomainID(1)))
    }
  }
}
