import FoundationEssentials
import Model
import TestSupport
import Testing

/// The program on a host whose devices have drivers of their own, beside Xen's own `xl`.
struct DriverProcessTests {
  private let lan = Sample.address(0)
  private let disk = Sample.address(1)
  private let stubborn = Sample.address(2)

  private func with(_ body: (TestHost) async throws -> Void) async throws {
    let devices = [
      "{address: \"\(lan)\", id: \"8086:1533\", driver: igb, interface: {name: eth0, mac: \"a0:36:9f:12:34:56\"}}",
      "{address: \"\(disk)\", id: \"144d:a808\", class: \"0108\", driver: nvme, disk: {name: nvme0n1, mount: /srv}}",
      "{address: \"\(stubborn)\", id: \"8086:1533\", driver: igb}",
    ]
    let scenario = TestScenario.host(
      devices: 0, extraDevices: devices, ["{name: net, domid: 5}"],
      faults: "{drivers: [{device: \"\(stubborn)\", driver: igb, refuses: unbind}]}")
    try await TestHost.with(scenario) { host in try await body(host) }
  }

  /// Returns a manifest that declares the network card by its hardware address.
  private func byHardwareAddress(_ host: TestHost) throws -> String {
    try host.folder.write(
      "mac.yaml",
      """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      spec:
        devices:
          lan: {mac: "a0:36:9f:12:34:56"}
        domains:
          net: {devices: [lan]}

      """)
    return host.folder.path + "/mac.yaml"
  }

  @Test func `a card is found by its hardware address, taken, given to the guest, and still found afterwards`()
    async throws
  {
    try await with { host in
      let manifest = try byHardwareAddress(host)
      let apply = try await host.berth("apply", manifest, "--yes", "-v")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      for text in ["prepared: pciback has it", "proof: driver_override none", "proof: Xen quarantined it"] {
        #expect(apply.output.contains(text), "\(text) is missing in\n\(apply.output)")
      }
      #expect(try await host.disagreements(of: "net", expecting: [lan]) == [])
      let again = try await host.berth("apply", manifest, "--yes")
      #expect(again.status == 0 && again.output.contains("Nothing to do"), "\(again.output)\(again.errors)")
    }
  }

  @Test func `what was prepared is returned as it was found`() async throws {
    try await with { host in
      let before = try TreeSnapshot(of: "\(host.directory)/root/sys", withTimes: false)
      let nodes = try await host.nodes(below: "/libxl/pci")
      let first = try await host.berth(
        "apply", try host.manifest(["net": [lan]], policy: "{afterDetach: restore}"), "--yes")
      #expect(first.status == 0, "\(first.output)\(first.errors)")
      #expect(try host.driver(of: lan) == "pciback" && host.phase(of: lan) == "prepared")
      let last = try await host.berth(
        "apply", try host.manifest(["net": []], policy: "{afterDetach: restore}"), "--yes")
      #expect(last.status == 0 && last.output.contains("released: igb has it"), "\(last.output)\(last.errors)")
      #expect(try host.driver(of: lan) == "igb" && host.phase(of: lan) == "none")
      #expect(try TreeSnapshot(of: "\(host.directory)/root/sys", withTimes: false).differences(from: before) == [])
      #expect(try await host.nodes(below: "/libxl/pci").filter { $0.key.hasSuffix("driver_path") } == [:], "\(nodes)")
    }
  }

  @Test func `the disk with the host's files is not taken, and a driver that refuses keeps its device`() async throws {
    try await with { host in
      let manifest = try host.manifest(["net": [lan, disk, stubborn]])
      let apply = try await host.berth("apply", manifest, "--yes")
      // One was attached, and one failed.
      #expect(apply.status == 6, "\(apply.output)\(apply.errors)")
      #expect(apply.output.contains("\(disk) → nvme0n1 → /srv"))
      #expect(apply.output.contains("igb did not release it") && apply.output.contains("cannot stop: still in use"))
      #expect(apply.output.contains("igb has it again (undone)"))
      #expect(try host.driver(of: disk) == "nvme" && host.driver(of: stubborn) == "igb")
      #expect(try host.sysfs("devices/\(stubborn)/driver_override") == "(null)" && host.phase(of: stubborn) == "none")
      // Nothing else is left to do: the failure was undone.
      let again = try await host.berth("apply", manifest, "--yes")
      #expect(again.status == 5, "\(again.output)\(again.errors)")
    }
  }

