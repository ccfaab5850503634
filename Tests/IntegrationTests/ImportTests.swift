import FoundationEssentials
import Model
import TestSupport
import Testing

/// `berth import --host`, on sandboxes.
struct ImportTests {
  /// The document of `berth plan -o json`.
  private struct Planned: Decodable {
    struct Domain: Decodable {
      struct Step: Decodable { var action: String }
      var name: String
      var steps: [Step]
    }
    struct HostDrift: Decodable { var isRepaired: Bool }
    var hasChanges: Bool
    var domains: [Domain]
    var hostDrift: [HostDrift]

    var actions: [String] { domains.flatMap(\.steps).map(\.action) }
  }

  /// Imports the host into a file, and checks that the reader takes it; returns the file and the manifest.
  private func imported(_ host: TestHost) async throws -> (file: String, text: String) {
    let answer = try await host.berth("import", "--host")
    #expect(answer.status == 0, "\(answer.errors)")
    try host.folder.write("imported.yaml", answer.output)
    let file = host.folder.path + "/imported.yaml"
    let verdict = try await host.berth("validate", file)
    #expect(verdict.status == 0 && verdict.errors.isEmpty, "\(verdict.errors)\(answer.output)")
    return (file, answer.output)
  }

  /// Imports the host, and checks what follows from the manifest: adoptions, and after an apply nothing.
  private func expectAdoptions(_ count: Int, on host: TestHost) async throws {
    let (file, text) = try await imported(host)
    func plan() async throws -> Planned {
      let answer = try await host.berth("plan", file, "-o", "json")
      #expect(answer.status == 0, "\(answer.errors)\(answer.output)")
      return try JSONDecoder().decode(Planned.self, from: Data(answer.output.utf8))
    }
    let first = try await plan()
    let harmless: Set = ["adopt", "foreign", "drift", "keep"]
    #expect(first.actions.count { $0 == "adopt" } == count, "\(first.actions)\n\(text)")
    #expect(Set(first.actions).isSubset(of: harmless), "\(first.actions)\n\(text)")
    let before = try await host.status()
    let apply = try await host.berth("apply", file, "--yes")
    #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
    let second = try await plan()
    #expect(!second.hasChanges, "\(second)")
    let after = try await host.status()
    #expect(after.domains.map(\.assigned) == before.domains.map(\.assigned))
    // What Berth has adopted is imported again as it was.
    if first.hostDrift.isEmpty { #expect(try await imported(host).text == text) }
  }

  @Test(arguments: Kind.allCases)
  func `an import of a running and a cold domain leads to adoptions only`(_ kind: Kind) async throws {
    let domains = [
      kind.domain("net", 5, "devices: [\(Sample.address(0)), {address: \(Sample.address(1)), permissive: true}]"),
      kind.domain("cold", 8, "lifecycle: cold, devices: [\(Sample.address(2))]"),
      kind.domain("none", 11),
    ]
    try await TestHost.with(TestScenario.host(domains)) { host in try await expectAdoptions(3, on: host) }
  }

  @Test func `an import of many devices leads to adoptions only`() async throws {
    // pciback's bus of a guest has 32 slots.
    let names = ["one", "two", "three"]
    let domains = names.enumerated().map { number, name in
      let devices = (number * 30..<number * 30 + 30).map { "\(Sample.address($0))" }.joined(separator: ", ")
      return "{name: \(name), domid: \(5 + number), devices: [\(devices)]}"
    }
    try await TestHost.with(TestScenario.host(devices: 90, domains)) { host in try await expectAdoptions(90, on: host) }
  }

  @Test(arguments: [
    ("kinds", 3), ("workstation", 1), ("home", 1), ("guests", 4), ("refusals", 1), ("drift", 0), ("faults", 2),
  ])
  func `an import of each example leads to adoptions only`(_ name: String, _ count: Int) async throws {
    let path = "\(repositoryRoot)/examples/sandbox/\(name).yaml"
    let scenario = try String(contentsOfFile: path, encoding: .utf8)
    try await TestHost.with(scenario) { host in try await expectAdoptions(count, on: host) }
  }

  @Test func `serial numbers and options are imported, and what cannot be declared is a comment`() async throws {
    let card = "{address: \(Sample.address(1)), id: \"8086:1533\", serial: a0-36-9f-ff-ff-00-00-01}"
    let domains = [
      "{name: net, domid: 5, devices: [{address: \(Sample.address(1)), permissive: true}]}", "{name: other, domid: 6}",
    ]
    try await TestHost.with(TestScenario.host(devices: 0, extraDevices: [card], domains)) { host in
      let text = try await imported(host).text
      #expect(
        text.contains(#"net0: {address: "\#(Sample.address(1))", id: "8086:1533", serial: "a0-36-9f-ff-ff-00-00-01"}"#),
        "\(text)")
      #expect(text.contains("- {device: net0, permissive: true}"), "\(text)")
      // A name that a template left unfinished: no manifest can have it.
      try await host.write("/local/domain/5/name", "${GUEST}\n\"x\": {}")
      let hostile = try await imported(host).text
      #expect(hostile.contains("domains: {}"), "\(hostile)")
      #expect(hostile.contains(##"    # "${GUEST}\x0a\"x\": {}":"##), "\(hostile)")
      let plan = try await host.berth("plan", host.folder.path + "/imported.yaml", "--detailed-exitcode")
      #expect(plan.status == 0, "\(plan.output)\(plan.errors)")
    }
  }

  @Test func `what Berth owns under a name that no manifest can have is kept`() async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5}", "{name: web, domid: 6}"])) { host in
      let file = try host.manifest(["net": addresses([0]), "web": addresses([1])])
      #expect(try await host.berth("apply", file, "--yes").status == 0)
      try await host.write("/local/domain/5/name", "{{ guest }}")
      let (imported, text) = try await imported(host)
      #expect(text.contains("policy: {prune: never}"), "\(text)")
      let plan = try await host.berth("plan", imported, "--detailed-exitcode")
      #expect(plan.status == 0 && !plan.output.contains("detach"), "\(plan.output)\(plan.errors)")
    }
  }

  // MARK: Files of xl

  /// A configuration of xl for a domain, with these entries of `pci`.
  private func configuration(_ name: String, _ entries: [String], _ rest: String = "") -> String {
    "name = \"\(name)\"\n\(rest)\npci = [ \(entries.map { "'\($0)'" }.joined(separator: ",\n  ")) ]\n"
  }

  @Test func `configurations of running domains lead to adoptions, and of others to pending steps`() async throws {
    let domains = [
      "{name: net, domid: 5, devices: [{address: \(Sample.address(0)), permissive: true}, \(Sample.address(1))]}",
      "{name: desk, domid: 6, kind: hvm, devices: [{address: \(Sample.address(2)), virtualSlot: 16}]}",
    ]
    try await TestHost.with(TestScenario.host(domains)) { host in
      let folder = host.folder.path
      try host.folder.write(
        "net.cfg",
        configuration("net", ["\(Sample.address(0))", "\(Sample.address(1)),permissive=0"], "pci_permissive = 1"))
      try host.folder.write("desk.cfg", configuration("desk", ["\(Sample.address(2))@10,seize=1"], "type = 'hvm'"))
      try host.folder.write("later.cfg", configuration("later", ["\(Sample.address(3))", "00:1f.7", "name=x"]))
      let answer = try await host.berth(
        "import", "--xl", "\(folder)/net.cfg", "\(folder)/desk.cfg", "\(folder)/later.cfg")
      #expect(answer.status == 0, "\(answer.errors)")
      for text in ["Not carried over: `seize`", "the host has no such device", "by the name 'x'", "no such domain now"]
      {
        #expect(
          answer.output.replacing("\n    # ", with: " ").contains(text) || answer.output.contains(text), "\(text)")
      }
      try host.folder.write("imported.yaml", answer.output)
      #expect(try await host.berth("validate", "\(folder)/imported.yaml").errors.isEmpty)
      let plan = try await host.berth("plan", "\(folder)/imported.yaml", "-o", "json")
      let actions = try JSONDecoder().decode(Planned.self, from: Data(plan.output.utf8)).actions
      #expect(actions.sorted() == ["adopt", "adopt", "adopt", "pending"], "\(plan.output)")
    }
  }

  @Test func `without a host, files are imported by their addresses, and faults in them are errors`() async throws {
    let folder = try TemporaryFolder()
    func run(_ text: String) async throws -> Command.Result {
      try folder.write("web.cfg", text)
      let away = ["BERTH_ROOT": folder.path, "XENSTORED_PATH": "\(folder.path)/none"]
      return try await Command.berth(["import", "--xl", "\(folder.path)/web.cfg"], environment: away).run()
    }
    let good = try await run(configuration("web", ["03:00.*", "04:00.0"]))
    #expect(good.status == 0 && good.output.contains("Only addresses are carried over"), "\(good.errors)")
    #expect(good.output.contains(#"{address: "0000:03:00.0", functions: all}"#) && !good.output.contains("metadata"))
    let bad = try await run("name = 'web'\npci = [ '03:00' ]\n")
    #expect(bad.status == 65 && bad.errors.contains("web.cfg:2:9: error: xl does not read this entry"), "\(bad.errors)")
    let large = try await run(String(repeating: "# \n", count: 400_000))
    #expect(large.status == 65 && large.errors.contains("is larger than 1048576 bytes"), "\(large.errors)")
    let other = try await run("root:x:secret:0\n")
    #expect(other.status == 65 && other.errors.contains("this is not an xl configuration"), "\(other.errors)")
    #expect(!other.errors.contains("secret"))
    let missing = try await Command.berth(["import", "--xl", "\(folder.path)/none.cfg"]).run()
    #expect(missing.status == 66, "\(missing.errors)")
  }

  // MARK: Domains of libvirt

  @Test func `domains of libvirt lead to adoptions, and their errors have locations`() async throws {
    let address = Sample.address(0)
    let domains = ["{name: net, domid: 5, uuid: 6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11, devices: [\(address)]}"]
    try await TestHost.with(TestScenario.host(domains)) { host in
      func xml(_ bus: String) -> String {
        """
        <domain type='xen'><name>net</name><uuid>6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11</uuid>
          <os><type>linux</type></os>
          <devices><hostdev mode='subsystem' type='pci' managed='yes'><source>
            <address domain='0x0000' bus='\(bus)' slot='\(address.device)' function='0x0'/></source></hostdev></devices></domain>
        """
      }
      let file = "\(host.folder.path)/net.xml"
      try host.folder.write("net.xml", xml("\(address.bus)"))
      let answer = try await host.berth("import", "--libvirt", file)
      #expect(answer.status == 0 && answer.output.contains("Line 3. Not carried over: `managed`."), "\(answer)")
      try host.folder.write("imported.yaml", answer.output)
      let plan = try await host.berth("plan", "\(host.folder.path)/imported.yaml", "-o", "json")
      let actions = try JSONDecoder().decode(Planned.self, from: Data(plan.output.utf8)).actions
      #expect(plan.status == 0 && actions == ["adopt"], "\(plan.output)\(plan.errors)\(answer.output)")
      try host.folder.write("net.xml", xml("300"))
      let bad = try await host.berth("import", "--libvirt", file)
      #expect(bad.status == 65 && bad.output.isEmpty, "\(bad)")
      #expect(bad.errors.contains("net.xml:4:5: error: 'bus' is '300', and not a number up to 0xff"), "\(bad.errors)")
    }
  }
}
