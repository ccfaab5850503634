package import Core

/// A plan, for people and for programs.
package struct PlanView: View {
  package var plan: Plan
  /// What the manifest's reader remarked.
  package var warnings: [String]
  private let naming: DeviceNaming

  package init(plan: Plan, warnings: [String] = [], naming: @escaping DeviceNaming = { _ in nil }) {
    self.plan = plan
    self.warnings = warnings
    self.naming = naming
  }

  package var document: PlanDocument { PlanDocument(plan, warnings: warnings, naming: naming) }

  package func text(_ style: TextStyle) -> String {
    var columns = Columns(style: style)
    for domain in plan.domains { write(domain, to: &columns, style: style) }
    writeDrift(to: &columns, style: style)

    var result = style.printable(header) + "\n\n"
    if !columns.isEmpty { result += columns.rendered() + "\n" }
    return result + style.printable(summary) + "\n"
  }

  /// `host17 · Xen 4.17.7 · 4 domains, 11 devices`.
  private var header: String {
    Words.host(plan.host, domains: plan.domainCount, devices: plan.deviceCount)
  }

  private func write(_ domain: DomainPlan, to columns: inout Columns, style: TextStyle) {
    let steps = domain.steps.filter { Self.isShown($0, style) && !Self.isDrift($0) }
    guard !steps.isEmpty || domain.run != nil else { return }
    columns.heading(
      domain.name,
      Words.domain(id: domain.id, kind: domain.kind, lifecycle: domain.lifecycle, stubDomain: domain.stubDomain))
    columns.row(forRun: domain.run)
    let notes = steps.map { Self.notes(for: $0, in: domain.name, style) }
    for (position, step) in steps.enumerated() {
      // What holds for several lines is said once, below the last of them.
      let isRepeated = position + 1 < steps.count && notes[position + 1] == notes[position]
      columns.row(
        Mark(step.action), step.device.description, Words.device(step.id, label: step.label, naming: naming),
        Self.words(for: step), notes: isRepeated ? [] : notes[position])
    }
  }

  private func writeDrift(to columns: inout Columns, style: TextStyle) {
    let drift = plan.domains.flatMap { domain in domain.steps.filter(Self.isDrift).map { (domain.name, $0) } }
    guard !drift.isEmpty || !plan.hostDrift.isEmpty else { return }
    columns.heading("Drift")
    for (name, step) in drift {
      columns.row(
        Mark(step.action), step.device.description, name, Self.words(for: step),
        notes: Self.notes(for: step, in: name, style))
    }
    for drift in plan.hostDrift {
      columns.row(
        .differ, drift.device?.description ?? drift.domain.map { "domid \($0)" } ?? "", "", Self.words(for: drift))
    }
  }

  static func words(for drift: HostDrift) -> String {
    "\(drift.kind.rawValue): \(drift.evidence.isEmpty ? drift.kind.reason.meaning : drift.evidence)"
      + (drift.isRepaired ? "" : ", left as it is")
  }

  /// What is as declared is shown on demand only.
  private static func isShown(_ step: PlannedStep, _ style: TextStyle) -> Bool {
    style.isVerbose || step.action != .keep
  }

  /// What follows from stores that disagree stands apart from what the manifest asks for.
  private static func isDrift(_ step: PlannedStep) -> Bool {
    step.action == .repair || step.action == .drift || step.action.isChange && step.reason.isDrift
  }

  /// What happens to the device and why, on one line.
  static func words(for step: PlannedStep) -> String {
    let mode = step.mode.map { ", \($0.rawValue)" } ?? ""
    let found = step.evidence ?? step.reason.meaning
    var text: String
    switch step.action {
    case .attach:
      let options = Words.unusualOptions(step.after)
      text = "attach" + mode + (options.isEmpty ? "" : ", \(options)")
      if step.reason.isDrift { text = "\(step.reason.rawValue): \(found) (\(text))" }
    case .detach where step.reason.isDrift: text = "\(step.reason.rawValue): \(found) (detach)"
    case .detach: text = "detach: \(step.reason.meaning)"
    case .reattach where step.reason.isDrift: text = "\(step.reason.rawValue): \(found) (detach, attach)"
    case .reattach:
      let changes = step.before.flatMap { before in step.after.map { Words.optionChanges(from: before, to: $0) } } ?? ""
      text = (changes.isEmpty ? step.reason.meaning : changes) + " (detach, attach)"
    case .move: text = "move here from \(step.from ?? "another domain")" + mode
    case .repair:
      text = "\(step.reason.rawValue): " + (step.evidence ?? "\(step.reason.meaning), \(step.reason.repair)")
    case .drift: text = "\(step.reason.rawValue): \(found), left as it is"
    case .adopt: text = "adopt: attached already, only Berth's record changes"
    case .keep: text = "as declared"
    case .foreign: text = "foreign: not declared and not Berth's, left alone"
    case .blocked:
      text = "blocked: \(step.reason.rawValue), \(found)"
      if !step.isRequired { text += " (optional)" }
    case .pending: text = "pending: \(step.reason.rawValue), \(found)"
    }
    if step.action.isChange {
      for effect in step.effects { text += "; \(effect)" }
      if !step.isReversible { text += "; cannot be undone" }
    }
    return text
  }

  private static func notes(for step: PlannedStep, in domain: String, _ style: TextStyle) -> [String] {
    var notes: [String] = []
    if style.isVerbose, let evidence = step.evidence, step.action.isChange, step.action != .repair {
      notes.append("seen: \(evidence)")
    }
    switch step.action {
    case .blocked, .pending, .drift:
      if let remedy = step.remedy ?? step.reason.remedy(device: step.device, domain: domain) {
        notes.append("next: \(remedy)")
      }
    case .attach, .detach, .reattach, .move, .repair, .adopt, .keep, .foreign: break
    }
    return notes
  }

  /// What the whole plan comes to, in one sentence.
  var summary: String {
    let repairs = plan.count(.repair) + plan.hostDrift.count { $0.isRepaired }
    let changes = Words.counts([
      (plan.count(.attach), "to attach"), (plan.count(.detach), "to detach"), (plan.count(.reattach), "to change"),
      (plan.count(.move), "to move"), (repairs, "to repair"), (plan.count(.adopt), "to adopt"),
    ])
    let rest = Words.counts([
      (plan.count(.blocked), "blocked"), (plan.count(.pending), "pending"), (plan.count(.foreign), "foreign"),
      (plan.count(.drift) + plan.hostDrift.count { !$0.isRepaired }, "left as found"),
    ])
    let kept = plan.count(.keep)
    if plan.isRefused {
      return "Refused: more devices would be removed than policy.maxRemovals allows; nothing of this plan is applied."
    }
    guard changes.isEmpty else { return "Plan: " + changes + (rest.isEmpty ? "." : "; \(rest).") }
    let reason =
      kept > 0
      ? ": \(Words.count(kept, "device is", "devices are")) as declared"
      : rest.isEmpty ? ": no device is declared, and Berth has attached none" : ""
    return "Nothing to do" + reason + (rest.isEmpty ? "." : "; \(rest).")
  }
}

extension Columns {
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
