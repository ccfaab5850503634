import Model
import TestSupport
import Testing

/// The program on a host whose devices have companions that only Xen knows.
struct SharedDeviceTests {
  private static let memory = "0x7b800000-0x7b9fffff"

  /// Two cards are behind a bridge to conventional PCI, and a guest has one of them. Two USB controllers share reserved
  /// memory. One more card shares nothing.
  private static let devices = [
    "{address: \"0000:00:1e.0\", id: \"8086:244e\", class: \"0604\", driver: none}",
    "{address: \"0000:04:00.0\", behind: \"0000:00:1e.0\", requester: \"0000:00:1e.0\", id: \"10ec:8139\"}",
    "{address: \"0000:04:01.0\", behind: \"0000:00:1e.0\", requester: \"0000:00:1e.0\", id: \"10ec:8139\"}",
    "{address: \"0000:00:1a.0\", id: \"8086:1e2d\", class: \"0c0320\", reservedMemory: [\"\(memory)\"]}",
    "{address: \"0000:00:1d.0\", id: \"8086:1e26\", class: \"0c0320\", driver: ehci-pci, reservedMemory: [\"\(memory)\"]}",
    "{address: \"0000:05:00.0\", id: \"8086:1533\", driver: igb}",
  ]

  private func with(
    iommu: Bool = true, faults: String? = nil, _ body: (TestHost) async throws -> Void
  ) async throws {
    let guest = iommu ? "{name: net, domid: 5, devices: [\"0000:04:00.0\"]}" : "{name: net, domid: 5, iommu: false}"
    try await TestHost.with(
      TestScenario.host(devices: 0, extraDevices: Self.devices, [guest], faults: faults, iommu: iommu)
    ) { host in try await body(host) }
  }

  private struct Found {
    var companions: [String]?
    var reserved: [String]?
    var sharers: [String]?
    var unknown: [String] = []
  }

  /// Returns what the document says of each device, by address.
  private func list(_ host: TestHost) async throws -> [String: Found] {
    let result = try await host.berth("devices", "-o", "json")
    #expect(result.status == 0, "\(result.errors)")
    let violations = try DocumentSchemas().violations(of: result.output)
    #expect(violations.isEmpty, "\(violations)")
    guard case .array(let devices)? = try JSON(text: result.output)["devices"] else { return [:] }
    return Dictionary(
      uniqueKeysWithValues: devices.map { device in
        var found = Found()
        found.companions = device["companions"]?.strings
        if case .array(let ranges)? = device["reservedMemory"] {
          found.reserved = ranges.map { "\($0["first"]?.string ?? "")-\($0["last"]?.string ?? "")" }
        }
        found.sharers = device["sharesReservedMemoryWith"]?.strings
        if case .array(let unknown)? = device["unknown"] {
          found.unknown = unknown.map { "\($0["fact"]?.string ?? ""): \($0["file"]?.string ?? "")" }
        }
        return (device["address"]?.string ?? "", found)
      })
  }

  @Test func `documents, lists and explanations say which devices belong together`() async throws {
    try await with { host in
      let found = try await list(host)
      #expect(found["0000:04:00.0"]?.companions == ["0000:04:01.0"])
      #expect(found["0000:04:01.0"]?.companions == ["0000:04:00.0"])
      #expect(found["0000:05:00.0"]?.companions == [] && found["0000:05:00.0"]?.reserved == [])
      #expect(found["0000:00:1a.0"]?.reserved == [Self.memory])
      #expect(found["0000:00:1a.0"]?.sharers == ["0000:00:1d.0"] && found["0000:00:1d.0"]?.sharers == ["0000:00:1a.0"])
      #expect(found.values.allSatisfy { $0.unknown.isEmpty })

      let wide = try await host.berth("devices", "-o", "wide").output
      #expect(wide.contains("shares its requester id with 0000:04:01.0"), "\(wide)")
      #expect(wide.contains("reserved memory \(Self.memory), shares its reserved memory with 0000:00:1d.0"))
      let usual = try await host.berth("devices").output
      #expect(!usual.contains("shares"), "\(usual)")
      let explained = try await host.berth("explain", "00:1d.0").output
      #expect(explained.contains("refuses the device unless its rdmPolicy is relaxed"), "\(explained)")
      #expect(try await !host.berth("explain", "05:00.0").output.contains("rdmPolicy"))
    }
  }

  @Test func `Xen refuses a device that shares reserved memory, unless the policy is relaxed`() async throws {
    try await with { host in
      func manifest(_ options: String) throws -> String {
        try host.folder.write(
          "manifest.yaml",
          """
          apiVersion: berth/v1alpha1
          kind: HostAssignments
          spec:
            domains:
              net: {devices: ["0000:04:00.0", {address: "0000:00:1a.0"\(options)}]}

          """)
        return host.folder.path + "/manifest.yaml"
      }
      let strict = try await host.berth("apply", try manifest(""), "--yes")
      #expect(strict.status != 0 && strict.output.contains("assign-refused"), "\(strict.output)\(strict.errors)")
      let relaxed = try await host.berth("apply", try manifest(", rdmPolicy: relaxed"), "--yes")
      #expect(relaxed.status == 0, "\(relaxed.output)\(relaxed.errors)")
    }
  }

  @Test func `without an IOMMU nothing is said, and nothing is a failure`() async throws {
    try await with(iommu: false) { host in
      for (address, found) in try await list(host) {
        #expect(found.companions == nil && found.reserved == nil && found.sharers == nil, "\(address)")
        #expect(found.unknown.isEmpty, "\(address)")
      }
    }
  }

  @Test func `a question that Xen refuses makes one fact unknown, and is named`() async throws {
    let faults = """
      {failingCalls: [{call: group, device: "0000:04:01.0", error: EPERM}, \
      {call: reserved-memory, device: "0000:00:1a.0", error: EINVAL}]}
      """
    try await with(faults: faults) { host in
      let found = try await list(host)
      #expect(found["0000:04:01.0"]?.unknown == ["companions: xc_get_device_group"])
      #expect(found["0000:04:01.0"]?.companions == nil && found["0000:04:01.0"]?.reserved == [])
      #expect(found["0000:00:1a.0"]?.unknown == ["reserved-memory: xc_reserved_device_memory_map"])
      #expect(found["0000:00:1a.0"]?.companions == [] && found["0000:00:1a.0"]?.sharers == nil)
      #expect(found["0000:00:1d.0"]?.reserved == [Self.memory])
      let explained = try await host.berth("explain", "04:01.0").output
      #expect(
        explained.contains(
          "unknown: companions, because xc_get_device_group gives no answer: operation not permitted (EPERM)"),
        "\(explained)")
    }
  }
}
