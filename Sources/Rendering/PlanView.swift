package import Model
package import Planning

/// A plan, for people and for programs.
package struct PlanView: View {
  package var plan: Plan
  /// What the manifest's reader remarked.
  package var warnings: [String]
  /// In what the host differs from its lock; nil if it has none.
  let lock: LockReport?
  let naming: DeviceNaming
  /// What `apply --expect` takes; nil if nobody needs it.
  let fingerprint: String?
  /// Where the manifests declare the devices; only previews show it.
  let declarations: Declarations

  package init(
    plan: Plan, warnings: [String] = [], lock: LockReport? = nil, fingerprint: String? = nil,
    naming: @escaping DeviceNaming = { _ in nil }, declarations: Declarations = Declarations()
  ) {
    self.plan = plan
    self.warnings = warnings
    self.lock = lock
    self.fingerprint = fingerprint
    self.naming = naming
    self.declarations = declarations
  }

  package var document: PlanDocument {
    PlanDocument(plan, warnings: warnings, lock: lock, fingerprint: fingerprint, naming: naming)
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    for domain in plan.domains { write(domain, to: &columns, style: style) }
    columns.rows(forDrivers: plan.driverSteps, naming: naming)
    writeDrift(to: &columns, style: style)
    columns.rows(forLock: lock)

    var result: TerminalText = "\(style.printable(header))\n"
    if !plan.otherSets.isEmpty {
      let others = plan.otherSets.joined(separator: ", ")
      result += "\(style.printable("Set \(plan.set). Other sets own devices here, and keep them: \(others)."))\n"
    }
    if !columns.isEmpty { result += "\n\(columns.rendered())" }
    result += "\n\(style.printable(summary))\n"
    if style.isVerbose, let fingerprint { result += "\(style.printable("Fingerprint: \(fingerprint)"))\n" }
    return result
  }

  /// `host17 · Xen 4.17.7 · 4 domains, 11 devices`.
  var header: String {
    Words.host(plan.host, domains: plan.domainCount, devices: plan.deviceCount)
  }

  private func write(_ domain: DomainPlan, to columns: inout Columns, style: TextStyle) {
    let steps = domain.steps.filter { Self.isShown($0, style) && !Self.isDrift($0) }
    guard !steps.isEmpty || domain.run != nil || !domain.unresolved.isEmpty else { return }
    columns.heading(
      Words.holder(domain.holder),
      Words.domain(id: domain.id, kind: domain.kind, lifecycle: domain.lifecycle, stubDomain: domain.stubDomain))
    columns.row(forRun: domain.run)
    let notes = steps.map { Self.notes(for: $0, in: domain.holder, style) }
    for (position, step) in steps.enumerated() {
      // What holds for several lines is said once, below the last of them.
      let isRepeated = position + 1 < steps.count && notes[position + 1] == notes[position]
      columns.row(
        Mark(step.kind), step.device.description, Words.device(step.deviceID, label: step.label, naming: naming),
        Self.words(for: step), notes: isRepeated ? [] : notes[position])
    }
    columns.rows(forUnresolved: domain.unresolved)
  }

  private func writeDrift(to columns: inout Columns, style: TextStyle) {
    let drift = plan.domains.flatMap { domain in domain.steps.filter(Self.isDrift).map { (domain.holder, $0) } }
    guard !drift.isEmpty || !plan.hostSteps.isEmpty else { return }
    columns.heading("Drift")
    for (holder, step) in drift {
      columns.row(
        Mark(step.kind), step.device.description, Words.holder(holder), Self.words(for: step),
        notes: Self.notes(for: step, in: holder, style))
    }
    for step in plan.hostSteps {
      columns.row(
        .differ, step.drift.device?.description ?? "domid \(step.drift.domain)", "", Self.words(for: step))
    }
  }

  static func words(for step: HostStep) -> String {
    let name = step.drift.name
    let texts = name.explanation
    return "\(name.rawValue): \(step.evidence.isEmpty ? texts.meaning : step.evidence); "
      + (step.isChange ? done(texts) : "left as it is")
  }

  /// Returns whether a step is shown. What is as declared is shown only on request.
  private static func isShown(_ step: DeviceStep, _ style: TextStyle) -> Bool {
    style.isVerbose || step.kind != .unchanged && step.kind != .kept(.otherSet)
  }

  /// Returns whether a step follows from stores that disagree. It is shown apart from what the manifest asks for.
  private static func isDrift(_ step: DeviceStep) -> Bool {
    switch step.kind {
    case .change(let change, _): change.reason.isDrift
    case .drift: true
    case .unchanged, .kept, .foreign, .blocked, .pending: false
    }
  }

  /// Returns on one line what happens to the device, and why.
  static func words(for step: DeviceStep) -> String {
    let reason = step.reason
    let found = step.evidence ?? reason.explanation.meaning
    switch step.kind {
    case .change(let change, let target):
      return ([words(for: change, in: target, reason, step.evidence)] + step.effects).joined(separator: "; ")
    case .drift: return "\(reason.name): \(found); left as it is"
    case .unchanged: return "as declared"
    case .kept(.pruneNever): return "kept: not declared any more, but policy.prune is never"
    case .kept(.otherSet): return "kept: \(found)"
    case .foreign: return "foreign: neither declared nor attached by Berth; left alone"
    case .blocked: return "blocked: \(reason.name), \(found)" + (step.isRequired ? "" : " (optional)")
    case .pending: return "pending: \(reason.name), \(found)"
    }
  }

  private static func words(
    for change: Change, in target: DomainTarget, _ reason: Reason, _ evidence: String?
  ) -> String {
    let mode = ", \(target.mode.rawValue)"
    let meaning = reason.explanation.meaning
    /// Returns a text that begins with the disagreement, because the change is made for it.
    func drifted(_ text: String) -> String { "\(reason.name): \(evidence ?? meaning) (\(text))" }
    switch change {
    case .attach(let options, _):
      let unusual = Words.unusualOptions(options)
      let text = "attach" + mode + (unusual.isEmpty ? "" : ", \(unusual)")
      return reason.isDrift ? drifted(text) : text
    case .detach: return reason.isDrift ? drifted("detach") : "detach: \(meaning)"
    case .reattach(let old, let new, _):
      if reason.isDrift { return drifted("detach, attach") }
      let changes = old.map { Words.optionChanges(from: $0, to: new) } ?? ""
      return (changes.isEmpty ? meaning : changes) + " (detach, attach)"
    case .move(let source, _): return "move here from \(Words.holder(source.holder))" + mode
    case .repair(let repair):
      return "\(reason.name): \(evidence ?? meaning); " + done(repair.drift.explanation)
    case .adopt: return "adopt: already attached; only Berth's record changes"
    }
  }

  /// Returns what an apply does for a step that is a repair or a removal.
  private static func done(_ texts: Explanation) -> String { "Berth " + (texts.action ?? "repairs it") }

  private static func notes(for step: DeviceStep, in domain: Holder, _ style: TextStyle) -> [String] {
    switch step.kind {
    case .change(.repair, _), .unchanged, .kept, .foreign: return []
    case .change:
      guard style.isVerbose, let evidence = step.evidence else { return [] }
      return ["seen: \(evidence)"]
    case .blocked, .pending, .drift:
      return step.nextStep(in: domain).map { ["next: \($0)"] } ?? []
    }
  }

  /// The numbers of changes, and of what is left; empty if there are none.
  private var counts: (changes: String, rest: String) {
    let repairs = plan.count(.repair) + plan.hostSteps.count { $0.isChange }
    let changes = Words.counts([
      (plan.count(.attach), "to attach"), (plan.count(.detach), "to detach"), (plan.count(.reattach), "to change"),
      (plan.count(.move), "to move"), (repairs, "to repair"), (plan.count(.adopt), "to adopt"),
      (plan.driverSteps.count { $0.kind == .prepare }, "to prepare"),
      (plan.driverSteps.count { $0.kind == .release }, "to release"),
    ])
    let rest = Words.counts([
      (plan.count(.blocked), "blocked"), (plan.count(.pending), "pending"), (plan.count(.foreign), "foreign"),
      (plan.steps.count { $0.kind == .kept(.pruneNever) }, "kept by policy.prune"),
      (plan.count(.drift) + plan.hostSteps.count { !$0.isChange }, "left as found"),
    ])
    return (changes, rest)
  }

  /// The numbers of the plan as a title has them, whether it is refused or not.
  var figures: String {
    let (changes, rest) = counts
    return (plan.refusal == nil ? "" : "refused; ") + (changes.isEmpty ? "nothing to do" : changes)
      + (rest.isEmpty ? "" : "; \(rest)")
  }

  /// Returns the result of the whole plan, in one sentence.
  var summary: String {
    let (changes, rest) = counts
    let kept = plan.count(.keep) - plan.steps.count { $0.kind.isKept }
    if let refusal = plan.refusal { return refusal.sentence }
    guard changes.isEmpty else { return "Plan: " + changes + (rest.isEmpty ? "." : "; \(rest).") }
    let reason =
      kept > 0
      ? ": \(Words.count(kept, "device is", "devices are")) as declared"
      : !rest.isEmpty
        ? ""
        : plan.otherSets.isEmpty
          ? ": no device is declared, and Berth has attached none" : ": no device is declared, and this set owns none"
    return "Nothing to do" + reason + (rest.isEmpty ? "." : "; \(rest).")
  }
}

