import Model
import TestSupport
import Testing
import XenProtocol

/// `berth render xl`, and stock xl as the judge of what it prints.
struct RenderXlTests {
  private func manifest(_ devices: String) -> String {
    """
    apiVersion: berth/v1alpha1
    kind: HostAssignments
    spec:
      devices:
        slot: {address: "\(Sample.address(2))", functions: all}
      domains:
        web: {devices: [\(devices)]}
        other: {devices: []}

    """
  }

  private static let devices = """
    {address: "\(Sample.address(0))", id: "8086:1533", permissive: true, virtualSlot: 27, rdmPolicy: relaxed},
    {address: "\(Sample.address(1))", id: "8086:1533", msiTranslate: true, powerManagement: true}, slot
    """

  @Test func `xl makes of the lines what the manifest declares, and a check finds no difference`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let folder = host.folder.path
      try host.folder.write("host.yaml", manifest(Self.devices))
      let lines = try await host.berth("render", "xl", "web", "\(folder)/host.yaml")
      #expect(lines.status == 0, "\(lines.errors)")
      let file = "name = \"web\"\ntype = \"hvm\"\nmemory = 64\n\(lines.output)"
      try host.folder.write("web.cfg", file)
      let answer = try await host.xl("-N", "create", "-n", "\(folder)/web.cfg").run()
      let start = try #require(answer.output.firstIndex(of: "{"), "\(answer.errors)")
      let theirs = try SavedConfiguration(Array(answer.output[start...].utf8) + [0])
      #expect(
        theirs.devices == [
          SavedDevice(
            address: Sample.address(0), options: DeviceOptions(permissive: true, rdmPolicy: .relaxed, virtualSlot: 27)),
          SavedDevice(address: Sample.address(1), options: DeviceOptions(msiTranslate: true, powerManagement: true)),
          SavedDevice(address: Sample.address(2), options: DeviceOptions()),
        ])
      let check = try await host.berth("render", "xl", "web", "\(folder)/host.yaml", "--check", "\(folder)/web.cfg")
      #expect(check.status == 0 && check.output.contains("agrees with the manifest of web"), "\(check)")
      // The file's own defaults count.
      try host.folder.write("web.cfg", "pci_permissive = 1\n\(file)")
      let other = try await host.berth("render", "xl", "web", "\(folder)/host.yaml", "--check", "\(folder)/web.cfg")
      #expect(other.status == 2 && other.output.contains("permissive yes → no"), "\(other)")
      let none = try await host.berth("render", "xl", "other", "\(folder)/host.yaml")
      #expect(none.status == 0 && none.output.contains("passthrough = \"enabled\""), "\(none)")
      try host.folder.write("none.cfg", "name = \"other\"\nmemory = 64\nkernel = \"/dev/null\"\n\(none.output)")
      let empty = try await host.xl("-N", "create", "-n", "\(folder)/none.cfg").run()
      #expect(empty.status == 0 && empty.output.contains("\"passthrough\": \"enabled\""), "\(empty)")
    }
  }

  @Test func `what cannot be rendered or compared is an error`() async throws {
    let folder = try TemporaryFolder()
    try folder.write("host.yaml", manifest("{address: \"03:00.0\", id: \"8086:1533\"}"))
    func run(_ words: String...) async throws -> Command.Result {
      try await Command.berth(["render", "xl"] + words).run()
    }
    let file = "\(folder.path)/host.yaml"
    let slip = try await run("wbe", file)
    #expect(slip.status == 1 && slip.errors.contains("did you mean 'web'?"), "\(slip)")
    // No host is needed for addresses.
    let good = try await run("web", file)
    #expect(good.status == 0 && good.output.contains("\"0000:03:00.0\","), "\(good)")
    #expect(try await run("web", file, "--check", "\(folder.path)/none").status == 66)
    try folder.write("bad.cfg", "name = 'web'\npci = [ 'x' ]\n")
    let bad = try await run("web", file, "--check", "\(folder.path)/bad.cfg")
    #expect(bad.status == 65 && bad.errors.contains("bad.cfg:2:9: error"), "\(bad)")
    #expect(try await run("web").status == 64)
    #expect(try await Command.berth(["render"]).run().status == 64)
  }

  @Test func `a device that is not found blocks the lines of its domain`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      try host.folder.write(
        "host.yaml",
        manifest("slot").replacing("{address: \"\(Sample.address(2))\"", with: "{serial: a0-36-9f-ff-ff-00-00-01"))
      let answer = try await host.berth("render", "xl", "web", "\(host.folder.path)/host.yaml")
      #expect(
        answer.status == 3 && answer.errors.contains("slot: device-missing") && answer.output.isEmpty, "\(answer)")
    }
  }
}
