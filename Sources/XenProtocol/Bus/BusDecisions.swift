package import Model

/// What one transaction may do to attach devices to a bus.
package enum AttachDecision: Hashable, Sendable {
  /// These writes publish the devices. `startsRound` says whether a running guest is asked immediately.
  case publish([StoreEdit], startsRound: Bool)
  /// All of the devices are already listed.
  case alreadyListed
  /// The domain cannot take a change now. The caller looks again after the bus has changed.
  case wait(BusCondition)
  case refuse(BusRefusal, String)
}

/// What one transaction may do to detach devices from a bus.
package enum DetachDecision: Hashable, Sendable {
  /// These writes mark the devices and start the round.
  case mark([StoreEdit])
  /// These writes remove the whole bus of a guest that never ran or never answers. The caller adds the staying entries
  /// to a recreated bus.
  case dropBus([StoreEdit], staying: [BackEndEntry])
  /// None of the devices is listed.
  case notListed
  /// All of the devices are marked and their round is over, so they can be deleted.
  case alreadyMarked
  case wait(BusCondition)
  case refuse(BusRefusal, String)
}

/// One device to attach, with its options.
package struct NewEntry: Hashable, Sendable {
  package var device: PCIAddress
  package var options: DeviceOptions
  /// The address at which the guest sees the device, if pciback already exports it to this domain and its entry was
  /// overwritten. A second request would end the guest's bus.
  package var exportedAt: PCIAddress?
  package init(device: PCIAddress, options: DeviceOptions, exportedAt: PCIAddress? = nil) {
    self.device = device
    self.options = options
    self.exportedAt = exportedAt
  }

  fileprivate var entry: BackEndEntry {
    var entry = BackEndEntry(wanted: device, options: options)
    if let exportedAt {
      entry.state = StateNode(.initialised)
      entry.virtualAddress = exportedAt
    }
    return entry
  }
}

extension [BackEndEntry] {
  /// Returns these entries and `added`, so that no two entries show the same virtual address.
  ///
  /// An entry may show the address of a device that is known to be exported there. Then the entry overwrote that
  /// device's entry during a round. The entry's own device was never exported, so it is requested again.
  fileprivate func merging(_ added: [BackEndEntry]) -> [BackEndEntry] {
    let exported = Set(added.compactMap(\.virtualAddress))
    return map { entry in
      guard let address = entry.virtualAddress, exported.contains(address) else { return entry }
      var entry = entry
      entry.virtualAddress = nil
      entry.state = StateNode(.initialising)
      return entry
    } + added
  }
}

extension BackEnd {
  /// Decides how to attach `wanted` from this transaction's reads.
  ///
  /// - Parameters:
  ///   - mode: cold domains take entries without a round; pciback exports them by itself at state 3 (Linux commit
  ///     c81d3d246025, in 5.13 and the stable trees).
  ///   - finished: half-done removals that may be completed here: those of this run, or those left for longer than any
  ///     toolstack waits.
  ///   - exportable: the devices on pciback. If a round meets an entry that pciback cannot export, the whole bus
  ///     fails.
  package func attachDecision(
    _ wanted: [NewEntry], named name: String, mode: ChangeMode, finishing finished: Set<PCIAddress>,
    exportable: Set<PCIAddress>
  ) -> AttachDecision {
    let listed = Set(entries.compactMap(\.device))
    let missing = wanted.filter { !listed.contains($0.device) }
    let added = missing.map(\.entry)
    let merged = entries.merging(added)
    let unexportable = merged.filter { $0.state.state == .initialising }.compactMap(\.device)
      .filter { !exportable.contains($0) }
    if let device = unexportable.first {
      return .refuse(.notAssignable, "\(device) is not on pciback; asking for it would end the guest's PCI bus")
    }
    let condition = condition
    switch condition {
    case .absent:
      return .publish(BackEnd.creation(for: domain, named: name, of: added), startsRound: false)
    case .corrupt(let what): return .refuse(.corruptBackEnd, what)
    case .connecting:
      if missing.isEmpty { return .alreadyListed }
      return .publish(replacingEntries(with: merged, startRound: false), startsRound: false)
    case .holding:
      let edits = replacingEntries(with: merged, startRound: false) + settlingAtRest()
      return edits.isEmpty ? .alreadyListed : .publish(edits, startsRound: false)
    case .connected:
      let needsRound = merged.contains { $0.state.state == .initialising }
      if missing.isEmpty && !needsRound { return .alreadyListed }
      let startRound = needsRound && mode == .hot
      return .publish(replacingEntries(with: merged, startRound: startRound), startsRound: startRound)
    case .halfRemoved(let devices):
      // If a round started over a half-done removal, it would remove whatever took the virtual slot since.
      guard devices.isSubset(of: finished) else { return .wait(condition) }
      let kept = entries.filter { entry in entry.device.map { !devices.contains($0) } ?? true }
      let again = wanted.filter { wanted in !kept.contains { $0.device == wanted.device } }
      let result = kept.merging(again.map(\.entry))
      let startRound = hasFrontEndDriver && mode == .hot && result.contains { $0.state.state == .initialising }
      return .publish(
        replacingEntries(with: result, startRound: startRound) + settlingAtRest(), startsRound: startRound)
    case .vanishing, .settling, .round, .torn, .closing: return .wait(condition)
    }
  }

