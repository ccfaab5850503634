import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// One apply of each kind, repeated with one fault at one of its requests, and clean applies after it.
@Suite struct PortFaultTests {
  static let changes: [Change] = {
    let (one, two, three) = (Sample.address(1), Sample.address(2), Sample.address(3))
    let hot = [
      Change(testDescription: "first attach", from: [], to: [one, two]),
      Change(testDescription: "later attach", from: [one], to: [one, two, three]),
      Change(testDescription: "later attach, given up", from: [one], to: [one, two, three], after: [one]),
      Change(testDescription: "detach some, taken back", from: [one, two], to: [two], after: [one, two]),
      Change(testDescription: "detach some", from: [one, two, three], to: [one, three]),
      Change(testDescription: "detach all", from: [one, two], to: []),
      Change(testDescription: "reattach", from: [one, two], to: [one, two], isReattach: true),
      Change(testDescription: "permissive ends", from: [one, two], to: [one, two], isPermissive: true),
      Change(testDescription: "move", from: [one, two], to: [two], other: [one]),
    ]
    let onHost = [
      Change(testDescription: "prepare and attach", from: [], to: [one, two]),
      Change(testDescription: "prepare and attach, given up", from: [], to: [one, two], after: [one]),
      Change(testDescription: "detach and release", from: [one, two], to: []),
    ].map { change in
      var change = change
      change.isOnHost = true
      return change
    }
    var card = onHost[0]
    (card.testDescription, card.isCard) = ("prepare and attach a card", true)
    let cold = hot.prefix(6).map { change in
      var cold = change
      cold.isCold = true
      cold.testDescription = "cold " + change.testDescription
      return cold
    }
    let others = [Change.Kind.deviceModel, .stubDomain, .traditional].flatMap { kind in
      hot.map { change in
        var other = change
        other.kind = kind
        other.testDescription = kind.rawValue + change.testDescription
        return other
      }
    }
    return hot + onHost + [card] + cold + others
  }()

  /// Requests whose effect an apply can prove.
  private static let provable: Set<PortRequest> = [
    .write, .makeDirectory, .remove, .commit, .assign, .save, .record,
  ]

  /// One apply of a change, whose ports are behind a line of faults.
  struct Trial {
    let change: Change
    let model: ModelHost
    let keys: [String: DomainKey]
    let line = FaultLine()

    init(_ change: Change) throws {
      self.change = change
      (model, keys) = change.makeHost()
      try Run(model: model, options: .hasty).apply(change.initial)
    }

    /// Applies through the line. Returns the outcome, and what the apply reports as not done.
    func apply(_ desired: DesiredState) -> (outcome: ApplyOutcome?, failures: [String]) {
      let host = line.host(model.host)
      do throws(HostError) {
        let observation = try Observer(host: host).observe(desired: desired)
        let plan = makePlan(desired: desired, observation: observation)
        let outcome = ScheduleRunner(host: host, options: .hasty) { _ in }.apply(plan)
        let left = plan.steps.filter { $0.action == .blocked || $0.action == .pending || $0.action == .drift }
        return (outcome, failures(outcome) + left.map { "\($0.action) \($0.device) \($0.kind.name)" })
      } catch {
        return (nil, ["\(error)"])
      }
    }

    /// Returns what is wrong with the state, and with a further plan's reaction to it.
    func findings() throws -> (state: [String], plan: [String]) {
      let plan = try Run(model: model, options: .hasty).plan(change.final)
      return (change.disagreements(model, keys), unrest(plan))
    }

    /// Returns steps that are reported as done but are not done.
    func untruths(_ outcome: ApplyOutcome) -> [String] {
      outcome.domains.flatMap { domain -> [String] in
        domain.steps.flatMap { step -> [String] in
          guard let id = domain.id else { return [] }
          let bus: UInt32 = change.kind == .stubDomain && id == DomainID(5) ? 15 : id.rawValue
          let has = [
            "listed": model.listed(bus).contains(step.device), "exported": model.exports(to: bus).contains(step.device),
            "assigned": model.owner(of: step.device) == id, "claimed": model.claim(on: step.device) == id.description,
            "saved": keys[domain.name.text].map { model.saved($0).contains(step.device) } ?? false,
          ]
          let wanted: Bool
          switch (step.action, step.result) {
          case (.attach, .done), (.reattach, .done), (.move, .done): wanted = true
          case (.detach, .done): wanted = false
          case (.attach, _) where step.isUndone && domain.failure == nil: wanted = false
          default: return []
          }
          return has.filter { $0.value != wanted }.keys.sorted().map {
            "\(domain.name) \(step.action) \(step.device) is \(step.result), \($0) \(!wanted)"
          }
        }
      }
    }
  }

