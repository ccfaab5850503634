package import Model

// The writes of each kind of change to a PV bus. One transaction's reads decide all of them, and they are made in it.

extension BackEnd {
  private var path: StorePath { .backEnd(domain) }
  private var stateNode: StorePath { path.child("state") }

  /// Creates back end and front end with the whole batch of first devices.
  ///
  /// Nodes, values and permissions are those of `libxl__create_pci_backend` and `libxl_create_pci_backend_device` (Xen
  /// 4.17). Both states are 1: dom0's kernel probes a back end only if it reads 1 when first seen
  /// (`xenbus_probe_node`, Linux drivers/xen/xenbus/xenbus_probe.c).
  package static func creation(
    for domain: DomainID, named name: String, of devices: [BackEndEntry]
  ) -> [StoreEdit] {
    let back = StorePath.backEnd(domain)
    let front = StorePath.frontEnd(domain)
    var edits: [StoreEdit] = [
      .makeDirectory(front, StorePermissions(owner: domain, reader: .zero)),
      .write(front.child("backend"), back.text),
      .write(front.child("backend-id"), "0"),
      .write(front.child("state"), StateNode(.initialising).description),
      .makeDirectory(back, StorePermissions(owner: .zero, reader: domain)),
      .write(back.child("frontend"), front.text),
      .write(back.child("frontend-id"), domain.description),
      .write(back.child("online"), "1"),
      .write(back.child("state"), StateNode(.initialising).description),
      .write(back.child("domain"), name),
    ]
    for (index, device) in devices.enumerated() {
      edits += device.edits(at: index, replacing: nil, in: back)
    }
    edits.append(.write(back.child("num_devs"), String(devices.count)))
    return edits
  }

  /// Replaces the entries by `wanted`, in their order, dense from 0.
  ///
  /// `startRound` asks both ends to look again (state 7). All nodes of an entry move together: later removals depend
  /// on the virtual address.
  package func replacingEntries(
    with wanted: [BackEndEntry], startRound: Bool
  ) -> [StoreEdit] {
    var edits: [StoreEdit] = []
    for (index, entry) in wanted.enumerated() {
      let before = index < entries.count ? entries[index] : orphans.first { $0.index == index }
      edits += entry.edits(at: index, replacing: before, in: path)
    }
    for stale in entries.dropFirst(wanted.count) { edits += stale.removals(in: path) }
    // An orphan entry of a device that is listed again carries no information.
    for orphan in orphans where orphan.index >= wanted.count && wanted.contains(where: { $0.device == orphan.device }) {
      edits += orphan.removals(in: path)
    }
    if count != .number(wanted.count) { edits.append(.write(path.child("num_devs"), String(wanted.count))) }
    if startRound { edits.append(.write(stateNode, StateNode(.reconfiguring).description)) }
    return edits
  }

  /// Returns an HVM guest's bus to the state in which pciback acts on its entries. Returns no edits if the bus is not
  /// unsettled. The entries must be those of `resting`.
  func settlingAtRest() -> [StoreEdit] {
    guard isUnsettled else { return [] }
    return [.write(stateNode, StateNode(.initialised).description)]
  }

  /// Asks both ends to look again, without any other change.
  package func requestingRound() -> [StoreEdit] { [.write(stateNode, StateNode(.reconfiguring).description)] }

  /// Asks the guest to release the empty bus. The guest answers by closing its side.
  package func closing() -> [StoreEdit] {
    [.write(path.child("online"), "0"), .write(stateNode, StateNode(.closing).description)]
  }

  /// Removes both directories, and the parents that would stay empty, as libxl does.
  ///
  /// dom0's kernel drops its object when the back end is gone.
  package func removal() -> [StoreEdit] {
    [.remove(.backEnd(domain)), .remove(.backEndHome(domain))] + frontEndRemoval()
  }

  /// Removes the guest's directory so that the guest notices, and then its parent (`libxl__xs_path_cleanup`).
  ///
  /// Removing the parent alone would suffice for the store. But a watch above the parent reports only the path that was
  /// named. A kernel examines only a path that is deep enough for a device (`xenbus_dev_changed`, Linux
  /// drivers/xen/xenbus/xenbus_probe.c). The guest would keep its old bus and never answer a new one.
  package func frontEndRemoval() -> [StoreEdit] { [.remove(.frontEnd(domain)), .remove(.frontEndHome(domain))] }

