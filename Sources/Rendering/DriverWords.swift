import Model
package import Planning

/// The words about drivers of devices.
package enum DriverWords {
  /// Returns on one line what happens to the device.
  package static func words(for step: DriverStep) -> String {
    var text: String
    switch step.kind {
    case .prepare:
      let source = step.driver.map { "take it from \($0), and give it to pciback" } ?? "give it to pciback"
      text = "prepare" + (step.domain.map { " for \($0.text)" } ?? "") + ": " + source
      if step.loadsPCIBack { text += "; pciback is loaded first" }
    case .release:
      text = "release: take it from pciback, and "
      text +=
        step.driver.map { "return it to \($0)" }
        ?? (step.isRecorded
          ? "leave it without a driver, as before"
          : "return it to the driver that xl noted, or else to any that wants it")
    }
    if let override = step.override { text += "; overridden by \(override.user): \(override.reason)" }
    if step.isResumed, step.evidence == nil { text += "; an ended run began that" }
    return text
  }

  /// Returns on one line what became of the step.
  package static func words(for outcome: DriverOutcome, _ place: HostPlace) -> String {
    var text: String
    switch (outcome.result, outcome.step.kind) {
    case (.done, .prepare): text = "prepared: pciback has it"
    case (.done, .release): text = "released" + (outcome.step.driver.map { ": \($0) has it" } ?? "")
    case (.unchanged, _): text = "unchanged"
    case (.failed, let kind): text = "\(kind.rawValue) failed"
    case (.unknown, let kind): text = "\(kind.rawValue) outcome unknown"
    case (.blocked, let kind): text = "\(kind.rawValue) refused"
    case (.pending, let kind): text = "\(kind.rawValue) pending"
    case (.interrupted, let kind): text = "\(kind.rawValue) not begun: interrupted"
    }
    if let detail = outcome.detail { text += ": " + place.text(of: detail) }
    return text + (outcome.isUndone ? " (undone)" : "")
  }
}

extension Columns {
  /// Writes the steps about drivers that a plan has.
  mutating func rows(forDrivers steps: [DriverStep], naming: DeviceNaming) {
    guard !steps.isEmpty else { return }
    heading("Drivers")
    for step in steps {
      row(
        step.kind == .prepare ? .add : .remove, step.device.description,
        Words.device(step.deviceID, label: step.label, naming: naming), DriverWords.words(for: step),
        notes: step.evidence.map { ["seen: \($0)"] } ?? [])
    }
  }

  /// Writes what became of such steps.
  mutating func rows(
    forDrivers outcomes: [DriverOutcome], _ place: HostPlace, naming: DeviceNaming, isVerbose: Bool
  ) {
    guard !outcomes.isEmpty else { return }
    heading("Drivers")
    for outcome in outcomes {
      var notes = isVerbose ? outcome.evidence.map { "proof: \($0)" } : []
      if let next = outcome.nextStep { notes.append("next: \(next)") }
      row(
        outcome.mark, outcome.step.device.description,
        Words.device(outcome.step.deviceID, label: outcome.step.label, naming: naming),
        DriverWords.words(for: outcome, place), notes: notes)
    }
  }
}

extension DriverOutcome {
  fileprivate var mark: Mark {
    switch result {
    case .done: step.kind == .prepare ? .add : .remove
    case .unchanged: .same
    case .failed, .blocked: .refuse
    case .unknown: .unsure
    case .pending, .interrupted: .wait
    }
  }
}
