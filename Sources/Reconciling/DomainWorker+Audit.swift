import Model
import Planning
import Ports
import XenProtocol

extension DomainWorker {
  /// Looks for entries that another toolstack overwrote after the guest had taken them.
  ///
  /// At once, and, where another toolstack was seen at work or the user asked for it, for as long as one may still
  /// act on what it read before. True when all of `devices` stand; false when the bus must be followed again.
  func audit(_ devices: [PCIAddress], _ bus: BackEnd, log: (any ExportLog)?) throws(Stop) -> Bool {
    noteForeignEntries(in: bus, besides: devices)
    if case .halfRemoved(let removed) = bus.condition, !isOurs(removed) { sawOthers = true }
    if try mismatch(devices, log: log) { return false }
    guard sawOthers || options.audits else { return true }
    let deadline = ContinuousClock.now + longestToolstackWait
    report(.auditing(eventDomain, until: deadline))
    let outcome = try wait(until: deadline) { () throws(Stop) -> Bool? in
      switch try self.look().backEnd.condition {
      case .connected, .holding, .halfRemoved: return try self.mismatch(devices, log: log) ? true : nil
      default: return nil
      }
    }
    if case .satisfied = outcome { return false }
    return try !mismatch(devices, log: log)
  }

  /// Whether one of `devices` is not listed as the guest has it, while the bus is at rest.
  private func mismatch(_ devices: [PCIAddress], log: (any ExportLog)?) throws(Stop) -> Bool {
    switch try judge(devices, try look().backEnd) {
    case .taken(let bus): return try mislabelled(in: bus, log: log) != nil
    case nil: return false
    case .lost, .overlooked, .dead: return true
    }
  }

  /// An entry whose virtual address the kernel log gives to another device: its node was overwritten mid-round.
  func mislabelled(in bus: BackEnd, log: (any ExportLog)?) throws(Stop) -> BackEndEntry? {
    guard let exports = try exports(from: log) else { return nil }
    return bus.entries.first { entry in
      guard let device = entry.device, let place = entry.virtualAddress else { return false }
      // A marked one's address is free for others since the round it was marked in.
      guard !entry.isMarked else { return false }
      guard let last = exports.last(where: { $0.slot == place.device }) else { return false }
      // Functions of one slot share a virtual slot, each under its own number (`__xen_pcibk_add_pci_dev`, vpci.c).
      if last.device.isBeside(device), place.function == device.function { return false }
      return last.device != device && !exports.contains { $0.device == device }
    }
  }

  /// The exports to this domain since the change began; nil where the kernel log cannot tell.
  func exports(from log: (any ExportLog)?) throws(Stop) -> [ExportRecord]? {
    do throws(HostError) {
      return try log?.exports()?.filter { $0.domain == busID }
    } catch {
      throw .failed(error)
    }
  }

  /// Entries that no Berth intended or recorded are another toolstack's.
  private func noteForeignEntries(in bus: BackEnd, besides devices: [PCIAddress]) {
    let unknown = Set(bus.entries.compactMap(\.device)).subtracting(devices).subtracting(known)
    guard !unknown.isEmpty else { return }
    do throws(HostError) {
      let records = try host.ownership.records().filter { $0.uuid == key.uuid }.flatMap(\.devices)
      if !unknown.isSubset(of: records) { sawOthers = true }
    } catch {
      // Without the records nothing tells that the entries are Berth's: look again, which only takes longer.
      sawOthers = true
    }
  }

  /// Those of `lost` that somebody detached: unlike a device whose entry was overwritten, Xen has them back, or they
  /// are about to be given back. libxl deassigns before it touches the entry (`do_pci_remove`, Xen 4.17), and Berth
  /// writes down what it detaches.
  func detachedByOthers(_ lost: Set<PCIAddress>) throws(Stop) -> Set<PCIAddress> {
    do throws(HostError) {
      var detached = lost.intersection(try detachedByBerth())
      for device in lost {
        let probe = try host.hypervisor.probe(device, for: nil)
        if probe == .free { detached.insert(device) }
      }
      return detached
    } catch {
      throw .failed(error)
    }
  }

  /// What other runs, dead ones too, said they detach from this domain.
  func detachedByBerth() throws(HostError) -> Set<PCIAddress> {
    Set(
      try intents().filter { $0.domain == key && $0.operation == .detach && !ownIntents.contains($0.identifier) }
        .flatMap(\.devices))
  }

