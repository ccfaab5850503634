import LinuxAdapter
import Model
import Ports
import Sandbox
import TestSupport
import Testing

/// The tree of devices in a sandbox, as the inventory reads it.
struct DeviceTopologyTests {
  private static let scenario = """
    apiVersion: berth/v1alpha1
    kind: SandboxScenario
    spec:
      devices:
        - {address: "0000:00:1c.0", id: "8086:a338", class: "0604", driver: pcieport}
        - {address: "0000:01:00.0", behind: "0000:00:1c.0", id: "104c:8241", class: "0604", driver: pcieport}
        - address: "0000:03:00.0"
          behind: "0000:01:00.0"
          id: "8086:1533"
          revision: 3
          driver: igb
          slot: PCIE1
          serial: a0-36-9f-ff-ff-12-34-56
          interface: {name: lan0, mac: "a0:36:9f:12:34:56"}
        - address: "0000:04:00.0"
          id: "144d:a80a"
          class: "010802"
          driver: nvme
          nvme: {name: nvme0, serial: S4EVNX0R}
        - {address: "0000:05:00.0", id: "10ec:8125"}
    """

  private func inventory(of sandbox: LiveSandbox) throws -> [String: PCIFunction] {
    let found = try SysfsInventory(root: sandbox.paths.root).inventory(of: Set(FunctionFact.allCases))
    for function in found.functions { #expect(function.unread.isEmpty) }
    return Dictionary(found.functions.map { ("\($0.name)", $0) }, uniquingKeysWith: { first, _ in first })
  }

  @Test func `a device is below its bridge, and has what its driver shows`() async throws {
    try await LiveSandbox.run(Self.scenario) { sandbox in
      let functions = try inventory(of: sandbox)
      #expect(functions.count == 5)
      let card = try #require(functions["0000:03:00.0"])
      #expect(card.chain.map(\.description) == ["0000:00:1c.0", "0000:01:00.0", "0000:03:00.0"])
      #expect(card.path?.description == "00_1c.0-00_00.0-00_00.0")
      #expect(card.serial == "a0-36-9f-ff-ff-12-34-56" && card.revision == 3 && card.slots == ["PCIE1"])
      #expect(card.interfaces == [NetworkInterface(name: "lan0", address: MACAddress("a0:36:9f:12:34:56"))])
      #expect(functions["0000:04:00.0"]?.nvme.first?.serial == "S4EVNX0R")
      #expect(functions["0000:04:00.0"]?.path?.description == "04_00.0")
      #expect(functions["0000:00:1c.0"]?.isolation?.type == .rootPort)
      try SandboxInspection(of: try SandboxDirectory.open(sandbox.paths.directory)).requireUntouched()
    }
  }

  @Test func `what a driver makes goes with the driver`() async throws {
    try await LiveSandbox.run(Self.scenario) { sandbox in
      try writeFile(sandbox.paths.pciDrivers + "/igb/unbind", "0000:03:00.0")
      _ = try sandbox.status()
      var card = try #require(try inventory(of: sandbox)["0000:03:00.0"])
      #expect(card.driver == nil && card.interfaces.isEmpty)
      #expect(!fileExists(sandbox.paths.networkInterfaces + "/lan0"))
      try writeFile(sandbox.paths.pciDrivers + "/igb/bind", "0000:03:00.0")
      _ = try sandbox.status()
      card = try #require(try inventory(of: sandbox)["0000:03:00.0"])
      #expect(card.driver == "igb" && card.interfaces.count == 1)
    }
  }

  @Test func `all that dom0 uses its devices for is known`() async throws {
    let scenario = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        host: {routes: [lan0]}
        devices:
          - {address: "0000:03:00.0", id: "8086:1533", driver: igb, interface: {name: lan0, mac: "a0:36:9f:12:34:56"}}
          - {address: "0000:04:00.0", id: "144d:a80a", driver: ahci, class: "0106", disk: {name: sda, mount: /srv}}
          - {address: "0000:05:00.0", id: "144d:a80a", driver: ahci, class: "0106", disk: {name: sdb}}
      """
    for (text, routes) in [(scenario, [["lan0"]]), (scenario.replacing("[lan0]", with: "[]"), [])] {
      try await LiveSandbox.run(text) { sandbox in
        let reader = SandboxUsage(UsageReader(root: sandbox.paths.root))
        let usage = reader.usage()
        #expect(usage.unread.isEmpty, "\(usage.unread)")
        #expect(usage.network.defaultRoutes.map(\.interfaces) == routes && usage.network.sessions.isEmpty)
        #expect(usage.attendants.consoles.map(\.name) == ["hvc0"] && usage.attendants.keyboards.isEmpty)
        // A disk without a mount is nobody's.
        #expect(
          reader.openings(of: ["sda", "sdb"]) == [
            DiskOpening(disk: "sda", answer: .held), DiskOpening(disk: "sdb", answer: .free),
          ])
      }
    }
  }

  @Test func `a device that is removed leaves no link`() async throws {
    try await LiveSandbox.run(Self.scenario) { sandbox in
      try writeFile(sandbox.paths.pciDevices + "/0000:05:00.0/remove", "1")
      _ = try sandbox.status()
      let functions = try inventory(of: sandbox)
      #expect(functions["0000:05:00.0"] == nil && functions.count == 4)
    }
  }

  @Test(arguments: [
    ("behind: \"0000:04:00.0\"", "0000:04:00.0 is no bridge of the scenario"),
    ("behind: \"0000:09:00.0\"", "0000:09:00.0 is no bridge of the scenario"),
    ("behind: \"0000:00:1c.0\", slot: ../up", "'slot' must be a name"),
    ("serial: 12", "'serial' must be a serial number"),
    ("interface: {name: lan1}", "'interface' needs the key 'mac'"),
  ])
  func `a device that cannot be so is refused`(keys: String, finding: String) throws {
    let text = Self.scenario + "\n    - {address: \"0000:06:00.0\", id: \"10ec:8125\", \(keys)}"
    let error = #expect(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "scenario.yaml") }
    #expect(error?.message.contains(finding) == true, "\(error?.message ?? "")")
  }

  @Test func `bridges that are behind each other are refused`() throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        devices:
          - {address: "0000:00:1c.0", behind: "0000:01:00.0", id: "8086:a338", class: "0604", driver: pcieport}
          - {address: "0000:01:00.0", behind: "0000:00:1c.0", id: "104c:8241", class: "0604", driver: pcieport}
      """
    let error = #expect(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "scenario.yaml") }
    #expect(error?.message.contains("is behind itself") == true)
  }
}
