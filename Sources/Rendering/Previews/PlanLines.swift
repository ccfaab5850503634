import Model
import Planning

/// A plan in lines, as previews show it: in parts, by what a reader does with a line.
struct PlanLines {
  /// One device, and what happens to it.
  struct Line: Hashable, Sendable {
    var mark: Mark
    /// The device's address; its name in the manifest if it was not found.
    var subject: String
    /// What the device is, or what the manifest says of it.
    var device: String
    /// The domain; empty if it stands above the line.
    var holder = ""
    /// The name of the reason; empty if `words` has it.
    var reason = ""
    var words: String
    /// What a person can do; nil if there is nothing to do.
    var next: String?
  }

  /// Lines under one title.
  struct Group: Hashable, Sendable {
    var title: String
    var about: String
    var lines: [Line]
  }

  /// What a reader does with a line that is no change.
  enum Part: Hashable, Sendable {
    /// A person has to act first.
    case blocked
    /// An apply does it once the domain can take it.
    case pending
    /// It stays as it is: a declared device that is as declared, or another one that is left alone.
    case unchanged
    /// It was seen, and leads to a change.
    case evidence
  }

  /// What an apply does, and what is left as found although stores disagree.
  private(set) var changes: [Group] = []
  private var parts: [Part: [Line]] = [:]

  /// Returns the lines of a page about many hosts: each names its host, and what an apply leaves as it is is left out.
  func of(host: String) -> PlanLines {
    func located(_ line: Line) -> Line {
      var line = line
      line.holder = line.holder.isEmpty ? host : "\(line.holder) on \(host)"
      return line
    }
    var lines = PlanLines()
    lines.changes = changes.map { Group(title: "\(host): \($0.title)", about: $0.about, lines: $0.lines) }
    for part in [Part.blocked, .pending] { lines.parts[part] = parts[part]?.map(located) }
    return lines
  }

  /// Returns the lines of a part, in the order of the domains.
  subscript(part: Part) -> [Line] { parts[part, default: []] }
}

extension PlanLines {
  init(_ plan: Plan, lock: LockReport?, naming: DeviceNaming) {
    self.init()
    var drift: [Line] = []
    for domain in plan.domains {
      var lines: [Line] = []
      for step in domain.steps { add(step, of: domain, to: &lines, drift: &drift, naming) }
      addWaits(of: domain)
      if lines.isEmpty { continue }
      let about = Words.domain(
        id: domain.id, kind: domain.kind, lifecycle: domain.lifecycle, stubDomain: domain.stubDomain)
      changes.append(Group(title: Words.holder(domain.holder), about: about, lines: lines))
    }
    let drivers = plan.driverSteps.map { step in
      Line(
        mark: step.kind == .prepare ? .add : .remove, subject: step.device.description,
        device: Words.device(step.deviceID, label: step.label, naming: naming), words: DriverWords.words(for: step))
    }
    for step in plan.driverSteps {
      if let seen = step.evidence { addEvidence(seen, step.device, step.domain?.text ?? "") }
    }
    drift += plan.hostSteps.map { step in
      Line(
        mark: .differ, subject: step.drift.device?.description ?? "domid \(step.drift.domain)", device: "",
        words: PlanView.words(for: step))
    }
    let locked = (lock?.differences ?? []).map { difference in
      Line(mark: .differ, subject: difference.label, device: "", words: difference.words)
    }
    let groups = [
      Group(title: "Drivers", about: "", lines: drivers), Group(title: "Drift", about: "", lines: drift),
      Group(title: "Lock", about: lock?.path ?? "", lines: locked),
    ]
    changes += groups.filter { !$0.lines.isEmpty }
  }

  private mutating func add(
    _ step: DeviceStep, of domain: DomainPlan, to lines: inout [Line], drift: inout [Line], _ naming: DeviceNaming
  ) {
    let holder = Words.holder(domain.holder)
    var line = Line(
      mark: Mark(step.kind), subject: step.device.description,
      device: Words.device(step.deviceID, label: step.label, naming: naming), words: PlanView.words(for: step))
    switch step.kind {
    case .blocked, .pending:
      line.holder = holder
      line.reason = step.reason.name
      line.words = (step.evidence ?? step.reason.explanation.meaning) + (step.isRequired ? "" : " (optional)")
      line.next = step.nextStep(in: domain.holder)
      parts[line.mark == .refuse ? .blocked : .pending, default: []].append(line)
    case .unchanged, .kept, .foreign:
      line.holder = holder
      parts[.unchanged, default: []].append(line)
    case .drift:
      line.holder = holder
      line.next = step.nextStep(in: domain.holder)
      drift.append(line)
    case .change(let change, _):
      if let seen = step.evidence { addEvidence(seen, step.device, holder) }
      if change.reason.isDrift {
        line.holder = holder
        drift.append(line)
      } else {
        lines.append(line)
      }
    }
  }

  private mutating func addEvidence(_ seen: String, _ device: PCIAddress, _ holder: String) {
    parts[.evidence, default: []].append(
      Line(mark: .none, subject: device.description, device: "", holder: holder, words: seen))
  }

  /// Adds the declared devices that were not found, and the run of Berth that is at work on the domain.
  private mutating func addWaits(of domain: DomainPlan) {
    let holder = Words.holder(domain.holder)
    for step in domain.unresolved {
      parts[.blocked, default: []].append(
        Line(
          mark: .refuse, subject: step.label, device: "\(step.selector)", holder: holder,
          reason: step.obstacle.rawValue, words: step.evidence + (step.isRequired ? "" : " (optional)"),
          next: step.nextStep))
    }
    if let run = domain.run {
      parts[.pending, default: []].append(
        Line(
          mark: .wait, subject: "run", device: "", holder: holder,
          words: "a run of Berth is at work on the domain: \(run)"))
    }
  }
}
