import Model
import Ports
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// Device models that fail, and qemu-traditional.
struct FailingDeviceModelTests {
  private let devices = Scenarios.addresses
  private let names = Scenarios.addresses.map { DeviceModelName($0).description }
  private let done = "{\"return\": {}, \"id\": 7}"

  @Test func `a silent QEMU sends nothing`() async throws {
    try await hvm(faults: "deviceModels: [{domain: pv1, is: silent}]") { sandbox in
      let client = try QMPClient(sandbox.paths.deviceModelSocket(of: DomainID(1)))
      client.send("{\"execute\":\"qmp_capabilities\"}")
      #expect(try sandbox.domain(1).deviceModel?.faults == [.silent])
      #expect(!client.hasWords)
      try sandbox.request("device-model pv1 normal")
      client.send("{\"execute\":\"query-pci\"}")
      #expect(try client.line()?.contains("Expecting capabilities") == true, "the first command was lost")
    }
  }

  @Test func `a command without an answer has no effect`() async throws {
    try await hvm(faults: "deviceModels: [{domain: pv1, is: silent, command: device_add, times: 1}]") { sandbox in
      let client = try sandbox.qmp()
      client.send("{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"pci-bridge\",\"id\":\"b\"}}")
      #expect(try client.listed().count == 6, "QEMU lists no more than at the start")
      #expect(try client.add(devices[1]) == done)
    }
  }

  @Test func `a conversation can end in the middle of an answer`() async throws {
    try await hvm(faults: "deviceModels: [{domain: pv1, is: hangs-up, command: device_add, times: 1}]") { sandbox in
      let client = try sandbox.qmp()
      client.send(
        "{\"execute\":\"device_add\",\"id\":7,\"arguments\":{\"driver\":\"xen-pci-passthrough\",\"id\":\"\(names[1])\","
          + "\"hostaddr\":\"\(devices[1])\"}}")
      #expect(try client.line() == nil)
      #expect(!client.rest.isEmpty && done.hasPrefix(client.rest))
      #expect(try sandbox.emulated().contains(names[1]), "it was obeyed")
      let listed = try sandbox.qmp().listed()
      #expect(listed.count == 7)
    }
  }

  @Test func `an answer can be cut in the middle`() async throws {
    try await hvm(faults: "deviceModels: [{domain: pv1, is: truncates, command: query-pci}]") { sandbox in
      let client = try sandbox.qmp()
      let answer = try client.ask("query-pci")
      #expect(answer.hasPrefix("{\"return\": [{\"bus\": 0") && !answer.hasSuffix("}"))
      #expect(try client.remove(devices[0]) == done, "other answers are complete")
    }
  }

