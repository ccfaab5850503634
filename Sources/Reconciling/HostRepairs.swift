import Core

/// Mends what belongs to no living domain, and keeps Berth's own records.
struct HostRepairs {
  let host: Host

  /// Does what the plan says; returns one line for each thing done or not done.
  func apply(_ plan: Plan) -> [String] {
    var lines: [String] = []
    for drift in plan.hostDrift where drift.isRepaired {
      do throws(HostError) {
        if let line = try mend(drift) { lines.append(line) }
      } catch {
        lines.append("\(drift.kind.rawValue): not mended: \(error.summary)")
      }
    }
    for change in plan.bookkeeping {
      do throws(RecordError) { try keep(change) } catch {
        lines.append("records: \(HostError.record(error).summary)")
      }
    }
    return lines
  }

  /// Removes a back end or a claim, if its domain is still gone in the transaction that removes it.
  private func mend(_ drift: HostDrift) throws(HostError) -> String? {
    guard let domain = drift.domain else { return nil }
    let known = try asHostError { () throws(HypervisorError) in try host.hypervisor.domain(domain) }
    guard known == nil else { return nil }
    let object = try asHostError { () throws(DeviceTreeError) in try host.tree.hasBackEndObject(for: domain) }
    let store = try asHostError { () throws(StoreError) in try host.stores.connect() }
    return try asHostError { () throws(StoreError) in
      try store.transaction { (access) throws(StoreError) -> StoreDecision<String?> in
        guard try access.read(StorePath.home(domain).child("vm")) == nil else { return .abort(nil) }
        switch (drift.kind, drift.device) {
        case (.leakedBackEnd, _):
          guard !object else { return .abort(nil) }
          try access.remove(.backEndHome(domain))
          return .commit("removed the back end of domain \(domain), which is gone")
        case (.staleClaim, let device?):
          guard try access.read(.claim(device)) == domain.description else { return .abort(nil) }
          try access.remove(.claim(device))
          return .commit("removed the claim on \(device) by domain \(domain), which is gone")
        case (.staleClaim, nil): return .abort(nil)
        }
      }
    }
  }

  private func keep(_ change: RecordChange) throws(RecordError) {
    switch change {
    case .gone(let uuid, let since): try host.ownership.update(uuid) { $0?.goneSince = since }
    case .returned(let uuid): try host.ownership.update(uuid) { $0?.goneSince = nil }
    case .collect(let uuid): try host.ownership.update(uuid) { $0 = nil }
    case .forget(let uuid, let device):
      try host.ownership.update(uuid) { record in
        record?.devices.removeAll { $0 == device }
        if record?.devices.isEmpty == true { record = nil }
      }
    case .discard(let identifier): try host.intents.discard(identifier: identifier)
    }
  }
}
