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
      let dropped = steps.filter { $0.repair == .dropSavedEntry && !parts.session.route.hasFrontEndDriver }
      let decision = try lock.decideExport(claimsOn: devices, asking: dropped.map(\.device)) {
        view, pciback -> (Found, [StoreEdit]) in
        let unclaimed = steps.filter { $0.writesClaim(of: parts.session.key.id, in: view) }
        let isDue = steps.contains { $0.repair == .settleBus } && view.backEnd.condition == .holding
        let settling =
          isDue ? BusHolds(view.backEnd, pciback.history).settling(exportable: pciback.exportable) : nil
        let claims = unclaimed.map { StoreEdit.write(.claim($0.device), parts.session.key.id.description) }
        let found = Found(view: view, history: pciback.history, isSettled: settling != nil)
        return (found, claims + (settling ?? []))
      }
      guard let found = decision else { return nil }
      let view = found.view
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
          guard !found.mayBeHeld(step.device) else {
            results.append(.blocked)
            continue
          }
          repaired = try repaired.without([step.device])
          results.append(.done)
        case .settleBus: results.append(found.isSettled ? .done : view.backEnd.isUnsettled ? .blocked : .unchanged)
        case .writeClaim: results.append(step.writesClaim(of: parts.session.key.id, in: view) ? .done : .unchanged)
        }
      }
      try lock.replace(saved, with: repaired)
      return results
    }
    guard let results else { return parts.report.conclude(steps, .pending, OutcomeDetail(.domainInTransition)) }
    // Saved alone, they are no longer Berth's either: another toolstack has detached them. Not while another run is
    // about to list them: it has recorded them before it saved them.
    do throws(HostError) {
      for (step, result) in zip(steps, results) where step.repair == .dropSavedEntry && result == .done {
        try parts.records.forgetDetached(step.device)
      }
    } catch { throw .host(error) }
    for (step, result) in zip(steps, results) {
      let detail = result == .blocked ? OutcomeDetail(.mayBeHeld) : nil
      parts.report.conclude([step], result, detail)
    }
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

/// What a repair's transaction found and wrote.
private struct Found {
  let view: DomainView
  let history: ExportHistory
  /// Whether it wrote that pciback acts on the bus again.
  let isSettled: Bool

  /// Whether pciback may hold a device that the bus does not list. Then the saved line is the only trace of it.
  func mayBeHeld(_ device: PCIAddress) -> Bool {
    guard !view.backEnd.hasFrontEndDriver, !view.backEnd.isGoing else { return false }
    return BusHolds(view.backEnd, history).hold(of: device) != .none
  }
}

extension RepairWork {
  /// Returns whether the claim is to be written, by what this transaction read.
  fileprivate func writesClaim(of domain: DomainID, in view: DomainView) -> Bool {
    guard case .writeClaim = repair else { return false }
    return view.backEnd.entry(for: device) != nil && view.claims[device] != domain
  }
}
