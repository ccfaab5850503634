import Model
import Planning
import Testing

@testable import Rendering

/// The examples of docs/output.md.
@Suite struct PreviewExampleTests {
  private func plan() throws -> PlanView {
    var plan = Plan(
      host: Samples.host, domainCount: 2, deviceCount: 3, policy: Policy(),
      domains: [
        DomainPlan(
          name: "sys-net", uuid: try Samples.uuid("2"), id: DomainID(2), kind: .pv, lifecycle: .running,
          steps: [
            try Samples.step(
              "0000:03:00.0", .attach(DeviceOptions(), because: .declared), id: "8086:1533", label: "lan0",
              after: DeviceOptions()),
            try Samples.step("0000:05:00.0", .unchanged, id: "10ec:8125"),
            try Samples.step(
              "0000:06:00.0", .blocked(.identityMismatch), id: "10de:228e",
              evidence: "the manifest says 10de:228e, but the device is 10de:228f"),
          ])
      ])
    plan.domains[0].run = nil
    return PlanView(
      plan: plan, naming: Samples.naming,
      declarations: Declarations(files: ["hosts/host17.yaml"]) { _, _, address in
        ManifestPlace(file: "hosts/host17.yaml", line: 9 + Int(address?.device ?? 0), column: 11)
      })
  }

  private func record(_ form: OutputFormat, _ language: String, _ part: (String) -> String = { $0 }) throws {
    let text = part(try rendered(try plan(), as: form, style: TextStyle()))
    try expectRecorded("````\(language)\n\(text)````\n", "preview \(form.rawValue)", in: "docs/output.md")
  }

  @Test func `the page on output has an example of each form`() throws {
    try record(.markdown, "markdown")
    try record(.html, "html") { page in
      let start = page.firstRange(of: "<section id=\"blocked\"")?.lowerBound ?? page.startIndex
      let end = page.firstRange(of: "</section>\n")?.upperBound ?? page.endIndex
      return String(page[start..<end])
    }
    try record(.github, "text")
    try record(.sarif, "json")
    try record(.gitlab, "json")
    try record(.gitlabSummary, "json")
    try record(.junit, "xml")
  }
}
