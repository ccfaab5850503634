import Glibc
import Model
import TestSupport
import Testing

/// The program on a host whose devices the manifest names by what they are.
struct SelectorTests {
  private static func card(_ number: Int, _ keys: String) -> String {
    "{address: \"\(Sample.address(number))\", id: \"8086:1533\", \(keys)}"
  }

  private static let cards = [
    card(1, "serial: a0-36-9f-ff-ff-00-00-01, slot: PCIE1"), card(2, "serial: a0-36-9f-ff-ff-00-00-02, slot: PCIE2"),
  ]

  private func with(_ body: (TestHost) async throws -> Void) async throws {
    try await TestHost.with(TestScenario.host(devices: 0, extraDevices: Self.cards, ["{name: net, domid: 5}"])) {
      host in try await body(host)
    }
  }

  private func manifest(_ definition: String, in host: TestHost) throws -> String {
    try host.folder.write(
      "manifest.yaml",
      """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      spec:
        devices:
          lan0: \(definition)
        domains:
          net: {devices: [lan0]}

      """)
    return host.folder.path + "/manifest.yaml"
  }

  private func devices(_ host: TestHost) async throws -> [PCIAddress] {
    try await host.status().domain("net").guestDevices.values.sorted()
  }

  @Test func `a card is attached by its serial number, and a second apply changes nothing`() async throws {
    try await with { host in
      let file = try manifest("{serial: a0-36-9f-ff-ff-00-00-02}", in: host)
      let first = try await host.berth("apply", file, "--yes")
      #expect(first.status == 0, "\(first.output)\(first.errors)")
      #expect(try await devices(host) == [Sample.address(2)])
      let second = try await host.berth("apply", file, "--yes")
      #expect(second.status == 0 && second.output.contains("Nothing to do"), "\(second.output)")
      // The same card by another key.
      let other = try await host.berth("plan", try manifest("{slot: PCIE2}", in: host), "--detailed-exitcode")
      #expect(other.status == 0, "\(other.output)")
    }
  }

  @Test func `a card that two devices may be is not attached`() async throws {
    try await with { host in
      let apply = try await host.berth("apply", try manifest("{id: \"8086:1533\"}", in: host), "--yes")
      #expect(apply.status == 3 && apply.output.contains("selector-ambiguous"), "\(apply.output)")
      #expect(try await devices(host).isEmpty)
    }
  }

  @Test func `a card that was pulled stays declared, and its guest keeps the entry`() async throws {
    try await with { host in
      let file = try manifest("{serial: a0-36-9f-ff-ff-00-00-01}", in: host)
      #expect(try await host.berth("apply", file, "--yes").status == 0)
      let remove = "\(host.directory)/root/sys/bus/pci/devices/\(Sample.address(1))/remove"
      let attribute = unsafe open(remove, O_WRONLY | O_CLOEXEC)
      try #require(attribute >= 0)
      _ = unsafe "1".withCString { unsafe Glibc.write(attribute, $0, 1) }
      close(attribute)
      _ = try await host.status()
      let apply = try await host.berth("apply", file, "--yes")
      #expect(apply.status == 3 && apply.output.contains("device-missing"), "\(apply.output)")
      #expect(!apply.output.contains("detached"))
      #expect(try await devices(host) == [Sample.address(1)])
    }
  }

  @Test func `a card that moved is followed only if the manifest says so`() async throws {
    try await with { host in
      let moved = "address: \"\(Sample.address(9))\", serial: a0-36-9f-ff-ff-00-00-02"
      let blocked = try await host.berth("apply", try manifest("{\(moved)}", in: host), "--yes")
      #expect(blocked.status == 3 && blocked.output.contains("device-moved"), "\(blocked.output)")
      let followed = try await host.berth("apply", try manifest("{\(moved), follow: true}", in: host), "--yes")
      #expect(followed.status == 0, "\(followed.output)")
      #expect(try await devices(host) == [Sample.address(2)])
    }
  }
}
