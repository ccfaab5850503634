package import Model

/// What one transaction may do to attach devices to a bus.
package enum AttachDecision: Hashable, Sendable {
  /// These writes publish the devices. `startsRound` says whether a running guest is asked immediately.
  case publish([StoreEdit], startsRound: Bool)
  /// All of the devices are already listed.
  case alreadyListed
  /// These writes show pciback removals that it has not read. The caller gives it the time, and decides again.
  case showMarks([StoreEdit])
  /// The domain cannot take a change now. The caller looks again after the bus has changed.
  case wait(BusCondition)
  case refuse(BusRefusal, String)

  /// The writes of this decision.
  package var edits: [StoreEdit] {
    switch self {
    case .publish(let edits, _), .showMarks(let edits): edits
    case .alreadyListed, .wait, .refuse: []
    }
  }
}

/// What one transaction may do to detach devices from a bus.
package enum DetachDecision: Hashable, Sendable {
  /// These writes mark `devices` and start the round. Of the devices to detach, the others are off the bus with them.
  case mark([StoreEdit], devices: Set<PCIAddress>)
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
  /// Whether the device is a virtual function, which pciback may show alone in a slot.
  package var isVirtualFunction: Bool

  package init(
    device: PCIAddress, options: DeviceOptions, exportedAt: PCIAddress? = nil, isVirtualFunction: Bool = false
  ) {
    self.device = device
    self.options = options
    self.exportedAt = exportedAt
    self.isVirtualFunction = isVirtualFunction
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

  /// Returns these entries with `devices` marked for removal.
  ///
  /// An entry without a virtual address was not exported. It is left out, since a mark on it would end the bus
  /// (`xen_pcibk_reconfigure`, Linux drivers/xen/xen-pciback/xenbus.c, 6.1).
  fileprivate func marking(_ devices: Set<PCIAddress>) -> [BackEndEntry] {
    compactMap { entry in
      guard let device = entry.device, devices.contains(device) else { return entry }
      guard entry.virtualAddress != nil else { return nil }
      var entry = entry
      entry.state = StateNode(.closing)
      return entry
    }
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
  ///   - history: what is known of pciback's exports besides this bus's entries. It matters only if the bus is
  ///     unsettled.
  package func attachDecision(
    _ wanted: [NewEntry], named name: String, mode: ChangeMode, finishing finished: Set<PCIAddress>,
    exportable: Set<PCIAddress>, knowing history: ExportHistory = .unknown
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
    if let lack = lackOfSlots(for: missing, condition, finishing: finished) { return .refuse(.busFull, lack) }
    switch condition {
    case .absent:
      return .publish(BackEnd.creation(for: domain, named: name, of: added), startsRound: false)
    case .corrupt(let what): return .refuse(.corruptBackEnd, what)
    case .connecting:
      if missing.isEmpty { return .alreadyListed }
      return .publish(replacingEntries(with: merged, startRound: false), startsRound: false)
    case .holding:
      switch BusHolds(self, history).resting() {
      case .unsafe(let device): return .refuse(.unsettledBus, device.doubt)
      case .entries(let rested):
        let result = rested.merging(added)
        if let device = BusHolds(self, history).doubtfulAgain(in: result) {
          return .refuse(.unsettledBus, device.doubt)
        }
        if let hazard = result.hazard(exportable: exportable) { return .refuse(.notAssignable, hazard) }
        let edits = replacingEntries(with: result, startRound: false) + settlingAtRest()
        return edits.isEmpty ? .alreadyListed : .publish(edits, startsRound: false)
      }
    case .connected:
      let needsRound = merged.contains { $0.state.state == .initialising }
      if missing.isEmpty && !needsRound { return .alreadyListed }
      let startRound = needsRound && mode == .hot
      return .publish(replacingEntries(with: merged, startRound: startRound), startsRound: startRound)
    case .halfRemoved(let devices):
      // If a round started over a half-done removal, it would remove whatever took the virtual slot since.
      guard devices.isSubset(of: finished) else { return .wait(condition) }
      if isUnsettled {
        // pciback has not read the marks: without them, it would keep the devices.
        switch BusHolds(self, history).resting(finishing: finished) {
        case .unsafe(let device): return .refuse(.unsettledBus, device.doubt)
        case .entries(let rested):
          return .showMarks(replacingEntries(with: rested.withoutRequests, startRound: false) + settlingAtRest())
        }
      }
      let kept = resumedEntries.filter { entry in entry.device.map { !devices.contains($0) } ?? true }
      let again = wanted.filter { wanted in !kept.contains { $0.device == wanted.device } }
      let result = kept.merging(again.map(\.entry))
      if let device = BusHolds(self, history).doubtfulAgain(in: result) { return .refuse(.unsettledBus, device.doubt) }
      if let hazard = result.hazard(exportable: exportable) { return .refuse(.notAssignable, hazard) }
      let startRound = hasFrontEndDriver && mode == .hot && result.contains { $0.state.state == .initialising }
      return .publish(replacingEntries(with: result, startRound: startRound), startsRound: startRound)
    case .vanishing, .settling, .round, .torn, .closing: return .wait(condition)
    }
  }

  /// Returns why the guest's bus has no room for `missing`; nil if it has, or if that is not settled yet.
  private func lackOfSlots(
    for missing: [NewEntry], _ condition: BusCondition, finishing finished: Set<PCIAddress>
  ) -> String? {
    var leaving: Set<PCIAddress> = []
    switch condition {
    case .absent, .connecting, .holding, .connected: break
    case .halfRemoved(let devices):
      guard devices.isSubset(of: finished) else { return nil }
      leaving = devices
    case .vanishing, .settling, .round, .torn, .closing, .corrupt: return nil
    }
    // A device that pciback exports already has its slot.
    var slots = VirtualSlots(of: entries + missing.map(\.entry).filter { $0.virtualAddress != nil }, without: leaving)
    for new in missing where new.exportedAt == nil {
      guard slots.add(new.device, isVirtualFunction: new.isVirtualFunction) else { return slots.lackText }
    }
    return nil
  }

  /// Decides how to detach `devices` from this transaction's reads.
  ///
  /// `exportable` and `history` are those of `attachDecision`. A round over other devices also reads the requests that
  /// wait on the bus.
  package func detachDecision(
    _ devices: Set<PCIAddress>, mode: ChangeMode, finishing finished: Set<PCIAddress>, exportable: Set<PCIAddress>,
    knowing history: ExportHistory = .unknown
  ) -> DetachDecision {
    let condition = condition
    if case .corrupt(let what) = condition { return .refuse(.corruptBackEnd, what) }
    let ours = entries.filter { entry in entry.device.map(devices.contains) ?? false }
    if ours.isEmpty { return .notListed }
    let kept = entries.filter { entry in entry.device.map { !devices.contains($0) } ?? true }
    func mark(_ leaving: Set<PCIAddress>, dropping dropped: Set<PCIAddress> = []) -> DetachDecision {
      switch BusHolds(self, history).resting(finishing: finished) {
      case .unsafe(let device): return .refuse(.unsettledBus, device.doubt)
      case .entries(let rested):
        let all = rested.filter { entry in entry.device.map { !dropped.contains($0) } ?? true }.marking(leaving)
        let marked = hasFrontEndDriver ? all : all.withoutRequests
        if let hazard = marked.hazard(exportable: exportable) { return .refuse(.notAssignable, hazard) }
        let startRound = hasFrontEndDriver && marked.contains { $0.state.state == .closing }
        return .mark(
          replacingEntries(with: marked, startRound: startRound) + settlingAtRest(),
          devices: Set(marked.filter(\.isMarked).compactMap(\.device)).intersection(leaving))
      }
    }
    switch condition {
    case .corrupt, .absent, .vanishing: return .notListed
    case .connecting:
      // A guest that never ran holds nothing, and an entry below state 4 cannot be acknowledged alone. So the whole
      // bus is removed and recreated with the staying devices. A front end still at 1 proves that no driver in the
      // guest has looked at the bus.
      guard mode == .cold, frontEndState.state == .initialising else { return .wait(condition) }
      if let device = kept.compactMap(\.device).first(where: { !exportable.contains($0) }) {
        return .refuse(.notAssignable, "\(device) is not on pciback; it would end the bus that is created again")
      }
      return .dropBus(removal(), staying: kept)
    case .holding:
      // Nobody acknowledges, so a bus that would stay empty is removed at once: the kernel object shows when pciback
      // has released it.
      return kept.isEmpty ? .dropBus(removal(), staying: []) : mark(devices)
    case .connected: return mark(devices)
    case .halfRemoved(let removed):
      guard removed.isSubset(of: finished) else { return .wait(condition) }
      // pciback reads marks only if it is at rest; otherwise it keeps the devices. So no unread mark is deleted.
      if isUnsettled { return mark(devices) }
      return removed == Set(ours.compactMap(\.device)) ? .alreadyMarked : mark(devices, dropping: removed)
    case .settling, .round, .torn, .closing: return .wait(condition)
    }
  }

  /// Deletes those of `devices` whose removal both ends have finished; returns nil while the bus is not at rest.
  ///
  /// Nor is an HVM guest's bus at rest if another toolstack has made it unsettled: pciback may not have read the marks.
  package func compaction(of devices: Set<PCIAddress>) -> (edits: [StoreEdit], kept: [BackEndEntry])? {
    if isUnsettled { return nil }
    switch condition {
    case .connected, .holding, .halfRemoved: break
    case .absent, .vanishing, .connecting, .settling, .round, .torn, .closing, .corrupt: return nil
    }
    let kept = entries.filter { entry in
      guard let device = entry.device, devices.contains(device) else { return true }
      return !entry.isMarked
    }
    // Another device's removal may not have been read yet.
    let shown = kept.contains { $0.state.state == .closing } || hasFrontEndDriver ? kept : kept.resumed
    return (replacingEntries(with: shown, startRound: false), kept)
  }
}
