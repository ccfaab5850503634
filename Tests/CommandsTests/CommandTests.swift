import FoundationEssentials
import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing

@Suite struct CommandTests {
  @Test func `a plan changes nothing and reports what it found`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let plan = Plan.one(.attach())
      #expect(world.run("plan", manifest, given: .init(plan: plan)) == 0)
      #expect(world.output.contains("+ 0000:03:00.0") && world.output.contains("Plan: 1 to attach."))
      #expect(world.state.withLock { $0.applied.isEmpty })
      #expect(world.run("plan", manifest, "--detailed-exitcode", given: .init(plan: plan)) == 2)
      #expect(world.run("apply", "--dry-run", manifest, given: .init(plan: plan)) == 0)
      #expect(world.state.withLock { $0.applied.isEmpty })
    }
  }

  @Test func `a doctor's exit status reports what did not answer, and on request what was found`() {
    let world = FakeWorld()
    #expect(world.run("doctor", "--detailed-exitcode") == 0)
    #expect(world.output.contains("No problem found."))
    var sick = Examination.calm
    sick.pciback = .success(.init(isLoaded: false, deviceCount: 0))
    #expect(world.run("doctor", given: .init(examination: sick)) == 0)
    #expect(world.run("doctor", "--detailed-exitcode", given: .init(examination: sick)) == 2)
    sick.store = .failure(.store(StoreError(.notPermitted, operation: "open", errno: 13)))
    #expect(world.run("doctor", given: .init(examination: sick)) == 77)
    sick.hypervisor = .failure(.hypervisor(HypervisorError(.unreachable, operation: "xc_interface_open")))
    #expect(world.run("doctor", given: .init(examination: sick)) == 69)
    #expect(world.output.contains("pciback-missing"), "the other findings are reported")
    // A sandbox that is down has no name. The command must still report what it can.
    #expect(world.run("doctor", "--sandbox", "/box", given: .init(examination: sick, isSandboxDown: true)) == 69)
  }

  @Test func `explain shows one name, a list, everything, or a page`() {
    let world = FakeWorld()
    #expect(world.run("explain", "claim-missing") == 0)
    #expect(world.output.hasPrefix("claim-missing: attached, but not reserved for the domain.\n"))
    #expect(world.run("explain", "--all") == 0)
    #expect(world.output.contains("\n\nclaim-missing: ") && world.output.contains("\n\nlock-held: "))
    #expect(world.run("explain", "--all", "-o", "markdown") == 0)
    #expect(world.output.contains("\n## `claim-missing`\n\nattached, but not reserved for the domain.\n"))
    #expect(world.run("explain", "claim-missing", "--all") == 64)
  }

  @Test func `an answer that has no Markdown is a usage error before anything is done`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let plan = Plan.one(.attach())
      for arguments in [["apply", manifest, "--yes"], ["status"], ["doctor"], ["explain"]] {
        #expect(world.run(arguments + ["-o", "markdown"], given: .init(plan: plan)) == 64, "\(arguments)")
        #expect(world.messages.contains("has no form called markdown"), "\(world.messages)")
      }
      #expect(world.state.withLock { $0.applied.isEmpty && $0.desired.isEmpty })
    }
  }

  @Test func `a manifest is read from the environment`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("plan", given: .init(environment: ["BERTH_MANIFEST": manifest])) == 0)
      let desired = try #require(world.state.withLock { $0.desired.first ?? nil })
      #expect(desired.domains.map(\.name) == ["sys-net"])
    }
  }

  @Test func `options override the manifest's policy`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("plan", manifest) == 0)
      #expect(world.run("plan", manifest, "--prune", "all", "--allow-removals") == 0)
      let desired = world.state.withLock { $0.desired.compactMap(\.self) }
      #expect(desired.map(\.policy) == [Policy(maxRemovals: 4), Policy(prune: .all, maxRemovals: nil)])
      #expect(desired.map(\.completeness) == [.assumed, .stated])
    }
  }

  @Test func `an invalid manifest is 65, a missing one 66, and no host is asked`() throws {
    try withManifest("apiVersion: berth/v1alpha1\nkind: HostAssignments\nspecs: {}\n") { manifest in
      for command in ["plan", "validate", "status"] {
        let world = FakeWorld()
        #expect(world.run(command, manifest) == 65)
        #expect(world.messages.contains("host17.yaml:3:1: error:"))
        #expect(world.run(command, manifest + "x") == 66)
        #expect(world.messages.contains("host17.yamlx"))
        #expect(world.state.withLock { $0.opened.isEmpty })
      }
    }
  }

  @Test func `a stopped sandbox is reported after errors in the manifest`() throws {
    let down = FakeWorld.Given(isSandboxDown: true)
    try withManifest("kind: [\n") { manifest in
      let world = FakeWorld()
      #expect(world.run("plan", "--sandbox", "/box", manifest, given: down) == 65)
      #expect(world.run("plan", "--sandbox", "/box", manifest + "x", given: down) == 66)
    }
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("plan", "--sandbox", "/box", manifest, given: down) == 69)
      #expect(world.messages.contains("no sandbox in /box"))
      #expect(world.state.withLock { $0.opened.isEmpty })
    }
  }

  @Test func `a verdict is a document for programs`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("validate", "-o", "json", manifest) == 0)
      #expect(world.output.contains("\"isValid\" : true"))
      #expect(world.state.withLock { $0.opened.isEmpty })
    }
  }

  @Test func `apply without a terminal requires yes before it observes anything`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let given = FakeWorld.Given(plan: .one(.attach()))
      #expect(world.run("apply", manifest, given: given) == 64)
      #expect(world.messages.contains("--yes"))
      #expect(world.state.withLock { $0.opened.isEmpty && $0.questions == 0 })
    }
  }

  @Test(arguments: [("y", true), ("YES", true), (" yes ", true), ("n", false), ("", false), ("yep", false)])
  func `apply on a terminal asks`(_ answer: String, _ isMeant: Bool) throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let status = world.run(
        "apply", manifest,
        given: .init(
          isTerminal: true, plan: .one(.attach()), outcome: .of(.done), answers: [answer]))
      #expect(status == (isMeant ? 0 : 1))
      #expect(world.state.withLock { $0.applied.count } == (isMeant ? 1 : 0))
      #expect(world.messages.contains("[y/N]"))
      #expect(world.output.contains("Plan: 1 to attach."))
    }
  }

  @Test func `no answer is no`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let given = FakeWorld.Given(isTerminal: true, plan: .one(.attach()))
      #expect(world.run("apply", manifest, given: given) == 1)
      #expect(world.state.withLock { $0.applied.isEmpty })
    }
  }

  @Test func `a plan without changes needs no question, and the engine checks that it still holds`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let given = FakeWorld.Given(isTerminal: true, plan: .one(.unchanged))
      #expect(world.run("apply", manifest, given: given) == 0)
      #expect(world.state.withLock { $0.applied.count == 1 && $0.questions == 0 })
      #expect(world.output.contains("Nothing to do: 1 device is as declared."))
    }
  }

  @Test func `Berth's own records change without a question`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      var plan = Plan.one(.unchanged)
      plan.bookkeeping = [.discard(intent: "1-1")]
      #expect(world.run("apply", manifest, given: .init(isTerminal: true, plan: plan)) == 0)
      #expect(world.state.withLock { $0.applied.count == 1 && $0.questions == 0 })
      #expect(world.output.contains("Nothing to do"))
    }
  }

  @Test func `with require-running nothing is applied if a domain cannot take its devices`() throws {
    var plan = Plan.one(.attach())
    plan.domains += Plan.one(.pending(.domainAbsent)).domains
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("apply", "--yes", "--require-running", manifest, given: .init(plan: plan)) == 1)
      #expect(world.state.withLock { $0.applied.isEmpty })
      #expect(world.output.contains("Refused: domains cannot take 1 device now, and --require-running is given."))
      #expect(world.run("plan", "--require-running", "-o", "json", manifest, given: .init(plan: plan)) == 1)
      #expect(world.output.contains("\"reason\" : \"not-running\""))
      #expect(world.run("apply", "--yes", manifest, given: .init(plan: plan)) == 0)
      #expect(world.state.withLock { $0.applied.count } == 1)
    }
  }

  @Test(arguments: [Obstacle.domainUnknown, .domainRenamed, .domainAmbiguous, .domainMismatch, .crashedAndKept])
  func `with require-running nothing is applied if it is not known which domain is meant`(_ obstacle: Obstacle) throws {
    var plan = Plan.one(.attach())
    plan.domains += Plan.one(.blocked(obstacle)).domains
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("apply", "--yes", "--require-running", manifest, given: .init(plan: plan)) == 3)
      #expect(world.state.withLock { $0.applied.isEmpty })
      #expect(world.output.contains("--require-running is given."))
      #expect(world.run("apply", "--yes", manifest, given: .init(plan: plan)) == 3)
      #expect(world.state.withLock { $0.applied.count } == 1)
    }
  }

  @Test func `a failure beside an empty plan is shown`() throws {
    let error = HostError.record(RecordError(.other, operation: "write", place: "/var/lib/berth/x", errno: 5))
    let given = FakeWorld.Given(
      plan: .one(.unchanged), outcome: ApplyOutcome(hostFailures: [OutcomeDetail(.recordsFailed, error)]))
    try withManifest { manifest in
      let world = FakeWorld()
      #expect(world.run("apply", "--yes", manifest, given: given) == 1)
      #expect(world.output.contains("records: write: /var/lib/berth/x"), "\(world.output)")
    }
  }

  @Test func `a document with 300 errors says so`() throws {
    let domains = (0..<300).map { "    d\($0): {devices: [x\($0)]}\n" }.joined()
    try withManifest(
      "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domains:\n\(domains)"
    ) { manifest in
      let world = FakeWorld()
      #expect(world.run("validate", manifest) == 65)
      #expect((world.output + world.messages).contains("Not valid: 300 errors."), "\(world.output.suffix(200))")
    }
  }

  @Test func `a plan that removes too much is refused as a whole`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      var plan = Plan.one(.detach(), refusal: .tooManyRemovals(planned: 5, allowed: 4))
      plan.domains += Plan.one(.attach()).domains
      #expect(world.run("apply", "--yes", manifest, given: .init(plan: plan)) == 3)
      #expect(world.state.withLock { $0.applied.isEmpty })
      #expect(world.output.contains("Refused: ") && world.output.contains("--allow-removals"))
    }
  }

  @Test func `options of apply reach the engine`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let given = FakeWorld.Given(plan: .one(.attach()), outcome: .of(.done))
      #expect(world.run("apply", "-y", manifest, given: given) == 0)
      #expect(
        world.run(
          "apply", "-y", "--lock-timeout", "3s", "--wait-timeout", "250ms", "--audit", manifest, given: given) == 0)
      let options = world.state.withLock { $0.applied.map(\.options) }
      #expect(options.map(\.lockTimeout) == [.seconds(10), .seconds(3)])
      #expect(options.map(\.waitTimeout) == [.seconds(10), .milliseconds(250)])
      #expect(options.map(\.audits) == [false, true])
    }
  }

  @Test func `the status of an apply is the outcome's`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let given = FakeWorld.Given(plan: .one(.attach()), outcome: .of(.done, .unknown))
      #expect(world.run("apply", "-y", manifest, given: given) == 7)
      #expect(world.output.contains("Applied: 1 attached; 1 unknown."))
    }
  }

  @Test func `a full file system is the status of an apply, and its line says what to do`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let error = HostError.record(RecordError(errno: 28, operation: "write", place: "/var/lib/berth/x"))
      let outcome = ApplyOutcome(domains: [DomainOutcome(name: "sys-net", steps: [], failure: OutcomeDetail(error))])
      #expect(world.run("apply", "-y", manifest, given: .init(plan: .one(.attach()), outcome: outcome)) == 78)
      #expect(world.output.contains("no space left (ENOSPC)") && world.output.contains("next: make room on"))
    }
  }

  @Test func `a document is all there is on standard output`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let given = FakeWorld.Given(
        isTerminal: true, plan: .one(.attach()), outcome: .of(.done), answers: ["y"])
      #expect(world.run("apply", "-o", "json", manifest, given: given) == 0)
      #expect(world.output.hasPrefix("{\n") && world.output.hasSuffix("\n}\n"))
      #expect(world.messages.contains("Plan: 1 to attach."))
      let document = try JSONDecoder().decode(Header.self, from: Data(world.output.utf8))
      #expect(document == Header(formatVersion: 1, kind: "ApplyResult", exitStatus: 0))
    }
  }

  private struct Header: Decodable, Equatable {
    var formatVersion: Int
    var kind: String
    var exitStatus: Int32
  }

  @Test func `an unreachable host is reported with the next step`() throws {
    try withManifest { manifest in
      let world = FakeWorld()
      let error = HostError.store(
        StoreError(.unreachable, operation: "connect", place: "/run/xenstored/socket", errno: 2))
      #expect(world.run("plan", manifest, given: .init(observeFailure: error)) == 69)
      #expect(world.messages.contains("/run/xenstored/socket") && world.messages.contains("berth sandbox start"))
      #expect(world.output.isEmpty)
      let refused = HostError.hypervisor(HypervisorError(.notPermitted, operation: "xc_interface_open", errno: 13))
      #expect(world.run("status", given: .init(observeFailure: refused)) == 77)
      #expect(world.messages.contains("uid 1000"))
      let broken = HostError.store(StoreError(.lost, operation: "read", place: "/libxl", errno: 104))
      #expect(world.run("plan", manifest, given: .init(observeFailure: broken)) == 69)
      #expect(world.messages.contains("nothing was changed"))
    }
  }

  private static let uuid = "20000000-0000-4000-8000-000000000002"

  @Test func `progress is one line on a terminal and is erased at the end`() throws {
    try withManifest { manifest in
      let device = try #require(PCIAddress("0000:03:00.0"))
      let outcome = DomainOutcome(
        name: "sys-net", steps: [StepOutcome(device: device, action: .attach, result: .done)])
      let domain = RunEvent.Domain(name: "sys-net", uuid: try #require(DomainUUID(Self.uuid)))
      let step = StepID(domain: .uuid(domain.uuid), device: device, kind: .attach)
      let events = [
        RunEvent.Kind.domainBegan(domain, [step]), .waiting(domain, [step], until: .now + .seconds(10)),
        .auditing(domain, until: .now + .seconds(12)),
        .domainEnded(domain, nil),
      ].map { RunEvent(run: RunID("00"), kind: $0) }
      let given = FakeWorld.Given(
        isTerminal: true, plan: .one(.attach()), outcome: ApplyOutcome(domains: [outcome]), events: events)
      let terminal = FakeWorld()
      #expect(terminal.run("apply", "-y", manifest, given: given) == 0)
      #expect(terminal.messages.contains("\rwaiting for sys-net, 1 device"))
      #expect(terminal.messages.hasSuffix("\r") && !terminal.messages.contains("\n"))
      var quiet = given
      quiet.isTerminal = false
      let pipe = FakeWorld()
      #expect(pipe.run("apply", "-y", manifest, given: quiet) == 0)
      #expect(pipe.messages.isEmpty)
      let verbose = FakeWorld()
      #expect(verbose.run("apply", "-y", "-v", manifest, given: quiet) == 0)
      #expect(verbose.messages.contains("sys-net: waiting for the guest, at most "))
      #expect(verbose.messages.contains("sys-net: another toolstack may overwrite an entry, looking again in "))
    }
  }
}
