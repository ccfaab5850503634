import Model
import Planning
import Rendering
import Testing
import XenProtocol

@Suite struct DriftViewTests {
  private func view(isCalm: Bool = false) throws -> DriftView {
    var observation = try Samples.observation()
    let desired = DesiredState(domains: [
      DesiredDomain(
        name: "sys-net",
        devices: [
          DesiredDevice(address: try Samples.address("03:00.0"), label: "lan0"),
          DesiredDevice(address: try Samples.address("06:00.0")),
        ])
    ])
    if isCalm {
      observation.domains = []
      observation.devices = []
      (observation.leftoverBackEnds, observation.records, observation.intents) = ([], [], [])
    }
    let plan = makePlan(desired: isCalm ? DesiredState() : desired, observation: observation)
    return DriftView(
      matrix: makeDriftMatrix(desired: isCalm ? nil : desired, observation: observation, plan: plan),
      naming: Samples.naming)
  }

  @Test(arguments: ViewGoldenTests.styles.indices)
  func `the matrix of a host adrift`(_ index: Int) throws {
    let (suffix, style) = ViewGoldenTests.styles[index]
    try expectGolden(try rendered(try view(), as: .table, style: style), "everything/drift.\(suffix)")
  }

  @Test func `the matrix as a document`() throws {
    try expectGolden(try rendered(try view(), as: .json, style: TextStyle()), "everything/drift.json")
  }

  @Test func `a host without drift is shown as such`() throws {
    let text = try rendered(try view(isCalm: true), as: .table, style: TextStyle())
    #expect(text.hasSuffix("\n0 devices, no drift.\n"), "\(text)")
  }

  @Test func `plain ASCII and whole lines`() throws {
    let text = try rendered(try view(), as: .table, style: TextStyle(isASCII: true))
    #expect(text.utf8.allSatisfy { $0 < 0x80 })
    for line in text.split(separator: "\n") { #expect(!line.hasSuffix(" "), "\(line)") }
  }

  @Test func `a plan separates changes because of drift from declared changes`() throws {
    var plan = try Samples.inSync()
    plan.domains[0].steps = [
      try Samples.step("03:00.0", .attach(DeviceOptions(), because: .declared)),
      try Samples.step(
        "05:00.0", .reattach(from: nil, to: DeviceOptions(), because: .revokedButListed), evidence: "Xen took it"),
      try Samples.step("06:00.0", .detach(nil, because: .leftoverIntent), evidence: "a run was killed"),
      try Samples.step("07:00.0", .attach(DeviceOptions(), because: .deviceModelLacks)),
      try Samples.step("08:00.0", .blocked(.corruptBackEnd)),
    ]
    let text = try rendered(PlanView(plan: plan), as: .table, style: TextStyle())
    let parts = text.split(separator: "Drift\n")
    #expect(parts.count == 2, "\(text)")
    #expect(parts[0].contains("+ 0000:03:00.0") && parts[0].contains("! 0000:08:00.0"))
    for line in [
      "~ 0000:05:00.0  sys-net  revoked-but-listed: Xen took it (detach, attach)",
      "- 0000:06:00.0  sys-net  leftover-intent: a run was killed (detach)",
      "+ 0000:07:00.0  sys-net  device-model-lacks: in the back end, but QEMU does not show it to the guest (attach, hot)",
    ] { #expect(parts.last?.contains(line) == true, "\(text)") }
  }
}