  /// Decides how to detach `devices` from this transaction's reads.
  package func detachDecision(
    _ devices: Set<PCIAddress>, mode: ChangeMode, finishing finished: Set<PCIAddress>
  ) -> DetachDecision {
    let condition = condition
    if case .corrupt(let what) = condition { return .refuse(.corruptBackEnd, what) }
    let ours = entries.filter { entry in entry.device.map(devices.contains) ?? false }
    if ours.isEmpty { return .notListed }
    let kept = entries.filter { entry in entry.device.map { !devices.contains($0) } ?? true }
    switch condition {
    case .corrupt, .absent, .vanishing: return .notListed
    case .connecting:
      // A guest that never ran holds nothing, and an entry below state 4 cannot be acknowledged alone. So the whole
      // bus is removed and recreated with the staying devices. A front end still at 1 proves that no driver in the
      // guest has looked at the bus.
      return mode == .cold && frontEndState.state == .initialising
        ? .dropBus(removal(), staying: kept) : .wait(condition)
    case .holding:
      // Nobody acknowledges, so a bus that would stay empty is removed at once: the kernel object shows when pciback
      // has released it.
      return kept.isEmpty ? .dropBus(removal(), staying: []) : .mark(marking(devices))
    case .connected:
      return .mark(marking(devices))
    case .halfRemoved(let removed):
      let mine = Set(ours.compactMap(\.device))
      if removed == mine, removed.isSubset(of: finished) {
        // pciback reads marks only if it is at rest; otherwise it keeps the devices.
        let settling = settlingAtRest()
        return settling.isEmpty ? .alreadyMarked : .mark(settling)
      }
      return removed.isSubset(of: finished) ? .mark(markingAfter(dropping: removed, devices)) : .wait(condition)
    case .settling, .round, .torn, .closing: return .wait(condition)
    }
  }

  /// Deletes finished removals and marks the rest, in one transaction.
  private func markingAfter(dropping removed: Set<PCIAddress>, _ devices: Set<PCIAddress>) -> [StoreEdit] {
    let kept = entries.compactMap { entry -> BackEndEntry? in
      guard let device = entry.device else { return entry }
      if removed.contains(device) { return nil }
      var entry = entry
      if devices.contains(device) { entry.state = StateNode(.closing) }
      return entry
    }
    return replacingEntries(with: kept, startRound: hasFrontEndDriver) + settlingAtRest()
  }

  /// Deletes those of `devices` whose removal both ends have finished; returns nil while the bus is not at rest.
  package func compaction(of devices: Set<PCIAddress>) -> (edits: [StoreEdit], kept: [BackEndEntry])? {
    switch condition {
    case .connected, .holding, .halfRemoved: break
    case .absent, .vanishing, .connecting, .settling, .round, .torn, .closing, .corrupt: return nil
    }
    let kept = entries.filter { entry in
      guard let device = entry.device, devices.contains(device) else { return true }
      return !entry.isMarked
    }
    return (replacingEntries(with: kept, startRound: false), kept)
  }
}
