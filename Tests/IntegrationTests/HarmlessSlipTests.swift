import FoundationEssentials
import Model
import TestSupport
import Testing

/// A slip takes no device from a running host.
struct `Harmless slips` {
  private static let head = "apiVersion: berth/v1alpha1\nkind: HostAssignments\n"
  private static let good = "net: {devices: [\"\(Sample.address(0))\", \"\(Sample.address(1))\"]}"
  private static let scenario = TestScenario.host(["{name: net, domid: 5}", "{name: usb, domid: 6}"])

  /// Starts a host that has what the domains `net` and `usb` declare, and checks at the end that it is still so.
  private func unharmed(_ body: @escaping (TestHost) async throws -> Void) async throws {
    try await TestHost.with(Self.scenario) { host in
      let manifest = try host.manifest(["net": [0, 1].map(Sample.address), "usb": [Sample.address(2)]])
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      try await body(host)
      #expect(try await host.disagreements(of: "net", expecting: Set([0, 1].map(Sample.address))) == [])
      #expect(try await host.disagreements(of: "usb", expecting: [Sample.address(2)]) == [])
    }
  }

  /// Returns what `apply` answers to a text.
  private func apply(_ text: String, on host: TestHost, _ options: String...) async throws -> (Int32, String) {
    try host.folder.write("slip.yaml", text)
    let result = try await host.berth(["apply", "\(host.folder.path)/slip.yaml", "--yes"] + options)
    return (result.status, result.output + result.errors)
  }

  @Test func `a renamed host loses nothing`() async throws {
    try await unharmed { host in
      let shared = Self.head + "spec: {policy: {prune: owned, maxRemovals: 4}}\n---\n"
      func own(_ name: String) -> String {
        Self.head + "metadata: {name: \(name)}\nspec: {domains: {\(Self.good)}}\n"
      }
      // The sandbox's host is `test`.
      for name in ["test.example.com", "TEST", "tset", "host19"] {
        for text in [own(name), shared + own(name)] {
          let (status, said) = try await apply(text, on: host)
          #expect(status == 66, "\(name): \(said)")
          #expect(said.contains("did you mean 'test'") == (name != "host19"), "\(said)")
        }
      }
      // A domain that every host has does not replace what the host's own document declares.
      let usb = "usb: {devices: [\"\(Sample.address(2))\"]}"
      let common = Self.head + "spec: {policy: {maxRemovals: 4}, domains: {\(usb)}}\n---\n"
      let (status, said) = try await apply(common + own("host19"), on: host)
      #expect(status == 3 && said.contains("no manifest names net"), "\(said)")
      for name in ["\"{{ inventory_hostname }}\"", "\"${HOST}\"", "\"<%= @host %>\"", "{{ host }}", "$HOST"] {
        let (status, said) = try await apply(shared + own(name), on: host)
        #expect(status == 65 && said.contains("placeholder"), "\(name): \(said)")
      }
    }
  }

  @Test func `a spec without domains takes nothing`() async throws {
    try await unharmed { host in
      for spec in ["{}", "{policy: {prune: all}}", "{devices: {}}"] {
        let (status, said) = try await apply(Self.head + "spec: \(spec)\n", on: host, "--allow-removals")
        #expect(status == 65 && said.contains("domains: {}"), "\(spec): \(said)")
      }
    }
  }

  @Test func `one file of many takes nothing from what the others declare`() async throws {
    try await unharmed { host in
      let (status, said) = try await apply(Self.head + "spec: {domains: {\(Self.good)}}\n", on: host)
      #expect(status == 3 && said.contains("no manifest names usb"), "\(said)")
    }
  }

  @Test func `an empty wish takes nothing until a document that names the host has it`() async throws {
    try await unharmed { host in
      for policy in ["{}", "{maxRemovals: 100}", "{prune: all}"] {
        let text = Self.head + "spec: {policy: \(policy), domains: {}}\n"
        let (status, said) = try await apply(text, on: host)
        #expect(status == 3 && said.contains("declare no domain"), "\(policy): \(said)")
      }
    }
    try await TestHost.with(Self.scenario) { host in
      let empty = "spec: {domains: {}}\n"
      for (text, options) in [
        (Self.head + "metadata: {name: test}\n" + empty, []), (Self.head + empty, ["--allow-removals"]),
      ] {
        let manifest = try host.manifest(["net": [Sample.address(0)]])
        #expect(try await host.berth("apply", manifest, "--yes").status == 0)
        try host.folder.write("empty.yaml", text)
        let result = try await host.berth(["apply", "\(host.folder.path)/empty.yaml", "--yes"] + options)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(try await host.disagreements(of: "net", expecting: []) == [])
      }
    }
  }
}