  @Test func `xl takes back what Berth prepared, and Berth goes on with what xl prepared`() async throws {
    try await with { host in
      #expect(try await host.berth("apply", try host.manifest(["later": [lan]]), "--yes").status == 0)
      #expect(try host.driver(of: lan) == "pciback")
      let removed = try await host.xl("pci-assignable-remove", "-r", "\(lan)").run()
      #expect(removed.status == 0, "\(removed.output)\(removed.errors)")
      _ = try await host.status()
      #expect(try host.driver(of: lan) == "igb")

      let added = try await host.xl("pci-assignable-add", "\(lan)").run()
      #expect(added.status == 0, "\(added.output)\(added.errors)")
      _ = try await host.status()
      #expect(try host.driver(of: lan) == "pciback")
      let apply = try await host.berth("apply", try host.manifest(["net": [lan]]), "--yes")
      #expect(apply.status == 0 && !apply.output.contains("prepare"), "\(apply.output)\(apply.errors)")
      #expect(try await host.disagreements(of: "net", expecting: [lan]) == [])
      #expect(try await host.berth("apply", try host.manifest(["net": []]), "--yes").status == 0)
      let released = try await host.berth("release", "\(lan)", "--yes")
      #expect(released.status == 0, "\(released.output)\(released.errors)")
      #expect(try host.driver(of: lan) == "igb" && host.phase(of: lan) == "none")
    }
  }

  @Test(arguments: [
    ("router-nic", ["0000:03:00.0"]), ("usb-controller", ["0000:00:14.0"]), ("gpu", ["0000:01:00.0", "0000:01:00.1"]),
    ("identical-cards", ["0000:03:00.0", "0000:05:00.0"]), ("nvme-by-serial", ["0000:06:00.0"]),
  ])
  func `each example takes its devices from their drivers, and gives them back`(
    _ example: String, _ devices: [String]
  ) async throws {
    let folder = "\(repositoryRoot)/examples"
    let scenario = try String(contentsOfFile: "\(folder)/sandbox/drivers.yaml", encoding: .utf8)
    try await TestHost.with(scenario) { host in
      let manifest = "\(folder)/devices/\(example).yaml"
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      let addresses = try devices.map { try #require(PCIAddress($0)) }
      for device in addresses {
        #expect(try host.driver(of: device) == "pciback" && host.phase(of: device) == "prepared")
      }
      let again = try await host.berth("plan", manifest, "--detailed-exitcode")
      #expect(again.status == 0, "\(again.output)\(again.errors)")
      // No domain is declared for the devices, and none keeps them.
      try host.folder.write(
        "nothing.yaml",
        """
        {apiVersion: berth/v1alpha1, kind: HostAssignments, metadata: {name: drivers},
         spec: {policy: {afterDetach: restore}, domains: {}}}

        """)
      let back = try await host.berth("apply", host.folder.path + "/nothing.yaml", "--yes", "--allow-removals")
      #expect(back.status == 0, "\(back.output)\(back.errors)")
      for device in addresses {
        #expect(try host.driver(of: device) != "pciback" && host.driver(of: device) != "none")
        #expect(host.phase(of: device) == "none")
      }
    }
  }

  @Test func `a card is taken as a whole, and a function that refuses returns the others`() async throws {
    let functions = try ["0000:05:00.0", "0000:05:00.1"].map { try #require(PCIAddress($0)) }
    let scenario = TestScenario.host(
      devices: 0,
      extraDevices: functions.map { "{address: \"\($0)\", id: \"8086:1533\", driver: igb}" },
      ["{name: net, domid: 5}"],
      faults: "{drivers: [{device: \"\(functions[1])\", driver: igb, refuses: unbind}]}")
    try await TestHost.with(scenario) { host in
      try host.folder.write(
        "card.yaml",
        """
        apiVersion: berth/v1alpha1
        kind: HostAssignments
        spec:
          devices:
            card: {address: "\(functions[0])", id: "8086:1533", functions: all}
          domains:
            net: {devices: [card]}

        """)
      let before = try TreeSnapshot(of: "\(host.directory)/root/sys", withTimes: false)
      let apply = try await host.berth("apply", host.folder.path + "/card.yaml", "--yes")
      #expect(apply.status == 5, "\(apply.output)\(apply.errors)")
      let words = "all functions of the card are declared, and \(functions[1]) cannot be taken: igb did not release it"
      #expect(apply.output.contains(words), "\(apply.output)")
      for function in functions {
        #expect(try host.driver(of: function) == "igb" && host.phase(of: function) == "none")
      }
      #expect(try TreeSnapshot(of: "\(host.directory)/root/sys", withTimes: false).differences(from: before) == [])
      #expect(try await host.disagreements(of: "net", expecting: []) == [])
    }
  }

  @Test func `a device in use is not released, and wrong addresses are refused`() async throws {
    try await with { host in
      #expect(try await host.berth("apply", try host.manifest(["net": [lan]]), "--yes").status == 0)
      let used = try await host.berth("release", "\(lan)", "--yes")
      #expect(used.status == 3 && used.output.contains("domain 5 has it on its bus"), "\(used.output)\(used.errors)")
      #expect(try host.driver(of: lan) == "pciback")
      let absent = try await host.berth("release", "0000:77:00.0", "--yes")
      #expect(absent.status == 3 && absent.output.contains("device-missing"), "\(absent.output)")
      let wrong = try await host.berth("release", "77:00", "--yes")
      #expect(wrong.status == 64 && wrong.errors.contains("0000:03:00.0"), "\(wrong.errors)")
      #expect(try await host.berth("release", "\(lan)").status == 64, "without a terminal it asks nobody")
    }
  }
}
