import Model
import Planning
import Ports
import XenProtocol

/// An intent on disk, while its file is held.
struct HeldIntent {
  let open: any OpenIntent

  /// The outcome is proven: the record goes.
  func finish() throws(Stop) {
    do throws(HostError) { try open.close() } catch { throw .failed(error) }
  }

  /// The outcome is not known: the record stays for the next run, and reads as a dead run's once this one ends.
  func leave() {}
}

extension DomainWorker {
  func openIntent(_ operation: Intent.Operation, _ devices: [PCIAddress]) throws(Stop) -> HeldIntent {
    let identifier = "\(key.id)-\(operation.rawValue)-\(String(UInt64.random(in: 0...UInt64.max), radix: 16))"
    let intent = Intent(identifier: identifier, domain: key, operation: operation, devices: devices, isLive: true)
    ownIntents.insert(identifier)
    do throws(HostError) { return HeldIntent(open: try host.intents.open(intent)) } catch {
      throw .failed(error)
    }
  }

  /// Ends an attach's intent, unless this run could not give back what it took: then nothing but the intent tells whose
  /// it is.
  func finish(_ intent: HeldIntent) throws(Stop) {
    if unreturned.isEmpty { try intent.finish() } else { intent.leave() }
  }

  /// Removes claims and saved entries of devices that the bus does not list and Xen has given back.
  ///
  /// Another domain's claim is never touched: what is removed was read in the same transaction. Tells of which devices
  /// something is left: those that the bus lists, and those whose claim still names the domain, since whoever looks at a
  /// claim alone takes it for another toolstack's that has just begun.
  @discardableResult
  func unmark(_ devices: Set<PCIAddress>) throws(Stop) -> Set<PCIAddress> {
    guard !devices.isEmpty else { return [] }
    let listed = try locked { (userdata) throws(HostError) -> Set<PCIAddress> in
      let listed = try transact(claimsOn: devices.sorted()) { view -> (Set<PCIAddress>, [StoreEdit]) in
        let listed = Set(view.backEnd.entries.compactMap(\.device))
        let stale = devices.subtracting(listed).filter { view.claims[$0] == key.id }
        return (listed, stale.sorted().map { .remove(.claim($0)) })
      }
      guard let listed, case .present(let saved) = try savedConfiguration(userdata) else { return listed ?? [] }
      let kept = try removing(devices.subtracting(listed), from: saved)
      try save(kept, over: saved, userdata)
      return listed
    }
    var left = listed
    for device in devices where try read(.claim(device)) == key.id.description { left.insert(device) }
    return left
  }

  /// Makes removals that somebody left half done this run's to finish: the guest let these devices go when the round in
  /// which they were marked ended.
  func adoptRemovals(_ left: Set<PCIAddress>) throws(Stop) {
    finished.formUnion(left)
    // Unless pciback was where it reads no marks, as it is at 7 where no front end answers.
    if route.hasFrontEndDriver { try forgetExports(left) }
  }

  /// Takes devices that are not attached out of Berth's record.
  func forget(_ steps: [some DeviceWork]) throws(Stop) {
    guard !steps.isEmpty else { return }
    let devices = Set(steps.map(\.device))
    try record { $0.subtract(devices) }
    if route.deviceModel == .traditional { try note(nil, of: devices.sorted()) }
  }

  /// Returns what an outcome says of work that ended early.
  func describe(_ stop: Stop) -> OutcomeDetail {
    switch stop {
    case .gone where route.stubDomain != nil: "the domain or its stub domain has gone, or is going"
    case .gone: "the domain has gone, or is going"
    case .failed(let error): OutcomeDetail(error)
    }
  }
}

extension BackEnd {
  /// What was read back of an entry, for people and for the record.
  func evidence(for entry: BackEndEntry?) -> [String] {
    var lines = ["back end \(state)", "front end \(frontEndState)"]
    guard let entry else { return lines + ["no entry"] }
    lines += ["dev-\(entry.index) \(entry.device?.description ?? "missing")", "state-\(entry.index) \(entry.state)"]
    if let address = entry.virtualAddress { lines.append("vdev-\(entry.index) \(address.virtualText)") }
    return lines
  }
}
