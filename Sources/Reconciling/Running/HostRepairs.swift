import Core

/// Mends what belongs to no living domain, and keeps Berth's own records.
struct HostRepairs {
  let host: Host

  /// Does what the schedule says. Returns one line per repair that was made, and one per failure.
  func apply(_ schedule: Schedule) -> (done: [String], failed: [OutcomeDetail]) {
    var (done, failed): ([String], [OutcomeDetail]) = ([], [])
    for step in schedule.hostSteps {
      do throws(HostError) {
        if let line = try repair(step) { done.append(line) }
      } catch {
        failed.append("\(step.drift.name.rawValue): \(error)")
      }
    }
    for change in schedule.bookkeeping {
      do throws(HostError) { try keep(change) } catch { failed.append("records: \(error)") }
    }
    return (done, failed)
  }

  /// Removes a back end or a claim, if its domain is still gone in the transaction that removes it.
  private func repair(_ step: HostStep) throws(HostError) -> String? {
    let domain = step.drift.domain
    let object = try host.tree.hasBackEndObject(for: domain)
    let store = try host.stores.connect()
    // The home of a domain that was destroyed without its toolstack stays. Reading it here makes the commit fail where a
    // domain of the same number is made after the hypervisor was asked.
    return try store.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<String?> in
      _ = try access.read(StorePath.home(domain).child("vm"))
      guard try host.hypervisor.domain(domain) == nil else { return .abort(nil) }
      switch step.kind {
      case .removeBackEnd:
        guard !object else { return .abort(nil) }
        try access.remove(.backEndHome(domain))
        return .commit("removed the back end of domain \(domain), which is gone")
      case .removeClaim(let device, _):
        guard try access.read(.claim(device)) == domain.description else { return .abort(nil) }
        try access.remove(.claim(device))
        return .commit("removed the claim on \(device) by domain \(domain), which is gone")
      case .drift: return .abort(nil)
      }
    }
  }

  private func keep(_ change: RecordChange) throws(HostError) {
    if case .forget(let uuid, let device) = change { return try forget(device, of: uuid) }
    switch change {
    case .gone(let uuid, let since): try host.ownership.update(uuid) { $0?.goneSince = since }
    case .returned(let uuid): try host.ownership.update(uuid) { $0?.goneSince = nil }
    case .collect(let uuid): try host.ownership.update(uuid) { $0 = nil }
    case .forget: break
    case .discard(let identifier): try host.intents.discard(identifier: identifier)
    }
  }

  /// Takes a device that the domain no longer has out of its record.
  ///
  /// Another run may be attaching it since this one looked. It has its intent on disk before it touches the record and
  /// until the entry is in the back end, so looking for both before and after tells: what it relies on is put back.
  func forget(_ device: PCIAddress, of uuid: DomainUUID) throws(HostError) {
    guard try !isInUse(device, by: uuid) else { return }
    var name: String?
    var exports: [ExportRecord] = []
    var emulations: [EmulationRecord] = []
    try host.ownership.update(uuid) { record in
      name = record?.name
      exports = record?.exports.filter { $0.device == device } ?? []
      emulations = record?.emulations.filter { $0.device == device } ?? []
      record?.devices.removeAll { $0 == device }
      // Its place in the guest is another device's by now, or will be.
      record?.exports.removeAll { $0.device == device }
      record?.emulations.removeAll { $0.device == device }
      if record?.devices.isEmpty == true, record?.emulations.isEmpty == true { record = nil }
    }
    guard let name, try isInUse(device, by: uuid) else { return }
    try host.ownership.update(uuid) { record in
      var mended = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
      mended.devices = Set(mended.devices).union([device]).sorted()
      if !mended.exports.contains(where: { $0.device == device }) { mended.exports += exports }
      if !mended.emulations.contains(where: { $0.device == device }) { mended.emulations += emulations }
      record = mended
    }
  }

  /// Whether a run means to give the device to the domain, or the domain's back end lists it.
  private func isInUse(_ device: PCIAddress, by uuid: DomainUUID) throws(HostError) -> Bool {
    // The intents first: one that has ended meanwhile left its entry.
    let intents = try host.intents.intents()
    if intents.contains(where: { $0.domain.uuid == uuid && $0.devices.contains(device) }) { return true }
    let domains = try host.hypervisor.domains()
    guard let domain = domains.first(where: { $0.uuid == uuid })?.id else { return false }
    return try host.stores.connect().transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Bool> in
      // An HVM guest's devices may be on its stub domain's bus.
      let stub = try access.read(.stubDomain(of: domain)).flatMap { decimal($0) }.map { DomainID(UInt32($0)) }
      for domain in [domain, stub].compactMap(\.self) where domain != .zero {
        let bus = try BusReader(domain: domain).read { (path) throws(HostError) in try access.read(path) }
        if bus.entry(for: device) != nil { return .abort(true) }
      }
      return .abort(false)
    }
  }
}
