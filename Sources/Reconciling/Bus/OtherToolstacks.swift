import Model
import Planning
import Ports
import XenProtocol

/// Finds what other toolstacks did to the entries of this run, and repairs it.
struct OtherToolstacks {
  let session: DomainSession
  let report: RunReport
  let records: DomainRecords
  let intents: IntentLog
  let removals: RemovalLedger
  let waits: BusWait
  let buses: BusKeeper
  /// The devices that the domain had when it was planned.
  let known: Set<PCIAddress>

  /// Looks for entries that another toolstack overwrote after the guest had taken them.
  ///
  /// The first look is at once. If another toolstack was seen at work, or if the user asked for it, the looks go on for
  /// as long as that toolstack may act on what it read before. Returns true if all of `devices` are listed, and false if
  /// the bus must be followed again.
  func audit(_ devices: [PCIAddress], _ bus: BackEnd, log: (any ExportLog)?) throws(EngineError) -> Bool {
    noteForeignEntries(in: bus, besides: devices)
    if case .halfRemoved(let removed) = bus.condition, !removals.areOurs(removed) { session.noteOthers() }
    if try mismatch(devices, log: log) { return false }
    guard session.hasSeenOthers || session.options.audits else { return true }
    let deadline = ContinuousClock.now + longestToolstackWait
    report.announceAudit(until: deadline)
    let outcome = try session.wait(until: deadline) { () throws(EngineError) -> Bool? in
      switch try session.look().backEnd.condition {
      case .connected, .holding, .halfRemoved: return try self.mismatch(devices, log: log) ? true : nil
      default: return nil
      }
    }
    if case .satisfied = outcome { return false }
    return try !mismatch(devices, log: log)
  }

  /// Returns whether one of `devices` is not listed as the guest has it, while the bus is at rest.
  private func mismatch(_ devices: [PCIAddress], log: (any ExportLog)?) throws(EngineError) -> Bool {
    switch try waits.judge(devices, try session.look().backEnd) {
    case .taken(let bus): return try mislabelled(in: bus, log: log) != nil
    case nil: return false
    case .lost, .overlooked, .dead: return true
    }
  }

  /// Returns an entry whose virtual address the kernel log gives to another device: its node was overwritten in a
  /// round.
  private func mislabelled(in bus: BackEnd, log: (any ExportLog)?) throws(EngineError) -> BackEndEntry? {
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

  /// Returns the exports to this domain since the change began; nil if the kernel log does not show them.
  private func exports(from log: (any ExportLog)?) throws(EngineError) -> [ExportRecord]? {
    do throws(HostError) {
      return try log?.exports()?.filter { $0.domain == session.busID }
    } catch {
      throw .host(error)
    }
  }

  /// Notes another toolstack if there are entries that no Berth has intended or recorded.
  private func noteForeignEntries(in bus: BackEnd, besides devices: [PCIAddress]) {
    let unknown = Set(bus.entries.compactMap(\.device)).subtracting(devices).subtracting(known)
    guard !unknown.isEmpty else { return }
    do throws(HostError) {
      if try !unknown.isSubset(of: records.devices()) { session.noteOthers() }
    } catch {
      // Without the records the entries may be another toolstack's: look again, which only takes longer.
      session.noteOthers()
    }
  }

  /// Returns those of `lost` that somebody detached. Unlike a device whose entry was overwritten, such a device has
  /// been returned to Xen, or is about to be. libxl deassigns before it touches the entry (`do_pci_remove`, Xen 4.17),
  /// and Berth records what it detaches.
  func detachedByOthers(_ lost: Set<PCIAddress>) throws(EngineError) -> Set<PCIAddress> {
    do throws(HostError) {
      var detached = lost.intersection(try intents.detachedByOthers())
      for device in lost {
        let probe = try session.host.hypervisor.probe(device, for: nil)
        if probe == .free { detached.insert(device) }
      }
      return detached
    } catch {
      throw .host(error)
    }
  }

  /// Puts entries back that another toolstack overwrote.
  ///
  /// A device that pciback exported meanwhile gets its entry as it was, with the device's virtual address. An entry of
  /// state 1 for a device that pciback holds would end the guest's bus. A device that was not exported is requested
  /// again. Returns false, and writes nothing, if the kernel log does not show whether it was exported.
  func readopt(_ lost: Set<PCIAddress>, of held: [ClaimedDevice], log: (any ExportLog)?) throws(EngineError) -> Bool {
    if try buses.replaceBus(of: held, where: { $0.condition == .connecting || $0.isGoing }) {
      report.readopted(lost)
      return true
    }
    guard let exports = try exports(from: log) else { return false }
    let wanted = held.filter { lost.contains($0.step.device) }.map { held in
      var wanted = held.wanted
      wanted.exportedAt =
        exports.last { $0.device == held.step.device }?.virtualAddress ?? held.exportedAt
      return wanted
    }
    let readopted = try session.locked { (lock) throws(HostError) -> Set<PCIAddress>? in
      try lock.decideExport(claimsOn: lost.sorted(), asking: session.route.hasFrontEndDriver ? [] : lost.sorted()) {
        view, pciback -> (Set<PCIAddress>, [StoreEdit]) in
        let decision = view.backEnd.attachDecision(
          wanted, named: session.busName, mode: session.mode, finishing: removals.mayFinish,
          exportable: pciback.exportable, knowing: pciback.history)
        let condition = view.backEnd.condition
        guard condition == .connected || condition == .holding, case .publish(let edits, _) = decision else {
          return ([], [])
        }
        return (lost.subtracting(view.backEnd.entries.compactMap(\.device)), edits)
      }
    }
    report.readopted(readopted ?? [])
    return true
  }
}

extension PCIAddress {
  /// Whether the other is a function of the same physical slot.
  fileprivate func isBeside(_ other: PCIAddress) -> Bool {
    (segment, bus, device) == (other.segment, other.bus, other.device)
  }
}
