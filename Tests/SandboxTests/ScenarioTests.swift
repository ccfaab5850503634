import Model
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// Reading scenarios.
struct ScenarioTests {
  @Test func `the examples are scenarios`() throws {
    let folder = repositoryRoot + "/examples/sandbox"
    let names = try fileNames(folder).filter { $0.hasSuffix(".yaml") }
    #expect(names.contains("home.yaml"))
    for name in names {
      let scenario = try parseScenario(try fileBytes("\(folder)/\(name)"), name: name)
      #expect(!scenario.devices.isEmpty && !scenario.domains.isEmpty, "\(name)")
    }
  }

  @Test func `values are read as they are written`() throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      metadata: {name: lab}
      spec:
        host: {xen: 4.17.5, iommu: false, delay: 2ms, introduce: false}
        devices:
          - {address: 03:00.0, id: 15e3:0040, class: 0c0330, driver: none, irq: 17, resources: [ports 0xe000-0xe01f]}
          - {address: 0000:04:00.0, id: 8086:1533}
        domains:
          - {name: a, domid: 7, kind: hvm, lifecycle: paused, answers: slow, delay: 1s}
          - name: b
            devices: [{address: 0000:04:00.0, permissive: true, virtualSlot: 5}]
        faults:
          failingCalls: [{call: map-interrupt, domain: b, error: EIO, times: 2}]
          failingExports: [0000:04:00.0]
          heldLocks: [b]
          store: {/libxl/pci/0000-04-00-0/domid: 9, /local/domain/7/name: null}
      """
    let scenario = try parseScenario(Array(text.utf8), name: "x.yaml")
    let first = try #require(PCIAddress("0000:03:00.0"))
    let second = try #require(PCIAddress("0000:04:00.0"))
    #expect(
      scenario.host
        == ScenarioHost(
          name: "lab", xenVersion: "4.17.5", hasIOMMU: false, delay: .milliseconds(2), introducesDomains: false))
    #expect(
      scenario.devices[0]
        == ScenarioDevice(
          address: first, id: DeviceID(vendor: 0x15E3, device: 0x40), deviceClass: 0x0C0330, driver: nil,
          resources: [DeviceResource(space: .ports, range: 0xE000...0xE01F)], interrupt: 17))
    #expect(scenario.domains.map(\.id) == [DomainID(7), DomainID(1)])
    #expect(scenario.domains[0].answers == .slow && scenario.domains[0].delay == .seconds(1))
    #expect(
      scenario.domains[1].devices == [
        SavedDevice(address: second, options: DeviceOptions(permissive: true, virtualSlot: 5))
      ])
    #expect(
      scenario.faults.failingCalls == [HypercallFault(call: .mapInterrupt, domain: DomainID(1), errno: 5, times: 2)])
    #expect(
      scenario.faults.store == [
        .init(path: "/libxl/pci/0000-04-00-0/domid", value: "9"), .init(path: "/local/domain/7/name", value: nil),
      ])
  }

  @Test func `stub domains and device models are read as they are written`() throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        domains:
          - {name: a, kind: hvm, stubDomain: {}}
          - {name: b, kind: hvm, stubDomain: {domid: 9, answers: slow, delay: 1s}, deviceModel: qemu-traditional}
          - {name: c, kind: hvm}
        faults:
          failingCalls: [{call: ports, domain: a-dm, error: EIO}]
          deviceModels:
            - {domain: c, is: refuses, command: device_del, text: no, times: 3}
            - {domain: a, is: gone}
      """
    let scenario = try parseScenario(Array(text.utf8), name: "x.yaml")
    #expect(scenario.domains.map(\.id) == [DomainID(1), DomainID(2), DomainID(3)])
    #expect(scenario.domains.map(\.stubDomain?.id) == [DomainID(4), DomainID(9), nil])
    #expect(scenario.domains[1].stubDomain?.answers == .slow)
    #expect(scenario.domains.map(\.deviceModel) == [.upstream, .traditional, .upstream])
    #expect(Set(scenario.domains.map(\.uuid) + scenario.domains.compactMap(\.stubDomain?.uuid)).count == 5)
    #expect(scenario.faults.failingCalls.map(\.domain) == [DomainID(4)])
    #expect(
      scenario.faults.deviceModels == [
        .init(domain: "c", fault: DeviceModelFault(.refuses, command: "device_del", text: "no", times: 3)),
        .init(domain: "a", fault: DeviceModelFault(.gone)),
      ])
  }

  @Test func `a device has the requester and the reserved memory that are written`() throws {
    func read(_ keys: String) throws -> [ScenarioDevice] {
      let text = """
        apiVersion: berth/v1alpha1
        kind: SandboxScenario
        spec:
          devices:
            - {address: 0000:03:00.0, id: 8086:1533}
            - {address: 0000:03:00.1, id: 8086:1533, \(keys)}
        """
      return try parseScenario(Array(text.utf8), name: "x.yaml").devices
    }
    let devices = try read("requester: 0000:03:00.0, reservedMemory: [0x7b800000-0x7b9fffff]")
    #expect(devices.map(\.requester) == [nil, devices[0].address])
    #expect(devices[0].reservedMemory.isEmpty && devices[1].reservedMemory.map(\.frames) == [0x7B800...0x7B9FF])
    for wrong in [
      "requester: 0000:04:00.0", "requester: 0001:03:00.0", "reservedMemory: [0x7b800010-0x7b9fffff]",
      "reservedMemory: [0x7b800000-0x7b9ffffe]", "reservedMemory: [0x7b800000]",
    ] {
      let error = try #require(throws: SandboxError.self) { try read(wrong) }
      #expect(error.message.contains("x.yaml:6:"), "\(wrong): \(error.message)")
    }
  }

  @Test(arguments: [
    "{name: a, stubDomain: {}}", "{name: a, kind: hvm, answers: wrong}", "{name: a, deviceModel: qemu}",
    "{name: a, kind: hvm, stubDomain: {domid: 1}, domid: 1}", "{name: a, kind: hvm, stubDomain: {name: x}}",
  ])
  func `a device model that cannot be is refused`(domain: String) throws {
    let text = "apiVersion: berth/v1alpha1\nkind: SandboxScenario\nspec:\n  domains:\n    - \(domain)\n"
    let error = try #require(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "x.yaml") }
    #expect(error.message.contains("x.yaml:5:"), "\(error.message)")
  }

  @Test func `all errors are reported in one run, with their locations`() throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        devices:
          - {address: 0000:03:00.0, id: 8086:1533, drivr: pciback}
          - {address: 0000:03:00.0, id: 8086:1533}
          - {address: 0000:05:00.0, id: nonsense}
        domains:
          - {name: a, devices: [0000:09:00.0], lifecycle: asleep}
          - {name: b, devices: [0000:03:00.0]}
          - {name: c, devices: [0000:03:00.0]}
        faults:
          heldLocks: [nobody]
      """
    let error = try #require(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "x.yaml") }
    #expect(error.code == .invalidScenario)
    for place in ["x.yaml:5:", "x.yaml:6:", "x.yaml:7:", "x.yaml:9:", "x.yaml:11:", "x.yaml:13:"] {
      #expect(error.message.contains(place), "\(place) in\n\(error.message)")
    }
    #expect(error.message.contains("driver"), "the key that was meant")
  }

  @Test func `names are quoted in messages, so that they cannot steer a terminal`() throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        devices: [{address: 0000:03:00.0, id: 8086:1533}]
        domains:
          - {name: "a\u{5C}e", devices: [0000:03:00.0, 0000:04:00.0]}
          - {name: "a\u{5C}e", devices: [0000:03:00.0]}
        faults:
          heldLocks: ["b\u{5C}e"]
          deviceModels: [{domain: "a\u{5C}e", is: gone}]
      """
    let error = try #require(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "x.yaml") }
    #expect(!error.message.contains("\u{1B}"))
    for line in [
      "two domains have the name 'a\\u{1b}'", "0000:04:00.0 is attached to 'a\\u{1b}' but is not on pciback",
      "0000:03:00.0 is attached to 'a\\u{1b}' and to 'a\\u{1b}'", "the scenario has no domain 'b\\u{1b}'",
      "'a\\u{1b}' has no device model",
    ] { #expect(error.message.contains(line), "\(line) in\n\(error.message)") }
  }

  @Test(arguments: [
    "heldLocks: [later]", "heldLocks: [later-dm]", "deviceModels: [{domain: later, is: gone}]",
  ])
  func `a domain that does not exist at the start cannot have a fault of the start`(fault: String) throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        domains: [{name: later, kind: hvm, lifecycle: absent, stubDomain: {}}]
        faults: {\(fault)}
      """
    let error = try #require(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "x.yaml") }
    #expect(error.message.contains("x.yaml:5:"), "\(error.message)")
    #expect(error.message.contains("does not exist at the start, so it cannot have this fault"), "\(error.message)")
  }

  @Test(arguments: ["", "# nothing", "[", "kind: SandboxScenario", "apiVersion: berth/v1alpha1\nkind: Other\nspec: {}"])
  func `a text that is not a scenario is refused`(text: String) {
    #expect(throws: SandboxError.self) { try parseScenario(Array(text.utf8), name: "x.yaml") }
  }
}