extension DomainPlan {
  /// The domain's name and number.
  var holder: Holder { Holder(id: id, name: name) }
}

extension DomainTarget {
  /// The domain's name and number.
  var holder: Holder { Holder(id: key.id, name: name) }
}

extension DeviceStep {
  /// Returns what a person can do about the step; nil if there is nothing to do.
  func nextStep(in domain: Holder) -> String? {
    remedy ?? reason.explanation.remedy?.text(device: device, in: domain)
  }
}

extension UnresolvedStep {
  /// What a person can do about the step; nil if there is nothing to do.
  var nextStep: String? { remedy ?? obstacle.explanation.remedy?.text() }
}

extension Columns {
  /// Writes the declared devices that were not found, each under its name in the manifest.
  mutating func rows(forUnresolved steps: [UnresolvedStep]) {
    for step in steps {
      row(
        .refuse, step.label, "\(step.selector)",
        "blocked: \(step.obstacle.rawValue), \(step.evidence)" + (step.isRequired ? "" : " (optional)"),
        notes: step.nextStep.map { ["next: \($0)"] } ?? [])
    }
  }

  /// Writes that a run of Berth is at work on the domain, if one is.
  mutating func row(forRun run: RunHolder?) {
    if let run { row(.wait, "run", "", "a run of Berth is at work on the domain: \(run)") }
  }
}

extension Words {
  /// `host17 · Xen 4.17.7 · 4 domains, 11 devices`.
  static func host(_ host: HostFacts, domains: Int, devices: Int) -> String {
    var parts = [host.name]
    parts.append(host.xenVersion.map { "Xen \($0)" } ?? "Xen version unknown")
    if host.hasIOMMU == false { parts.append("no IOMMU") }
    if !host.hasPCIBack { parts.append("pciback not loaded") }
    parts.append(Words.count(domains, "domain") + ", " + Words.count(devices, "device"))
    return parts.joined(separator: " · ")
  }
}
