import Model
import Planning
import Rendering
import Synchronization
import TestSupport
import Testing

/// The forms of plan and validate that other programs show.
@Suite struct PreviewCommandTests {
  private static let previews: [OutputFormat] = [
    .markdown, .html, .github, .sarif, .gitlab, .gitlabSummary, .junit,
  ]

  @Test(arguments: [
    Plan.one(.attach()), Plan.one(.blocked(.isBridge)), Plan.one(.pending(.domainAbsent)), Plan.one(.unchanged),
    Plan.one(.detach(), refusal: .tooManyRemovals(planned: 1, allowed: 0)),
  ])
  func `the exit status of a plan is the same in each form`(_ plan: Plan) throws {
    try withManifest { manifest in
      for option in ["--detailed-exitcode", "--require-running"] {
        let status = FakeWorld().run("plan", manifest, option, given: .init(plan: plan))
        for form in Self.previews {
          let world = FakeWorld()
          #expect(world.run("plan", manifest, option, "-o", form.rawValue, given: .init(plan: plan)) == status)
          #expect(world.output.hasSuffix("\n"), "\(form.rawValue)")
        }
      }
    }
  }

  @Test func `the exit status of a verdict is the same in each form, and the verdict is written`() throws {
    let wrong = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domain: {}\n"
    for form in Self.previews.prefix(5) {
      let world = FakeWorld()
      try withManifest(wrong) { #expect(world.run("validate", $0, "-o", form.rawValue) == 65) }
      #expect(world.output.contains("domain"), "\(form.rawValue)")
      let valid = FakeWorld()
      try withManifest { #expect(valid.run("validate", $0, "-o", form.rawValue) == 0) }
      #expect(valid.output.hasSuffix("\n"), "\(form.rawValue)")
    }
  }

  @Test func `a form that an answer does not have is a usage error that names those it has, and who has this one`()
    throws
  {
    try withManifest { manifest in
      let world = FakeWorld()
      for form in Self.previews {
        for arguments in [["apply", manifest, "--dry-run"], ["status"], ["devices"], ["doctor"], ["explain"]] {
          #expect(world.run(arguments + ["-o", form.rawValue]) == 64, "\(arguments)")
        }
      }
      #expect(world.messages.contains("; `berth plan` and `berth validate` have this form\n"))
      #expect(world.output.isEmpty && world.state.withLock { $0.desired.isEmpty })
      let other = FakeWorld()
      #expect(other.run("validate", manifest, "-o", "junit") == 64)
      #expect(
        other.messages.hasSuffix(
          """
            use -o table or json or jsonl or markdown or html or github or sarif or gitlab; \
          `berth plan` has this form

          """), "\(other.messages)")
    }
  }

  @Test func `a blocked device is shown at its declaration, below the directory of the run`() throws {
    try withManifest(
      """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      metadata: {name: host17}
      spec:
        domains:
          other: {devices: []}
          sys-net:
            devices:
              - {address: 0000:01:00.0, id: 8086:1533}
              - {address: 0000:03:00.0, id: 8086:1533}

      """
    ) { manifest in
      let folder = String(manifest.prefix(upTo: manifest.lastIndex(of: "/") ?? manifest.startIndex))
      var plan = Plan.one(.blocked(.isBridge))
      let step = plan.domains[0].steps[0]
      let device = try #require(PCIAddress("0000:03:00.0"))
      plan.domains[0].steps[0] = DeviceStep(domain: step.domain, device: device, kind: step.kind)
      let world = FakeWorld()
      #expect(
        world.run("plan", manifest, "-o", "github", given: .init(environment: ["PWD": folder], plan: plan)) == 3)
      #expect(
        world.output.contains("\n::error file=host17.yaml,line=10,col=21,title=berth%3A is-bridge::"), "\(world.output)"
      )
    }
  }
}