  /// Puts entries back that another toolstack overwrote.
  ///
  /// A device that pciback exported meanwhile gets its entry as it was, with the virtual address it has: an entry
  /// of state 1 for a device that pciback holds would end the guest's bus. One that was not exported is asked for
  /// again. Where the kernel log cannot tell, nothing is written and the answer is false.
  func readopt(_ lost: Set<PCIAddress>, of held: [Held], log: (any ExportLog)?) throws(Stop) -> Bool {
    if try rebuild(held, where: { $0.condition == .connecting || $0.isGoing }) {
      noteReadopted(lost)
      return true
    }
    guard let exports = try exports(from: log) else { return false }
    let exportable = try pcibackDevices()
    let wanted = held.filter { lost.contains($0.step.device) }.map { held in
      var wanted = held.wanted
      wanted.exportedAt =
        exports.last { $0.device == held.step.device }?.virtualAddress ?? held.exportedAt
      return wanted
    }
    let readopted = try locked { (_) throws(HostError) -> Set<PCIAddress>? in
      try transact(claimsOn: lost.sorted()) { view -> (Set<PCIAddress>, [StoreEdit]) in
        let decision = view.backEnd.attachDecision(
          wanted, named: busName, mode: mode, finishing: finished, exportable: exportable)
        let condition = view.backEnd.condition
        guard condition == .connected || condition == .holding, case .publish(let edits, _) = decision else {
          return ([], [])
        }
        return (lost.subtracting(view.backEnd.entries.compactMap(\.device)), edits)
      }
    }
    noteReadopted(readopted ?? [])
    return true
  }

  private func noteReadopted(_ devices: Set<PCIAddress>) {
    for device in devices.sorted() where !outcome.readopted.contains(device) { outcome.readopted.append(device) }
  }

  /// Makes the bus anew where `isDue` says so of what the transaction that removes it reads; false where it does not.
  ///
  /// For a bus that was replaced under its kernel object, which neither end notices. Both directories go, the kernel drops
  /// its object, the guest sees its own side go, and then the whole batch is made again with what another toolstack had
  /// listed.
  @discardableResult
  func rebuild(_ held: [Held], where isDue: (BackEnd) -> Bool) throws(Stop) -> Bool {
    let exportable = try pcibackDevices()
    let ours = Set(held.map(\.step.device))
    let others = try locked { (_) throws(HostError) -> [BackEndEntry]? in
      try transact { view -> ([BackEndEntry]?, [StoreEdit]) in
        let bus = view.backEnd
        guard isDue(bus) else { return (nil, []) }
        let others = bus.entries.filter { $0.device.map { !ours.contains($0) && exportable.contains($0) } ?? false }
        return (others, bus.isAbsent ? [] : bus.removal())
      } ?? nil
    }
    guard let others else { return false }
    _ = try awaitKernelRelease(until: ContinuousClock.now + options.waitTimeout)
    try awaitGuestNotice()
    let wanted = held.map { BackEndEntry(wanted: $0.step.device, options: $0.step.options) }
    try makeBus(of: wanted, keeping: others)
    return true
  }

  /// Makes a bus that is not there, and proves that it lists `kept`, and that a guest will find it.
  ///
  /// Those are nobody's step: what becomes of them is told here or nowhere.
  func makeBus(of wanted: [BackEndEntry], keeping kept: [BackEndEntry]) throws(Stop) {
    let fresh = kept.compactMap { entry in entry.device.map { BackEndEntry(wanted: $0, options: entry.options) } }
    _ = try locked { (_) throws(HostError) in
      try transact { view in
        guard view.backEnd.condition == .absent else { return ((), []) }
        return ((), BackEnd.creation(for: busID, named: busName, of: wanted + fresh))
      }
    }
    guard !fresh.isEmpty else { return }
    let bus = try look().backEnd
    guard bus.awaitsGuest, fresh.compactMap(\.device).allSatisfy({ bus.entry(for: $0) != nil }) else {
      throw .failed(.store(StoreError(.other, operation: "write", place: StorePath.backEnd(busID).text)))
    }
  }

  /// Gives a running guest the time to see that its front end is gone: nothing tells when it has.
  func awaitGuestNotice(for time: Duration = .seconds(1)) throws(Stop) {
    guard mode == .hot, route.hasFrontEndDriver else { return }
    _ = try wait(until: ContinuousClock.now + time, watching: [.frontEnd(busID)]) {
      () throws(Stop) -> Void? in nil
    }
  }
}

extension PCIAddress {
  /// Whether the other is a function of the same physical slot.
  fileprivate func isBeside(_ other: PCIAddress) -> Bool {
    (segment, bus, device) == (other.segment, other.bus, other.device)
  }
}
