import Model
import Planning
import Rendering
import Testing

@Suite struct ViewGoldenTests {
  static let styles: [(String, TextStyle)] = [
    ("txt", TextStyle()),
    ("verbose.txt", TextStyle(isVerbose: true)),
    ("ascii.txt", TextStyle(isASCII: true)),
    ("color.txt", TextStyle(usesColor: true)),
  ]

  @Test(arguments: styles.indices)
  func `a plan with one of everything`(_ index: Int) throws {
    let (suffix, style) = Self.styles[index]
    let view = PlanView(plan: try Samples.everything(), naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: style), "everything/plan.\(suffix)")
  }

  @Test func `a plan as a document`() throws {
    let view = PlanView(
      plan: try Samples.everything(), warnings: ["0000:04:00.0 has no id"], naming: Samples.naming)
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/plan.json")
  }

  @Test func `a plan that is refused keeps its steps`() throws {
    var plan = try Samples.everything()
    plan.refusal = .tooManyRemovals(planned: 5, allowed: 4)
    let view = PlanView(plan: plan, naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "refused/plan.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "refused/plan.json")
  }

  @Test(arguments: [
    PlanRefusal.emptyManifest(planned: 3), .domainLeftOut(names: ["a", "b", "c", "d", "e"], planned: 6),
  ])
  func `a plan that may follow from a slip says what to check`(_ refusal: PlanRefusal) throws {
    var plan = try Samples.everything()
    plan.refusal = refusal
    let view = PlanView(plan: plan, naming: Samples.naming)
    let text = try rendered(view, as: .table, style: TextStyle())
    try expectGolden(String(text.split(separator: "\n").last ?? ""), "refused/\(refusal.name.rawValue).txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "refused/\(refusal.name.rawValue).json")
  }

  @Test func `a plan with nothing to do`() throws {
    let view = PlanView(plan: try Samples.inSync(), naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "in-sync/plan.txt")
    try expectGolden(try rendered(view, as: .table, style: TextStyle(isVerbose: true)), "in-sync/plan.verbose.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "in-sync/plan.json")
  }

  @Test(arguments: styles.indices)
  func `an apply with every result`(_ index: Int) throws {
    let (suffix, style) = Self.styles[index]
    let view = ApplyView(
      plan: try Samples.everything(), outcome: try Samples.results(), status: .partlyApplied, place: Samples.place,
      naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: style), "everything/apply.\(suffix)")
  }

  @Test func `an apply as a document`() throws {
    let view = ApplyView(
      plan: try Samples.inSync(), outcome: try Samples.results(), status: .partlyApplied, place: Samples.place,
      naming: Samples.naming)
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/apply.json")
  }

  @Test(arguments: styles.indices)
  func `the state of a host`(_ index: Int) throws {
    let (suffix, style) = Self.styles[index]
    try expectGolden(try rendered(try statusView(), as: .table, style: style), "everything/status.\(suffix)")
  }

  @Test func `the state of a host as a document`() throws {
    try expectGolden(try rendered(try statusView(), as: .json, style: TextStyle()), "everything/status.json")
  }

  @Test func `only a device that the guest has counts as attached`() throws {
    var view = try statusView()
    let position = try #require(view.status.domains.firstIndex { $0.name == "sys-net" })
    view.status.domains[position].devices[0].attachment = .exported
    #expect(
      try rendered(view, as: .table, style: TextStyle()).contains("\n0 devices attached, 1 exported, 1 device free"))
  }

  private func statusView() throws -> StatusView {
    let desired = DesiredState(domains: [
      DesiredDomain(
        name: "build", devices: [DesiredDevice(address: try Samples.address("0d:00.0"), label: "disk")]),
      DesiredDomain(name: "sys-net", devices: [DesiredDevice(address: try Samples.address("03:00.0"), label: "lan0")]),
    ])
    return StatusView(
      status: HostStatus(
        index: ObservationIndex(try Samples.observation()), desired: desired, plan: try Samples.everything()),
      naming: Samples.naming)
  }

  @Test func `a verdict on manifests`() throws {
    let one = ValidatedHost(host: nil, domainCount: 2, deviceCount: 1)
    let other = ValidatedHost(host: "host18", domainCount: 0, deviceCount: 0)
    let valid = ValidationView(files: ["a.yaml"], hosts: [one], remarks: [])
    #expect(try rendered(valid, as: .table, style: TextStyle()) == "Valid: 2 domains, 1 device.\n")
    let two = ValidationView(files: ["a.yaml"], hosts: [one, other], remarks: [])
    #expect(
      try rendered(two, as: .table, style: TextStyle())
        == "Valid: 2 domains, 1 device for any other host; 0 domains, 0 devices for host18.\n")
    let invalid = ValidationView(
      files: [], hosts: [],
      remarks: [
        Remark(
          severity: .error, file: "a.yaml", line: 3, column: 7, message: "unknown key 'devcies'", hint: "devices?"),
        Remark(severity: .warning, file: "a.yaml", line: 9, column: 1, message: "no id"),
      ])
    #expect(try rendered(invalid, as: .table, style: TextStyle()) == "Not valid: 1 error, 1 warning.\n")
    try expectGolden(try rendered(invalid, as: .json, style: TextStyle()), "everything/validation.json")
  }

  @Test func `explanations as a document`() throws {
    let names = ["half-removed", "removal-limit", "xen-unreachable"]
    let view = ExplanationView(entries: Catalogue.all.filter { names.contains($0.name) }, detail: .everything)
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/explain.json")
  }
}
