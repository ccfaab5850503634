import Commands
import Model
import Planning
import TestSupport
import Testing

/// What `-o jsonl` writes while an apply is at work.
@Suite struct EventLineTests {
  private let uuid = "20000000-0000-4000-8000-000000000002"

  @Test func `events are lines as they come, and the last line has the result`() throws {
    try withManifest { manifest in
      let device = try #require(PCIAddress("0000:03:00.0"))
      let result = StepOutcome(device: device, action: .attach, result: .done)
      let domain = RunEvent.Domain(name: "sys-net", uuid: try #require(DomainUUID(uuid)))
      let step = StepID(domain: .uuid(domain.uuid), device: device, kind: .attach)
      let holder = RunHolder(process: 4711, command: "berth apply", since: 1_700_000_000)
      let events = [
        RunEvent.Kind.waitingForRun(domain, holder: holder, until: .now), .runBegan([step]),
        .domainBegan(domain, [step]), .phase(.intended, domain, [step]), .waiting(domain, [step], until: .now),
        .auditing(domain, until: .now), .stepEnded(domain, step, result),
        .domainEnded(domain, OutcomeDetail(.lockNotTaken, "sys-net")), .runEnded,
      ].map { RunEvent(run: RunID("00"), kind: $0) }
      let given = FakeWorld.Given(
        plan: .one(.attach()), outcome: ApplyOutcome(domains: [DomainOutcome(name: "sys-net", steps: [result])]),
        events: events)
      let world = FakeWorld()
      #expect(world.run("apply", "-y", "-o", "jsonl", manifest, given: given) == 0)
      let lines = world.output.split(separator: "\n").map(String.init)
      let schemas = try DocumentSchemas()
      for line in lines { #expect(try schemas.violations(of: line) == [], "\(line)") }
      let names = try lines.map { try JSON(text: $0)["event"]?.string ?? "" }
      #expect(
        names == [
          "waiting-for-run", "run-began", "domain-began", "phase", "waiting-for-guest", "auditing", "step-ended",
          "domain-ended", "run-ended",
        ])
      #expect(lines[1].contains("\(uuid)/0000:03:00.0/attach"))
      #expect(lines.last?.contains("\"kind\":\"ApplyResult\"") == true)
    }
  }
}
