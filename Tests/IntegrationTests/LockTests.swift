import FoundationEssentials
import Model
import TestSupport
import Testing

/// `berth lock`, and what the other commands say of a lock.
struct LockTests {
  private func with(_ body: (TestHost, _ manifest: String) async throws -> Void) async throws {
    let cards = ["a0-36-9f-ff-ff-00-00-01", "a0-36-9f-ff-ff-00-00-02"].enumerated().map { number, serial in
      "{address: \"\(Sample.address(number + 1))\", id: \"8086:1533\", serial: \(serial)}"
    }
    try await TestHost.with(TestScenario.host(devices: 0, extraDevices: cards)) { host in
      try host.folder.write(
        "manifests/host.yaml",
        """
        apiVersion: berth/v1alpha1
        kind: HostAssignments
        metadata: {name: test}
        spec:
          devices:
            lan0: {serial: a0-36-9f-ff-ff-00-00-02}
          domains:
            net: {devices: [lan0, {address: "\(Sample.address(1))", id: "8086:1533"}]}

        """)
      try await body(host, "\(host.folder.path)/manifests")
    }
  }

  private func lockText(_ host: TestHost) throws -> String {
    String(decoding: try host.folder.read("manifests/test.lock.yaml"), as: UTF8.self)
  }

  @Test func `a lock is written beside the manifest, and differs from nothing`() async throws {
    try await with { host, manifest in
      let shown = try await host.berth("lock", manifest)
      #expect(shown.status == 0, "\(shown.errors)")
      #expect(shown.output.contains(#"- {address: "\#(Sample.address(2))", id: "8086:1533""#), "\(shown.output)")
      let written = try await host.berth("lock", manifest, "--write")
      #expect(written.status == 0 && written.output.isEmpty, "\(written.errors)")
      #expect(written.errors == "wrote \(manifest)/test.lock.yaml\n")
      #expect(try lockText(host) == shown.output)
      for command in [["plan"], ["validate"], ["apply", "--yes"], ["plan"]] {
        let answer = try await host.berth(command + [manifest])
        #expect(answer.status == 0 && answer.errors.isEmpty && !answer.output.contains("Lock"), "\(answer)")
      }
      // Writing it again changes nothing.
      #expect(try await host.berth("lock", manifest, "--write").status == 0)
      #expect(try lockText(host) == shown.output)
      #expect(try FileManager.default.contentsOfDirectory(atPath: manifest).count == 2)
    }
  }

  @Test func `a card that moved or was replaced since the lock is shown, and blocks nothing`() async throws {
    try await with { host, manifest in
      #expect(try await host.berth("lock", manifest, "--write").status == 0)
      let text = try lockText(host)
      // The lock says where the cards were.
      let moved = text.replacing("- {address: \"\(Sample.address(2))\"", with: "- {address: \"\(Sample.address(9))\"")
        .replacing("serial: \"a0-36-9f-ff-ff-00-00-01\"", with: "serial: \"a0-36-9f-ff-ff-00-00-07\"")
      try host.folder.write("manifests/test.lock.yaml", moved)
      let plan = try await host.berth("plan", manifest)
      #expect(plan.status == 0, "\(plan.errors)")
      #expect(
        plan.output.contains("moved since the lock: \(Sample.address(9)) → \(Sample.address(2))"), "\(plan.output)")
      #expect(
        plan.output.contains("had serial a0-36-9f-ff-ff-00-00-07, and has a0-36-9f-ff-ff-00-00-01"), "\(plan.output)")
      let document = try await host.berth("plan", manifest, "-o", "json")
      #expect(try DocumentSchemas().violations(of: document.output) == [])
      let lock = try JSON(text: document.output)["lock"]
      #expect(lock?["file"]?.string == "\(manifest)/test.lock.yaml")
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 0 && apply.output.contains("moved since the lock"), "\(apply)")
    }
  }

  @Test func `a lock that is stale, broken, or another host's`() async throws {
    try await with { host, manifest in
      #expect(try await host.berth("lock", manifest, "--write").status == 0)
      let text = try lockText(host)
      try host.folder.write("manifests/test.lock.yaml", text.replacing("\"lan0\":", with: "\"lan7\":"))
      let stale = try await host.berth("validate", manifest)
      #expect(stale.status == 0 && stale.output.contains("2 warnings"), "\(stale)")
      #expect(
        stale.errors.contains("lan0 is not in the lock") && stale.errors.contains("lan7 is in the lock"), "\(stale)")
      try host.folder.write("manifests/test.lock.yaml", text.replacing("name: \"test\"", with: "name: \"other\""))
      let other = try await host.berth("plan", manifest)
      #expect(other.status == 65 && other.errors.contains("is of host other, and this host is test"), "\(other)")
      for broken in ["", "kind: HostLock\n"] {
        try host.folder.write("manifests/test.lock.yaml", broken)
        for command in [["plan"], ["validate"], ["apply", "--yes"]] {
          let answer = try await host.berth(command + [manifest])
          #expect(answer.status == 65, "\(command) \(answer)")
        }
      }
      #expect(try await host.berth("plan", manifest, "--lock", "\(manifest)/none").status == 66)
    }
  }

  @Test func `no lock is written if a device is not found`() async throws {
    try await with { host, manifest in
      let text = String(decoding: try host.folder.read("manifests/host.yaml"), as: UTF8.self)
      try host.folder.write("manifests/host.yaml", text.replacing("00-00-02}", with: "00-00-09}"))
      let answer = try await host.berth("lock", manifest, "--write")
      #expect(answer.status == 3 && answer.errors.contains("lan0 is not in the lock: device-missing"), "\(answer)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: manifest) == ["host.yaml"])
      // Standard input has no folder.
      let piped = try await host.berth(["lock", "-", "--write"], input: text)
      #expect(piped.status == 64, "\(piped)")
      // A folder that cannot be written into is named.
      try host.folder.write("manifests/host.yaml", text)
      try FileManager.default.createDirectory(atPath: "\(manifest)/test.lock.yaml", withIntermediateDirectories: true)
      let blocked = try await host.berth("lock", manifest, "--write")
      #expect(blocked.status != 0 && blocked.errors.contains("test.lock.yaml"), "\(blocked)")
    }
  }
}
