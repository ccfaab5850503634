import Model
import Planning
import TestSupport
import Testing

@Suite struct ExitStatusTests {
  private let empty = Plan(host: HostFacts(name: "h"), domainCount: 0, deviceCount: 0, policy: Policy())

  private func status(
    _ outcome: ApplyOutcome, _ plan: Plan? = nil, requiresRunning: Bool = false
  ) -> Planning.ExitStatus {
    exitStatus(of: outcome, plan: plan ?? empty, requiresRunning: requiresRunning)
  }

  @Test(arguments: [
    ([StepResult.done, .done], Planning.ExitStatus.done), ([.unchanged], .done), ([], .done),
    ([.failed], .failed), ([.failed, .blocked, .unknown], .failed), ([.done, .failed], .partlyApplied),
    ([.done, .failed, .unknown, .blocked], .partlyApplied), ([.unchanged, .failed], .failed),
    ([.unknown], .unknown), ([.done, .unknown], .unknown), ([.unknown, .blocked], .unknown),
    ([.unknown, .interrupted], .unknown), ([.blocked], .blocked), ([.done, .blocked], .blocked),
    ([.done, .pending], .done), ([.interrupted], .interrupted), ([.done, .interrupted, .blocked], .interrupted),
  ])
  func `the worst result decides the status`(_ results: [StepResult], _ expected: Planning.ExitStatus) throws {
    let device = try #require(PCIAddress("0000:03:00.0"))
    // Every result also gets its own domain: the status must not depend on the grouping.
    let together = ApplyOutcome(domains: [
      DomainOutcome(name: "a", steps: results.map { StepOutcome(device: device, action: .attach, result: $0) })
    ])
    let apart = ApplyOutcome(
      domains: results.map {
        DomainOutcome(name: "a", steps: [StepOutcome(device: device, action: .attach, result: $0)])
      })
    #expect(status(together) == expected)
    #expect(status(apart) == expected)
    #expect(status(ApplyOutcome(domains: apart.domains.reversed())) == expected)
  }

