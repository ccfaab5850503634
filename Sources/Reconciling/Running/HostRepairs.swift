import Model
import Planning
import Ports
import XenProtocol

/// Repairs what belongs to no living domain, and maintains Berth's own records.
struct HostRepairs {
  let host: Host
  /// How long another run may have the lock of a device's record.
  let lockTimeout: Duration

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
      do throws(DriverStop) { try keep(change) } catch { failed.append(OutcomeDetail(.recordsFailed, error.detail)) }
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

  private func keep(_ change: RecordChange) throws(DriverStop) {
    let care = RecordCare(host: host)
    do throws(HostError) {
      switch change {
      case .forget(let uuid, let device): try care.forget(device, of: uuid)
      case .granted(let uuid, let device): try care.recordGrant(of: device, to: uuid)
      case .gone(let uuid, let since): try host.ownership.update(uuid) { $0?.goneSince = since }
      case .returned(let uuid): try host.ownership.update(uuid) { $0?.goneSince = nil }
      case .collect(let uuid): try host.ownership.update(uuid) { $0 = nil }
      case .discard(let identifier): try host.intents.discard(identifier: identifier)
      case .bind: break
      }
    } catch { throw .failed(error) }
    guard case .bind(let device, let identifier) = change else { return }
    let work = try DriverWork(holding: device, on: host, within: lockTimeout)
    defer { work.held.release() }
    try finishRebind(work, identifier)
  }

  /// Ends what a killed run began: binds the device to pciback if it still has no driver, removes the reservation that the
  /// run made for that, and discards the intent.
  ///
  /// A device that is not the recorded one is left alone: somebody has replaced the card. So is one that somebody else
  /// has reserved, or gave to another driver.
  ///
  /// If the kernel refuses, the intent goes all the same: each plan that needs the device says what is wrong with it.
  private func finishRebind(_ work: DriverWork, _ identifier: String) throws(DriverStop) {
    let device = work.device
    let found = try work.ask { () throws(HostError) in try host.intents.readIntents() }
    // A damaged intent may be one of a run that is at it.
    if let damage = found.damaged.first(where: \.mayBeRebind) { throw .failed(.record(damage.error)) }
    let intents = found.contents
    // Another run may have finished it, and may be at it again.
    guard let intent = intents.first(where: { $0.identifier == identifier }),
      !intents.contains(where: { $0.isLive && $0.operation == .rebind && $0.devices.contains(device) })
    else { return }
    let card = try work.ask { () throws(HostError) -> Card? in
      let grants = try host.ownership.record(of: intent.domain.uuid)?.grants ?? []
      let recorded = grants.last { $0.device == device }?.identity
      return try Card(at: device, on: host).flatMap { recorded == nil || $0.identity == recorded ? $0 : nil }
    }
    var refusal: DriverStop?
    if let card, card.facts.driver == nil {
      do throws(DriverStop) {
        let binding = try work.binding()
        if binding.isReserved { throw .reserved(binding) }
        try work.bind(to: DriverBinding.pciback)
      } catch {
        // The kernel may be at it still. Without the intent, nobody would remove the reservation.
        guard error.result != .unknown else { throw error }
        refusal = error
      }
    }
    // libvirt writes the same text. What it wrote before the run is not the intent's. If it has written it since, its own
    // way back does not need it: that begins with removing the text.
    let isOurs = card.map { $0.facts.driver == nil || $0.facts.isOnPCIBack } ?? false
    if intent.reserves, isOurs { try work.removeReservation() }
    try work.ask { () throws(HostError) in try host.intents.discard(identifier: identifier) }
    if let refusal { throw refusal }
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