  /// Takes a round back from a guest that is known to sleep: entries as they were before the round, state 4.
  ///
  /// Allowed only for 7 with a front end at 4, and only if the domain has been paused since before the 7 was written.
  /// A guest that ran since may have read the 7, and would then finish a round that no longer exists.
  package func cancellingRound(
    removing added: Set<PCIAddress>, restoring marked: Set<PCIAddress>
  ) -> [StoreEdit] {
    let kept = entries.compactMap { entry -> BackEndEntry? in
      guard let device = entry.device else { return entry }
      if added.contains(device), !entry.isExported { return nil }
      var entry = entry
      if marked.contains(device), entry.state.state == .closing { entry.state = StateNode(.initialised) }
      return entry
    }
    return replacingEntries(with: kept, startRound: false) + [.write(stateNode, StateNode(.connected).description)]
  }

  /// Whether the guest has done its half of a round (7), while pciback reads no round that it would act on.
  ///
  /// Either the round was taken back while the guest worked on it (4), or another toolstack overwrote pciback's answer
  /// with a new request (7). Each end then waits for the other.
  package var isRoundStuck: Bool {
    frontEndState.state == .reconfiguring && (state.state == .connected || state.state == .reconfiguring)
  }

  /// Returns the writes that let a guest connect if a round began before it did; nil if the bus is not in that state.
  ///
  /// pciback connects before the guest does, and libxl looks only at pciback's state. A guest that has not connected
  /// ignores the round (`pcifront_detach_devices`, Linux drivers/pci/xen-pcifront.c). pciback ignores both writes.
  package func lettingGuestConnect() -> [StoreEdit]? {
    guard hasFrontEndDriver, state.state == .reconfiguring, frontEndState.state == .initialised else { return nil }
    return [.write(stateNode, StateNode(.connected).description)]
  }

  /// Shows pciback the guest's half of the round again.
  ///
  /// Allowed only if `isRoundStuck`. Both nodes are written in one transaction: pciback acts on the front end's 7 only
  /// while the back end reads 7 (`xen_pcibk_reconfigure`). pciback acts on any write to the front end's state, even of
  /// the same value.
  package func repeatingGuestAnswer() -> [StoreEdit] {
    [
      .write(stateNode, StateNode(.reconfiguring).description),
      .write(StorePath.frontEnd(domain).child("state"), StateNode(.reconfiguring).description),
    ]
  }

  /// Shows pciback the guest's half of the round again, with every mark visible. A hidden mark proves nothing if
  /// pciback never answered.
  package func repeatingWholeRound() -> [StoreEdit] { showingMarks() + repeatingGuestAnswer() }

  /// Hides the first mark from pciback (6), and shows pciback the guest's answer again; returns nil if there is no
  /// mark.
  ///
  /// pciback abandons a round at the first mark whose device it does not hold, as in the second round over one mark.
  /// Devices marked behind it stay exported (`xen_pcibk_reconfigure`). After a repeated round without effect, the
  /// first mark names a released device: either no longer held, or released on the way to a later mark. Only pciback's
  /// own answer proves that it was at work at all.
  package func passingFirstMark() -> [StoreEdit]? {
    guard let entry = entries.first(where: { $0.state.state == .closing }) else { return nil }
    return [.write(path.child("state-\(entry.index)"), StateNode(.closed).description)] + repeatingGuestAnswer()
  }

  private func showingMarks() -> [StoreEdit] {
    entries.filter { $0.state.state == .closed }.map {
      .write(path.child("state-\($0.index)"), StateNode(.closing).description)
    }
  }

  /// Writes pciback's answer for the guest (8) if pciback itself no longer writes it.
  ///
  /// The kernel does not notice that a state was overwritten: it assumes that its answer was delivered
  /// (`__xenbus_switch_state`, Linux drivers/xen/xenbus/xenbus_client.c). The guest examines its bus and goes to 4,
  /// and pciback answers with 4. If pciback does not, it had not answered before: nothing was released.
  package func givingPCIBackAnswer() -> [StoreEdit] {
    showingMarks() + [.write(stateNode, StateNode(.reconfigured).description)]
  }

  /// Starts a round again that the guest has ended (4) and pciback never began; returns nil if the bus is not in that
  /// state.
  ///
  /// pciback believes that it is still connected, and does not write a state that it believes to have
  /// (`__xenbus_switch_state`). Allowed only after a wait without effect: if pciback did answer, it is about to write
  /// 4.
  package func restartingAnsweredRound() -> [StoreEdit]? {
    guard state.state == .reconfigured, frontEndState.state == .connected else { return nil }
    return showingMarks() + [.write(stateNode, StateNode(.reconfiguring).description)]
  }
}
