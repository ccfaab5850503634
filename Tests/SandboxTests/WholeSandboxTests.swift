import Model
import Ports
import Sandbox
import Testing

/// The whole sandbox, with each of Debian's two xenstoreds.
struct WholeSandboxTests {
  private let devices = Scenarios.addresses

  @Test(arguments: StoreKind.allCases)
  func `devices come and go in rounds`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(), store: store) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      try hand.create(Array(devices[0..<2]))
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4", hand.back + "/state-1": "3"])
      #expect(try sandbox.domain(1).guestDevices.values.sorted() == Array(devices[0..<2]))

      try hand.append(Array(devices[2..<4]))
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4", hand.back + "/state-3": "3"])
      #expect(try sandbox.domain(1).guestDevices.count == 4)

      try hand.detach([0, 2])
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
      #expect(try sandbox.domain(1).guestDevices.values.sorted() == [devices[1], devices[3]])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `an orderly close ends the kernel's object`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      let object = sandbox.paths.backEndObjects + "/pci-1-0"
      #expect(fileExists(object))
      try hand.write([hand.back + "/online": "0", hand.back + "/state": "5"])
      try sandbox.wait(for: [hand.back + "/state": "6", hand.front + "/state": "6"])
      _ = try sandbox.status()
      #expect(!fileExists(object))
      try hand.remove([hand.back, hand.front])
      try sandbox.wait(for: ["/local/domain/1/error/device/pci/0/error": "22 freeing event channel 8"])
      try hand.create([devices[1]])
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
      #expect(try sandbox.domain(1).guestDevices.values.sorted() == [devices[1]])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `a failed export ends the bus and a rebuilt one works`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      try hand.append([try #require(PCIAddress("0000:00:1f.2"))])
      try sandbox.wait(for: [hand.back + "/state": "5", hand.front + "/state": "7"])
      #expect(
        try hand.link.read("/local/domain/0/error/backend/pci/1/0/error")
          == "22 Couldn't locate PCI device (0000:00:1f.2)! perhaps already in-use?")
      #expect(try sandbox.domain(1).guestDevices.count == 1)
      try hand.remove([hand.back, hand.front])
      try sandbox.wait(for: ["/local/domain/1/error/device/pci/0/error": "22 freeing event channel 8"])
      try hand.create([devices[0]])
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `an unknown place blocks the bus until it is corrected`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      try hand.write([
        hand.back + "/state-0": "5", hand.back + "/vdev-0": "0000:00:1d.00", hand.back + "/state": "7",
      ])
      try sandbox.wait(for: [hand.back + "/state": "7", hand.front + "/state": "7"])
      try hand.write([
        hand.back + "/state-0": "3", hand.back + "/vdev-0": "0000:00:00.00", hand.front + "/state": "7",
      ])
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `a bus that is recreated over a living object is not noticed`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      try hand.link.transaction { (inside: any SimulatorStore) throws(StoreError) in
        for path in [hand.back, hand.front] {
          try inside.remove(path)
          try inside.write(path + "/state", "1")
        }
        try inside.write(hand.back + "/frontend", hand.front)
        try inside.write(hand.back + "/frontend-id", "1")
        try inside.write(hand.back + "/num_devs", "0")
        return true
      }
      // The simulator processes the store before it answers, so its answer comes after it has seen the change.
      #expect(try sandbox.domain(1).hasBackEndObject)
      #expect(try hand.link.read(hand.back + "/state") == "1")
      #expect(try hand.link.read(hand.front + "/state") == "1")
    }
  }

  @Test func `commits that fail on purpose change nothing for the guest`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(), store: .ox, testEagain: true) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      try hand.create([devices[0]])
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
      for _ in 0..<5 {
        try hand.append([devices[1]])
        try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4", hand.back + "/state-1": "3"])
        try hand.detach([1])
        try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
        try hand.write([hand.back + "/num_devs": "1"])
      }
      #expect(try sandbox.domain(1).guestDevices.count == 1)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `a cold guest has its devices when it starts`(store: StoreKind) async throws {
    let scenario = Scenarios.laboratory(domain: "lifecycle: cold\ndevices: [0000:00:05.0]")
    try await LiveSandbox.run(scenario, store: store) { sandbox in
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(1))
      #expect(try hand.link.read(hand.back + "/state") == "3")
      #expect(try hand.link.read(hand.front + "/state") == "1")
      let hypervisor = SandboxHypervisor(paths: sandbox.paths)
      let before = try #require(try hypervisor.domain(DomainID(1)))
      #expect(before.isPaused && before.cpuTime == 0)
      try sandbox.request("start pv1")
      try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4"])
      let after = try #require(try hypervisor.domain(DomainID(1)))
      #expect(!after.isPaused && after.cpuTime > 0)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `a destroyed domain leaves nothing behind`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      let link = try sandbox.connect()
      try link.watch("@releaseDomain")
      _ = try link.takeEvents()
      try sandbox.request("destroy pv1")
      try sandbox.wait(for: ["/local/domain/1": nil, "/libxl/1": nil, "/libxl/pci/0000-00-05-0/domid": nil])
      #expect(try link.list("/local/domain/0/backend/pci") == nil)
      #expect(try sandbox.status().domains.isEmpty)
      #expect(try SandboxHypervisor(paths: sandbox.paths).domain(DomainID(1)) == nil)
      #expect(try SandboxHypervisor(paths: sandbox.paths).probe(devices[0], for: nil) == .free)
      #expect(!fileExists(sandbox.paths.userdata("d", of: key, "libxl-json")))
      try sandbox.request("create pv1")
      try sandbox.wait(for: ["/local/domain/2/device/pci/0/state": "4"])
    }
  }

  private var key: DomainKey { DomainKey(id: DomainID(1), uuid: Scenarios.uuid) }
}