  @Test func `a failed repair of the host is a failure`() throws {
    #expect(status(ApplyOutcome(hostFailures: [OutcomeDetail(.domainGone)])) == .failed)
    #expect(
      status(ApplyOutcome(hostRepairs: ["removed a claim"], hostFailures: [OutcomeDetail(.domainGone)]))
        == .partlyApplied)
    var undone = ApplyOutcome.of(.failed, isUndone: true)
    undone.hostFailures = [OutcomeDetail(.domainGone)]
    #expect(status(undone) == .failed)
  }

  @Test func `undone changes have their own status`() throws {
    #expect(status(.of(.failed, isUndone: true)) == .rolledBack)
    var mixed = ApplyOutcome.of(.failed, isUndone: true)
    mixed.domains += ApplyOutcome.of(.failed).domains
    #expect(status(mixed) == .failed)
    mixed = ApplyOutcome.of(.failed, isUndone: true)
    mixed.domains += ApplyOutcome.of(.done).domains
    #expect(status(mixed) == .partlyApplied)
  }

  @Test func `a busy lock decides the status only if nothing is worse`() throws {
    #expect(status(.of(isLockBusy: true, failure: OutcomeDetail(.otherRunAtWork, "1 (berth)"))) == .lockBusy)
    #expect(status(.of(.failed, isLockBusy: true, failure: OutcomeDetail(.otherRunAtWork, "1 (berth)"))) == .lockBusy)
    #expect(
      status(.of(isLockBusy: true, failure: OutcomeDetail(.otherRunAtWork, "1 (berth)")), .one(.blocked(.isBridge)))
        == .lockBusy)
    var other = ApplyOutcome.of(isLockBusy: true, failure: OutcomeDetail(.otherRunAtWork, "1 (berth)"))
    other.domains += ApplyOutcome.of(.done).domains
    #expect(status(other) == .lockBusy)
    other.domains += ApplyOutcome.of(.unknown).domains
    #expect(status(other) == .unknown)
    other.domains += ApplyOutcome.of(failure: OutcomeDetail(.domainGone)).domains
    #expect(status(other) == .partlyApplied)
  }

  @Test func `a domain's own failure counts without any step`() throws {
    #expect(status(.of(failure: OutcomeDetail(.domainGone))) == .failed)
  }

  @Test func `steps that the plan excluded count too`() throws {
    #expect(status(.of(.done), .one(.blocked(.identityMismatch))) == .blocked)
    #expect(status(.of(.done), .one(.blocked(.deviceMissing))) == .blocked)
    #expect(status(.of(.done), .one(.blocked(.deviceMissing), isRequired: false)) == .done)
    #expect(status(.of(.done), .one(.blocked(.identityMismatch), isRequired: false)) == .blocked)
    #expect(status(ApplyOutcome(), .one(.pending(.domainAbsent))) == .done)
    #expect(status(ApplyOutcome(), .one(.pending(.domainPaused))) == .unknown)
    #expect(status(ApplyOutcome(), .one(.foreign)) == .done)
  }

  @Test func `a change that nobody was shown makes the plan stale, unless something is worse`() throws {
    #expect(status(ApplyOutcome().withUnshownChange()) == .stalePlan)
    #expect(status(.of(.done).withUnshownChange()) == .stalePlan)
    #expect(status(.of(.done).withUnshownChange(), .one(.blocked(.isBridge))) == .stalePlan)
    #expect(status(.of(.blocked).withUnshownChange()) == .stalePlan)
    #expect(status(ApplyOutcome(wasInterrupted: true).withUnshownChange()) == .interrupted)
    #expect(
      status(.of(isLockBusy: true, failure: OutcomeDetail(.otherRunAtWork, "1 (berth)")).withUnshownChange())
        == .lockBusy)
    #expect(status(.of(.unknown).withUnshownChange()) == .unknown)
    #expect(status(.of(.failed).withUnshownChange()) == .failed)
    #expect(status(.of(.done, .failed).withUnshownChange()) == .partlyApplied)
  }

  @Test func `with require-running a pending domain is a failure`() throws {
    #expect(status(ApplyOutcome(), .one(.pending(.domainAbsent)), requiresRunning: true) == .failed)
    #expect(status(.of(.pending), requiresRunning: true) == .failed)
    #expect(status(.of(.done, .failed), .one(.pending(.domainAbsent)), requiresRunning: true) == .partlyApplied)
    #expect(status(.of(.done), requiresRunning: true) == .done)
  }

  @Test func `a plan's status`() throws {
    func status(_ plan: Plan, detailed: Bool = false, running: Bool = false) -> Planning.ExitStatus {
      exitStatus(of: plan, isDetailed: detailed, requiresRunning: running)
    }
    #expect(status(empty, detailed: true) == .done)
    #expect(status(.one(.pending(.domainAbsent), refusal: .notRunning(count: 1)), running: true) == .failed)
    #expect(status(.one(.attach())) == .done)
    #expect(status(.one(.attach()), detailed: true) == .changesPending)
    #expect(status(.one(.unchanged), detailed: true) == .done)
    #expect(status(.one(.pending(.domainAbsent)), detailed: true) == .done)
    #expect(status(.one(.pending(.domainAbsent)), running: true) == .failed)
    #expect(status(.one(.blocked(.isBridge))) == .blocked)
    let refused = Plan.one(.detach(), refusal: .tooManyRemovals(planned: 1, allowed: 0))
    #expect(status(refused) == .blocked)
    #expect(status(refused, detailed: true) == .blocked)
    #expect(exitStatus(of: ApplyOutcome(), plan: refused, requiresRunning: false) == .blocked)
    var both = Plan.one(.blocked(.isBridge))
    both.domains += Plan.one(.attach()).domains
    #expect(status(both, detailed: true) == .blocked)
  }

  @Test(
    arguments: [
      ([], [.done, .changesPending], .changesPending), ([], [.done], .done),
      ([], [.blocked, .changesPending], .blocked),
      ([.invalidManifest], [.done, .blocked], .invalidManifest), ([.noManifest, .noManifest], [.failed], .noManifest),
      ([.invalidManifest, .noManifest], [], .failed), ([], [.failed, .blocked], .failed), ([], [], .done),
    ] as [([Planning.ExitStatus], [Planning.ExitStatus], Planning.ExitStatus)])
  func `the worst host decides the status of a fleet`(
    _ failures: [Planning.ExitStatus], _ planned: [Planning.ExitStatus], _ expected: Planning.ExitStatus
  ) {
    #expect(exitStatus(ofHosts: failures, planned: planned) == expected)
    #expect(exitStatus(ofHosts: failures.reversed(), planned: planned.reversed()) == expected)
  }
}
