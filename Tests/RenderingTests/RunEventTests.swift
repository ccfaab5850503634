import Model
import Planning
import Ports
import Rendering
import Testing

/// The lines of `-o jsonl`.
@Suite struct RunEventTests {
  private func events() throws -> [(String, RunEvent.Kind)] {
    let domain = RunEvent.Domain(name: "sys-net", uuid: try Samples.uuid("2"))
    let device = try Samples.address("0000:03:00.0")
    let attach = StepID(domain: .uuid(domain.uuid), device: device, kind: .attach)
    let repair = StepID(domain: .uuid(domain.uuid), device: device, kind: .repair(.storeOnly))
    let holder = RunHolder(process: 4711, command: "berth apply --yes web.yaml", since: 1_700_000_000)
    let error = HostError.store(StoreError(.lost, operation: "commit"))
    // A deadline that has passed: the seconds that are left do not depend on the clock.
    let passed = ContinuousClock.now
    return [
      ("run-began", .runBegan([repair, attach])),
      ("waiting-for-run", .waitingForRun(domain, holder: holder, until: passed)),
      ("driver-began", .driverBegan(try Samples.driverSteps()[0])),
      ("driver-ended", .driverEnded(DriverOutcome(try Samples.driverSteps()[0], .done, evidence: ["driver pciback"]))),
      ("domain-began", .domainBegan(domain, [repair, attach])), ("phase", .phase(.published, domain, [attach])),
      ("waiting-for-guest", .waiting(domain, [attach], until: passed)), ("auditing", .auditing(domain, until: passed)),
      (
        "step-ended",
        .stepEnded(
          domain, attach,
          StepOutcome(
            device: device, action: .attach, result: .done, evidence: ["state-1 3"],
            virtualAddress: try Samples.address("0000:00:01.0")))
      ),
      ("domain-ended", .domainEnded(domain, OutcomeDetail(error))),
    ]
  }

  @Test func `each event is one line`() throws {
    for (name, kind) in try events() {
      let event = RunEvent(run: RunID("00000000000000ff"), kind: kind)
      let document = try #require(RunEventDocument(event, at: 1_700_000_000, place: Samples.place))
      let line = try document.line().description
      #expect(line.split(separator: "\n").count == 1 && line.hasSuffix("\n"))
      try expectGolden(line, "run-event/\(name).json")
    }
  }

  @Test func `the last line has the whole result`() throws {
    let view = ApplyView(
      plan: try Samples.inSync(), outcome: try Samples.results(), status: .partlyApplied, place: Samples.place,
      naming: Samples.naming)
    let document = RunEventDocument(end: view, run: "00000000000000ff", at: 1_700_000_000)
    try expectGolden(try document.line().description, "run-event/run-ended.json")
  }

  @Test func `a step's name is stable, and tells repairs apart`() throws {
    let device = try Samples.address("0000:03:00.0")
    let kinds: [StepID.Kind] = [.repair(.storeOnly), .repair(.claimMissing), .attach, .blocked, .drift(.orphanEntry)]
    let names = kinds.map { StepID(domain: .name("sys-net"), device: device, kind: $0).description }
    #expect(
      names == [
        "sys-net/0000:03:00.0/repair-store-only", "sys-net/0000:03:00.0/repair-claim-missing",
        "sys-net/0000:03:00.0/attach", "sys-net/0000:03:00.0/blocked", "sys-net/0000:03:00.0/drift-orphan-entry",
      ])
  }
}