  @Test func `a refusal has its own text and ends after its count`() async throws {
    try await hvm(faults: "deviceModels: [{domain: pv1, is: refuses, text: 'no room', times: 2}]") { sandbox in
      let client = try sandbox.qmp()
      for _ in 0..<2 {
        #expect(
          try client.add(devices[1])
            == "{\"id\": 7, \"error\": {\"class\": \"GenericError\", \"desc\": \"no room\"}}")
      }
      #expect(try client.add(devices[1]) == done)
      #expect(try sandbox.domain(1).deviceModel?.faults == [])
      try sandbox.request("device-model pv1 refuses device_del 1 not now, please")
      #expect(try client.remove(devices[1]).contains("\"not now, please\""))
    }
  }

  @Test(arguments: [DeviceModelFault.Kind.gone, .crashed])
  func `a QEMU that has ended accepts no client`(kind: DeviceModelFault.Kind) async throws {
    try await hvm(faults: "deviceModels: [{domain: pv1, is: \(kind.rawValue)}]") { sandbox in
      let path = sandbox.paths.deviceModelSocket(of: DomainID(1))
      #expect(fileExists(path) == (kind == .crashed))
      #expect(throws: TestFailure.self) { try QMPClient(path) }
      #expect(try sandbox.domain(1).deviceModel?.isRunning == false)
      try sandbox.request("device-model pv1 normal")
      let listed = try sandbox.qmp().listed()
      #expect(listed.count == 5, "a new one has no devices")
    }
  }

  @Test func `an invalid fault is refused`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      #expect(throws: SandboxError.self) { try sandbox.request("device-model pv1 silent") }
    }
    try await hvm(faults: "") { sandbox in
      #expect(throws: SandboxError.self) { try sandbox.request("device-model pv1 sleepy") }
      #expect(throws: SandboxError.self) { try sandbox.request("device-model pv1 silent - often") }
      #expect(throws: SandboxError.self) { try sandbox.request("restart-stub pv1") }
    }
  }

  // MARK: qemu-traditional

  @Test(arguments: ["", "stubDomain: {}"], StoreKind.allCases)
  func `qemu-traditional takes its commands from the store`(stub: String, store: StoreKind) async throws {
    let scenario = Scenarios.laboratory(
      domain: "kind: hvm\ndeviceModel: qemu-traditional\ndevices: [0000:00:05.0]\n" + stub)
    try await LiveSandbox.run(scenario, store: store) { sandbox in
      let nodes = "/local/domain/\(stub.isEmpty ? 0 : 2)/device-model/1"
      let hand = Hand(link: try sandbox.connect(), domain: DomainID(stub.isEmpty ? 1 : 2))
      #expect(try hand.link.read("/libxl/1/dm-version") == "qemu_xen_traditional")
      #expect(!fileExists(sandbox.paths.deviceModelSocket(of: DomainID(1))))
      if !stub.isEmpty {
        try hand.append([devices[1]])
        try sandbox.wait(for: [hand.back + "/state": "4", hand.front + "/state": "4", hand.back + "/state-1": "3"])
      }
      func order(_ command: String, _ parameter: String) throws {
        try hand.link.write(nodes + "/parameter", parameter)
        try hand.link.write(nodes + "/command", command)
      }
      try order("pci-ins", "\(devices[1])@e0,msitranslate=0,power_mgmt=0")
      try sandbox.wait(for: [nodes + "/state": "pci-inserted", nodes + "/parameter": "0xe0"])
      #expect(try sandbox.emulated() == [names[0], names[1]])
      try hand.link.write(nodes + "/state", "running")
      try order("pci-ins", "\(devices[1]),msitranslate=0,power_mgmt=0")
      try sandbox.wait(for: [nodes + "/state": "pci-insert-failed"])
      try hand.link.write(nodes + "/state", "running")
      try order("pci-rem", "\(devices[0])")
      try sandbox.wait(for: [nodes + "/state": "pci-removed"])
      #expect(try sandbox.emulated() == [names[1]])
    }
  }

  @Test func `xl uses qemu-traditional`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm\ndeviceModel: qemu-traditional")) { sandbox in
      let attach = try await sandbox.xl("pci-attach", "pv1", "00:05.0@1c").run()
      #expect(attach.status == 0, "\(attach.errors)")
      #expect(try sandbox.emulated() == [names[0]])
      try sandbox.wait(for: [
        "/local/domain/0/device-model/1/state": "running", "/local/domain/0/backend/pci/1/0/vdevfn-0": "e0",
      ])
      let detach = try await sandbox.xl("pci-detach", "pv1", "00:05.0").run()
      #expect(detach.status == 0, "\(detach.errors)")
      #expect(try sandbox.emulated() == [])
    }
  }

  @Test func `qemu-traditional can be silent`() async throws {
    let scenario = Scenarios.laboratory(
      domain: "kind: hvm\ndeviceModel: qemu-traditional\nanswers: never\ndevices: [0000:00:05.0]",
      faults: "deviceModels: [{domain: pv1, is: silent, command: device_add, times: 1}, {domain: pv1, is: refuses}]")
    try await LiveSandbox.run(scenario) { sandbox in
      let nodes = "/local/domain/0/device-model/1"
      let link = try sandbox.connect()
      try link.write(nodes + "/parameter", "\(devices[1])")
      try link.write(nodes + "/command", "pci-ins")
      #expect(try sandbox.domain(1).deviceModel?.faults == [.refuses])
      #expect(try link.read(nodes + "/state") == "running")
      try link.write(nodes + "/command", "pci-ins")
      try sandbox.wait(for: [nodes + "/state": "pci-insert-failed"])
      try link.write(nodes + "/state", "running")
      try link.write(nodes + "/parameter", "\(devices[0])")
      try link.write(nodes + "/command", "pci-rem")
      #expect(try sandbox.emulated() == [names[0] + "!"])
      try sandbox.request("answers pv1 normal")
      try sandbox.wait(for: [nodes + "/state": "pci-removed"])
    }
  }

  private func hvm(faults: String, _ body: @Sendable (LiveSandbox) async throws -> Void) async throws {
    let scenario = Scenarios.laboratory(domain: "kind: hvm\ndevices: [0000:00:05.0]", faults: faults)
    try await LiveSandbox.run(scenario, body)
  }
}
