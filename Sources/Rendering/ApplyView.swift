package import Model
package import Planning

/// What became of an apply, for people and for programs.
package struct ApplyView: View {
  package var plan: Plan
  package var outcome: ApplyOutcome
  package var status: ExitStatus
  package var warnings: [String]
  private let place: HostPlace
  private let naming: DeviceNaming

  /// `place` gives failures of ports their words.
  package init(
    plan: Plan, outcome: ApplyOutcome, status: ExitStatus, place: HostPlace, warnings: [String] = [],
    naming: @escaping DeviceNaming = { _ in nil }
  ) {
    self.place = place
    self.plan = plan
    self.outcome = outcome
    self.status = status
    self.warnings = warnings
    self.naming = naming
  }

  package var document: ApplyDocument {
    ApplyDocument(plan: plan, outcome: outcome, status: status, place: place, warnings: warnings, naming: naming)
  }

  /// Returns only the result, because the plan was shown before.
  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    for domain in outcome.domains { write(domain, to: &columns, style: style) }
    columns.rows(forDrivers: outcome.drivers, place, naming: naming, isVerbose: style.isVerbose)
    if !outcome.hostRepairs.isEmpty || !outcome.hostFailures.isEmpty {
      columns.heading("Host")
      for repair in outcome.hostRepairs { columns.row(.differ, "done", "", repair) }
      for failure in outcome.hostFailures {
        write(failure, to: &columns)
      }
    }
    if !outcome.notShown.isEmpty || !outcome.unshownDrivers.isEmpty {
      columns.heading("Not shown before, so not done")
      for change in outcome.notShown {
        columns.row(
          .wait, change.step.device.description, Words.holder(Holder(id: change.id, name: change.domain)),
          PlanView.words(for: change.step))
      }
      for step in outcome.unshownDrivers {
        columns.row(.wait, step.device.description, "", DriverWords.words(for: step))
      }
    }
    return "\(columns.rendered())\(columns.isEmpty ? "" : "\n" as TerminalText)\(style.printable(summary))\n"
  }

  private func write(_ domain: DomainOutcome, to columns: inout Columns, style: TextStyle) {
    guard !domain.steps.isEmpty || domain.failure != nil || !domain.readopted.isEmpty else { return }
    columns.heading(
      Words.holder(Holder(id: domain.id, name: domain.name)), domain.id.map { "domid \($0)" } ?? "not running")
    for step in domain.steps {
      var notes: [String] = []
      if style.isVerbose { notes += step.evidence.map { "proof: \($0)" } }
      if let next = step.nextStep(in: Holder(id: domain.id, name: domain.name)) { notes.append("next: \(next)") }
      columns.row(
        Mark(step.result, of: step.action), step.device.description, name(of: step.device), words(for: step),
        notes: notes)
    }
    for device in domain.readopted {
      columns.row(
        .differ, device.description, name(of: device), "entry added again: another toolstack had overwritten it")
    }
    if let failure = domain.failure { write(failure, isLockBusy: domain.isLockBusy, to: &columns) }
    if style.isVerbose {
      columns.row(
        .none, "rounds \(domain.rounds)", "", "userdata lock held for at most \(domain.longestLockMicroseconds) µs")
    }
  }

  /// Writes a failure of a domain or of the host. If only an answer is missing, the result is unknown.
  private func write(_ failure: OutcomeDetail, isLockBusy: Bool = false, to columns: inout Columns) {
    let isOpen = failure.isWithoutAnswer && !isLockBusy
    columns.row(
      isOpen ? .unsure : .refuse, isLockBusy ? "lock busy" : isOpen ? "unknown" : "failed", "",
      place.text(of: failure), notes: place.nextStep(for: failure).map { ["next: \($0)"] } ?? [])
  }

  private func name(of device: PCIAddress) -> String {
    let step = plan.steps.first { $0.device == device }
    return Words.device(step?.deviceID, label: step?.label, naming: naming)
  }

  func words(for step: StepOutcome) -> String {
    var text: String
    switch step.result {
    case .done:
      text = Self.doneWord(step.action)
      if let address = step.virtualAddress { text += ", the guest sees \(address)" }
    case .unchanged: text = "unchanged"
    case .failed: text = "\(step.action.rawValue) failed"
    case .unknown: text = "\(step.action.rawValue) outcome unknown"
    case .blocked: text = "\(step.action.rawValue) refused"
    case .pending: text = "\(step.action.rawValue) pending"
    case .interrupted: text = "\(step.action.rawValue) not begun: interrupted"
    }
    if let detail = step.detail { text += ": " + place.text(of: detail) }
    if step.isUndone { text += " (undone)" }
    return text
  }

  private static func doneWord(_ action: ChangeKind) -> String {
    switch action {
    case .attach: "attached"
    case .detach: "detached"
    case .reattach: "attached again"
    case .move: "moved here"
    case .repair: "repaired"
    case .adopt: "adopted"
    }
  }

  /// What the whole apply came to, in one sentence.
  var summary: String {
    let steps = outcome.domains.flatMap(\.steps)
    func done(_ action: ChangeKind) -> Int { steps.count { $0.result == .done && $0.action == action } }
    let drivers = outcome.drivers
    func count(_ result: StepResult) -> Int {
      steps.count { $0.result == result } + drivers.count { $0.result == result }
    }
    func done(_ kind: DriverStep.Kind) -> Int { drivers.count { $0.result == .done && $0.step.kind == kind } }
    let readopted = outcome.domains.reduce(0) { $0 + $1.readopted.count }
    let good = Words.counts([
      (done(.attach), "attached"), (done(.detach), "detached"), (done(.reattach), "changed"), (done(.move), "moved"),
      (done(.repair) + outcome.hostRepairs.count, "repaired"), (done(.adopt), "adopted"),
      (done(.prepare), "prepared"), (done(.release), "released"), (readopted, "added again"),
      (count(.unchanged), "unchanged"),
    ])
    let lockBusy = outcome.domains.count { $0.isLockBusy }
    let failedDomains = failures(inDomainsWithout: .failed).count { !$0.isWithoutAnswer }
    let openDomains = failures(inDomainsWithout: .unknown).count(where: \.isWithoutAnswer)
    let openRepairs = outcome.hostFailures.count(where: \.isWithoutAnswer)
    let failedRepairs = outcome.hostFailures.count - openRepairs
    let bad = Words.counts([
      (count(.failed), "failed"), (failedDomains, failedDomains == 1 ? "domain failed" : "domains failed"),
      (failedRepairs, failedRepairs == 1 ? "host repair failed" : "host repairs failed"),
      (count(.unknown), "unknown"), (openDomains, openDomains == 1 ? "domain unknown" : "domains unknown"),
      (openRepairs, openRepairs == 1 ? "host repair unknown" : "host repairs unknown"),
      (lockBusy, lockBusy == 1 ? "domain's lock busy" : "domains' locks busy"),
      (count(.blocked) + plan.count(.blocked), "blocked"), (count(.pending) + plan.count(.pending), "pending"),
      (count(.interrupted), "not begun"),
    ])
    let verb = outcome.wasInterrupted ? "Interrupted: " : "Applied: "
    return verb + (good.isEmpty ? "nothing" : good) + (bad.isEmpty ? "." : "; \(bad).")
      + (count(.unknown) + openDomains + openRepairs > 0 ? " The next apply continues what is unknown." : "")
      + (outcome.notShown.isEmpty && outcome.unshownDrivers.isEmpty
        ? "" : " The host has changed since the plan was shown; run berth apply again to see the new plan.")
  }

  /// Returns the failures of whole domains. A domain with a step of this result is left out, because that step counts.
  private func failures(inDomainsWithout result: StepResult) -> [OutcomeDetail] {
    outcome.domains.filter { domain in !domain.isLockBusy && !domain.steps.contains { $0.result == result } }
      .compactMap(\.failure)
  }
}

extension StepOutcome {
  /// Returns what a person can do about a refused step; nil if its reason has no name, or if nothing helps.
  func nextStep(in domain: Holder) -> String? { reason?.explanation.remedy?.text(device: device, in: domain) }
}