  /// Returns the consequences of one fault; empty if all is well.
  private func judge(_ trial: Trial, _ request: PortRequest, _ fault: Fault) throws -> [String] {
    let (outcome, failures) = trial.apply(trial.change.troubled)
    guard let place = trial.line.place else { return ["nothing went wrong"] }
    var findings = outcome.map { unwitnessed($0, trial.line.requests) } ?? []
    trial.line.disarm()
    trial.model.killWriters()
    let seen = try trial.findings()
    // The declaration afterwards differs if the change was given up.
    let isGivenUp = trial.change.killed != trial.change.after
    if failures.isEmpty, seen.plan.isEmpty, !isGivenUp { findings += seen.state.map { "hidden: \($0)" } }
    if !fault.isSilent || seen.plan.isEmpty { findings += outcome.map(trial.untruths) ?? [] }
    if failures.isEmpty, !isGivenUp, Self.provable.contains(request) {
      findings += seen.plan.map { "success, and then: \($0)" }
    }
    var reported: [String] = []
    for attempt in 1...3 {
      reported = trial.apply(trial.change.final).failures
      let left = try trial.findings()
      if (left.state + left.plan + reported).isEmpty {
        if attempt > 1 { findings.append("it takes \(attempt) applies") }
        break
      }
      if attempt == 3 { findings += left.state.map { "left: \($0)" } + left.plan + reported.map { "reported: \($0)" } }
    }
    findings = trial.change.avoidable(findings, request, fault)
    return findings.isEmpty ? [] : ["\(place): \(findings)"]
  }

  @Test(arguments: PortFaultTests.changes)
  func `an apply with any failure reports the truth, and one more apply repairs it`(_ change: Change) throws {
    let clean = try Trial(change)
    #expect(clean.apply(change.troubled).failures == [])
    let requests = clean.line.requests
    // A sample of the faults. All faults are included that lose an acknowledged effect that can be proven, or a return:
    // those have found most defects.
    let all = requests.enumerated().flatMap { index, request in request.faults.map { (index, $0) } }
    let stride = SoakReport.isSoak ? 1 : 97
    var count = 0
    var violations = 0
    for (number, (index, fault)) in all.enumerated()
    where number % stride == change.testDescription.utf8.count % stride
      || fault.isSilent && Self.provable.union([.deassign]).contains(requests[index])
    {
      let trial = try Trial(change)
      trial.line.arm(fault, at: index)
      let findings = try judge(trial, requests[index], fault)
      count += 1
      if !findings.isEmpty {
        violations += 1
        for finding in findings { Issue.record("\(finding)") }
      }
    }
    try SoakReport.add(["faults": count, "fault_violations": violations])
    print(
      "\(change.testDescription): \(requests.count) requests, \(count) of \(all.count) faults, \(violations) violations"
    )
  }
}

extension Change {
  /// Returns `findings` without those that no program can avoid; docs/protocol.md explains why.
  fileprivate func avoidable(_ findings: [String], _ request: PortRequest, _ fault: Fault) -> [String] {
    func without(_ words: String...) -> [String] {
      findings.filter { finding in !words.contains { finding.contains($0) } }
    }
    guard fault.isSilent else { return findings }
    switch request {
    // No call reads a permission or a mapping.
    case .ports, .frames, .map, .unmap, .interrupt: return without(" granted: ", " interrupt: ")
    // If a node is missing or left over, plans block the domain: only a restart repairs its bus.
    case .write, .remove:
      let words = ["again blocked ", "reported: blocked "]
      let named = findings.filter { $0.hasSuffix(" corrupt-back-end") && words.contains(where: $0.hasPrefix) }
      guard !named.isEmpty else { return findings }
      return findings.filter { !named.contains($0) && !$0.hasPrefix("left: ") }
    // Another run may have given the device to a domain, even to this one, as soon as it was free. So the device stays
    // unassigned. If it is declared, every plan reports it as assigned elsewhere.
    case .deassign:
      let isNamed = findings.contains { $0.hasSuffix(" assigned-elsewhere") }
      // A device that Xen says some guest has is not returned to its driver.
      return without(" assigned", "DriverState").filter { !isNamed || !$0.hasPrefix("left: ") }
    default: return findings
    }
  }

  fileprivate init(
    testDescription: String, from before: [PCIAddress], to after: [PCIAddress], other: [PCIAddress] = [],
    after given: [PCIAddress]? = nil, isReattach: Bool = false, isPermissive: Bool = false
  ) {
    self.init(
      testDescription: testDescription, before: ["net": before], killed: ["net": after, "other": other],
      after: ["net": given ?? after, "other": other], isReattach: isReattach,
      isPermissive: isPermissive)
  }
}
