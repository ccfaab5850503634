import Model
import Planning
import Ports
import XenProtocol

/// Repairs stores that disagree about devices.
struct RepairPhase {
  let parts: DomainParts

  /// Repairs them under the lock, and on what one transaction reads.
  func repair(_ steps: [RepairWork]) throws(EngineError) {
    guard !steps.isEmpty else { return }
    let devices = Set(steps.map(\.device)).sorted()
    let results = try parts.session.locked { (lock) throws(HostError) -> [StepResult]? in
      guard case .present(let saved) = try lock.savedConfiguration() else { return nil }
      let decision = try lock.decide(claimsOn: devices) { view -> ((view: DomainView, settles: Bool), [StoreEdit]) in
        let unclaimed = steps.filter { $0.writesClaim(of: parts.session.key.id, in: view) }
        let settles = steps.contains { $0.repair == .settleBus } && view.backEnd.condition == .holding
        let settling = settles ? view.backEnd.settlingAtRest() : []
        let claims = unclaimed.map { StoreEdit.write(.claim($0.device), parts.session.key.id.description) }
        return ((view, settles), claims + settling)
      }
      guard let (view, settles) = decision else { return nil }
      var repaired = saved
      var results: [StepResult] = []
      for step in steps {
        let entry = view.backEnd.entry(for: step.device)
        switch step.repair {
        case .saveEntry:
          guard let entry else {
            results.append(.unchanged)
            continue
          }
          repaired = try repaired.with([SavedDevice(address: step.device, options: entry.options)])
          results.append(.done)
        case .dropSavedEntry:
          guard entry == nil, view.claims[step.device] != parts.session.key.id else {
            results.append(.unchanged)
            continue
          }
          repaired = try repaired.without([step.device])
          results.append(.done)
        case .settleBus: results.append(settles ? .done : .unchanged)
        case .writeClaim: results.append(step.writesClaim(of: parts.session.key.id, in: view) ? .done : .unchanged)
        }
      }
      try lock.replace(saved, with: repaired)
      return results
    }
    guard let results else { return parts.report.conclude(steps, .pending, "the domain is being created or destroyed") }
    // Saved alone, they are no longer Berth's either: another toolstack has detached them. Not while another run is
    // about to list them: it has recorded them before it saved them.
    do throws(HostError) {
      for (step, result) in zip(steps, results) where step.repair == .dropSavedEntry && result == .done {
        try parts.records.forgetDetached(step.device)
      }
    } catch { throw .host(error) }
    for (step, result) in zip(steps, results) { parts.report.conclude([step], result) }
  }

  /// Writes the claims that listed devices lack: another toolstack's failing attach removes any claim on its device.
  func renewClaims(_ steps: [some DeviceWork]) throws(EngineError) {
    var unclaimed: [RepairWork] = []
    for step in steps where try parts.session.read(.claim(step.device)) == nil {
      unclaimed.append(
        RepairWork(device: step.device, repair: .writeClaim(replacing: nil), isRequired: step.isRequired))
    }
    try repair(unclaimed)
  }
}

extension RepairWork {
  /// Returns whether the claim is to be written, by what this transaction read.
  fileprivate func writesClaim(of domain: DomainID, in view: DomainView) -> Bool {
    guard case .writeClaim = repair else { return false }
    return view.backEnd.entry(for: device) != nil && view.claims[device] != domain
  }
}
