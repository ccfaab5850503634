import Model
import Planning
import Ports
import XenProtocol

/// Repairs what belongs to no living domain, and maintains Berth's own records.
struct HostRepairs {
  let host: Host

  /// Does what the schedule says. Returns one line per repair that was made, and one per failure.
  func apply(_ schedule: Schedule) -> (done: [String], failed: [OutcomeDetail]) {
    var (done, failed): ([String], [OutcomeDetail]) = ([], [])
    for step in schedule.hostSteps {
      do throws(HostError) {
        if let line = try repair(step) { done.append(line) }
      } catch {
        failed.append(OutcomeDetail(.hostRepairFailed, step.drift.name.rawValue, error))
      }
    }
    for change in schedule.bookkeeping {
      do throws(HostError) { try keep(change) } catch { failed.append(OutcomeDetail(.recordsFailed, error)) }
    }
    return (done, failed)
  }

  /// Removes a back end or a claim, if its domain is still gone in the transaction that removes it.
  private func repair(_ step: HostStep) throws(HostError) -> String? {
    let domain = step.drift.domain
    let store = try host.stores.connect()
    // If a domain is destroyed without its toolstack, its home stays. Reading the home here makes the commit fail if a
    // domain of the same number was created after the hypervisor was asked.
    return try store.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<String?> in
      _ = try access.read(StorePath.home(domain).child("vm"))
      guard try host.hypervisor.domain(domain) == nil else { return .abort(nil) }
      switch step.kind {
      case .removeBackEnd:
        guard try !host.tree.hasBackEndObject(for: domain) else { return .abort(nil) }
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
    let care = RecordCare(host: host)
    switch change {
    case .forget(let uuid, let device): try care.forget(device, of: uuid)
    case .granted(let uuid, let device): try care.recordGrant(of: device, to: uuid)
    case .gone(let uuid, let since): try host.ownership.update(uuid) { $0?.goneSince = since }
    case .returned(let uuid): try host.ownership.update(uuid) { $0?.goneSince = nil }
    case .collect(let uuid): try host.ownership.update(uuid) { $0 = nil }
    case .discard(let identifier): try host.intents.discard(identifier: identifier)
    case .bind(let device, let identifier): try finishRebind(of: device, identifier)
    }
  }

  /// Binds a device to pciback if it still has no driver, and discards the intent that names it.
  ///
  /// A device that is not the recorded one is left alone: somebody has replaced the card.
  ///
  /// If the kernel refuses, the intent goes all the same: each plan that needs the device says what is wrong with it.
  private func finishRebind(of device: PCIAddress, _ identifier: String) throws(HostError) {
    let found = try host.intents.readIntents()
    // A damaged intent may be one of a run that is at it.
    if let damage = found.damaged.first(where: \.mayBeRebind) { throw .record(damage.error) }
    let intents = found.contents
    // Another run may have finished it, and may be at it again.
    guard let intent = intents.first(where: { $0.identifier == identifier }),
      !intents.contains(where: { $0.isLive && $0.operation == .rebind && $0.devices.contains(device) })
    else { return }
    let grants = try host.ownership.record(of: intent.domain.uuid)?.grants ?? []
    let recorded = grants.last { $0.device == device }?.identity
    if let card = try Card(at: device, on: host), card.facts.driver == nil, recorded == nil || card.identity == recorded
    {
      do throws(HostError) { try host.tree.bindToPCIBack(device) } catch {
        try host.intents.discard(identifier: identifier)
        throw error
      }
      guard try host.tree.facts(of: device)?.isOnPCIBack == true else {
        throw .tree(DeviceTreeError(.other, operation: "bind to pciback", place: "\(device)"))
      }
    }
    try host.intents.discard(identifier: identifier)
  }
}

extension DamagedFile {
  /// Whether the file may be the intent of a run that has pciback release a device and take it again.
  fileprivate var mayBeRebind: Bool {
    guard kind == .intent else { return false }
    // An intent whose name does not tell may be anything.
    guard let file = path.split(separator: "/").last, file.hasSuffix(".json"),
      let name = IntentName(String(file.dropLast(5)))
    else { return true }
    return name.operation == .rebind
  }
}
