import Model
import Planning
import Ports
import XenProtocol

extension DomainWorker {
  /// Mends stores that disagree about devices, under the lock and on what one transaction reads.
  func repair(_ steps: [RepairWork]) throws(Stop) {
    guard !steps.isEmpty else { return }
    let devices = Set(steps.map(\.device)).sorted()
    let results = try locked { (userdata) throws(HostError) -> [StepResult]? in
      guard case .present(let saved) = try savedConfiguration(userdata) else { return nil }
      let view = try transact(claimsOn: devices) { view -> (DomainView, [StoreEdit]) in
        let claims = steps.filter { $0.writesClaim(of: key.id, in: view) }
        let settles = steps.contains { $0.repair == .settleBus } && view.backEnd.condition == .holding
        let settling = settles ? view.backEnd.settlingAtRest() : []
        return (view, claims.map { .write(.claim($0.device), key.id.description) } + settling)
      }
      guard let view else { return nil }
      var mended = saved
      var results: [StepResult] = []
      for step in steps {
        let entry = view.backEnd.entry(for: step.device)
        switch step.repair {
        case .saveEntry:
          guard let entry else {
            results.append(.unchanged)
            continue
          }
          mended = try adding([SavedDevice(address: step.device, options: entry.options)], to: mended)
          results.append(.done)
        case .dropSavedEntry:
          guard entry == nil, view.claims[step.device] != key.id else {
            results.append(.unchanged)
            continue
          }
          mended = try removing([step.device], from: mended)
          results.append(.done)
        case .settleBus: results.append(.done)
        case .writeClaim: results.append(step.writesClaim(of: key.id, in: view) ? .done : .unchanged)
        }
      }
      try save(mended, over: saved, userdata)
      return results
    }
    guard let results else { return conclude(steps, .pending, "the domain is being built, or is going") }
    // Saved alone, they are no longer Berth's either: another toolstack has detached them. Not while another run is about
    // to list them: it has recorded them before it saved them.
    do throws(HostError) {
      for (step, result) in zip(steps, results) where step.repair == .dropSavedEntry && result == .done {
        try HostRepairs(host: host).forget(step.device, of: key.uuid)
      }
    } catch { throw .failed(error) }
    for (step, result) in zip(steps, results) { conclude([step], result) }
  }

  /// Writes the claims that listed devices lack: another toolstack's failing attach takes away whatever claim there is.
  func renewClaims(_ steps: [some DeviceWork]) throws(Stop) {
    var unclaimed: [RepairWork] = []
    for step in steps where try read(.claim(step.device)) == nil {
      unclaimed.append(
        RepairWork(device: step.device, repair: .writeClaim(replacing: nil), isRequired: step.isRequired))
    }
    try repair(unclaimed)
  }

  /// Records devices that are there already as Berth's own.
  func adopt(_ steps: [Adoption]) throws(Stop) {
    guard !steps.isEmpty else { return }
    try record { $0.formUnion(steps.map(\.device)) }
    let bus = try look().backEnd
    try recordExports(steps.compactMap { bus.entry(for: $0.device) }.filter(\.isExported))
    conclude(steps, .done, evidence: ["recorded; nothing else changed"])
  }

  /// Removes what dead runs wrote about devices whose state is known now.
  func discardSettledIntents() throws(Stop) {
    guard outcome.failure == nil else { return }
    do throws(HostError) {
      for intent in try intents() where intent.domain == key && !intent.isLive {
        guard try areSettled(intent.devices) else { continue }
        try host.intents.discard(identifier: intent.identifier)
      }
    } catch {
      throw .failed(error)
    }
  }

  func intents() throws(HostError) -> [Intent] {
    try host.intents.intents()
  }

  /// Whether nothing of these devices is left that only an intent tells of: this run has proven what became of them, or
  /// the bus lists them, or Xen has them back.
  private func areSettled(_ devices: [PCIAddress]) throws(HostError) -> Bool {
    let results = outcome.steps.filter { devices.contains($0.device) }
    guard results.allSatisfy({ $0.result == .done || $0.result == .unchanged }) else { return false }
    let rest = Set(devices).subtracting(results.map(\.device))
    guard !rest.isEmpty else { return true }
    guard let bus = try transact({ ($0.backEnd, []) }) else { return false }
    for device in rest {
      if let entry = bus.entry(for: device) {
        if entry.isMarked { return false }
        continue
      }
      let probe = try host.hypervisor.probe(device, for: nil)
      guard probe == .free else { return false }
    }
    return true
  }
}

extension RepairWork {
  /// Returns whether the claim is to be written, by what this transaction read.
  fileprivate func writesClaim(of domain: DomainID, in view: DomainView) -> Bool {
    guard case .writeClaim = repair else { return false }
    return view.backEnd.entry(for: device) != nil && view.claims[device] != domain
  }
}
