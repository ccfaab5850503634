// The writes of each kind of change to a PV bus. All are decided from one transaction's reads and done in it.

extension BackEnd {
  private var path: StorePath { .backEnd(domain) }
  private var stateNode: StorePath { path.child("state") }

  /// Makes back and front end with the whole batch of first devices.
  ///
  /// Nodes, values and permissions are those of `libxl__create_pci_backend` and
  /// `libxl_create_pci_backend_device` (Xen 4.17). Both states are 1: dom0's kernel probes a back end only if it
  /// reads 1 when first seen (`xenbus_probe_node`, Linux drivers/xen/xenbus/xenbus_probe.c).
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
  /// `startRound` asks both ends to look again (state 7). All nodes of an entry move together: the virtual
  /// address is what later removals go by.
  package func replacingEntries(
    with wanted: [BackEndEntry], startRound: Bool
  ) -> [StoreEdit] {
    var edits: [StoreEdit] = []
    for (index, entry) in wanted.enumerated() {
      let before = index < entries.count ? entries[index] : orphans.first { $0.index == index }
      edits += entry.edits(at: index, replacing: before, in: path)
    }
    for stale in entries.dropFirst(wanted.count) { edits += stale.removals(in: path) }
    // A left-over entry of a device that is listed again says nothing any more.
    for orphan in orphans where orphan.index >= wanted.count && wanted.contains(where: { $0.device == orphan.device }) {
      edits += orphan.removals(in: path)
    }
    if count != .number(wanted.count) { edits.append(.write(path.child("num_devs"), String(wanted.count))) }
    if startRound { edits.append(.write(stateNode, StateNode(.reconfiguring).description)) }
    return edits
  }

  /// Marks these devices for removal and starts the round.
  package func marking(_ devices: Set<PCIAddress>) -> [StoreEdit] {
    let marked = entries.map { entry in
      var entry = entry
      if let device = entry.device, devices.contains(device) { entry.state = StateNode(.closing) }
      return entry
    }
    return replacingEntries(with: marked, startRound: hasFrontEndDriver) + settlingAtRest()
  }

  /// Brings a bus that nobody answers back to where pciback acts on its entries; nothing for one that is there, or
  /// that has a front end.
  package func settlingAtRest() -> [StoreEdit] {
    guard !hasFrontEndDriver, state.state != .initialised else { return [] }
    return [.write(stateNode, StateNode(.initialised).description)]
  }

  /// Asks both ends to look again, with no other change.
  package func requestingRound() -> [StoreEdit] { [.write(stateNode, StateNode(.reconfiguring).description)] }

  /// Asks the guest to let the empty bus go; it answers by closing its side.
  package func closing() -> [StoreEdit] {
    [.write(path.child("online"), "0"), .write(stateNode, StateNode(.closing).description)]
  }

  /// Takes both directories away, with the parents that would stay empty, as libxl does.
  ///
  /// dom0's kernel drops its object when the back end is gone.
  package func removal() -> [StoreEdit] {
    [.remove(.backEnd(domain)), .remove(.backEndHome(domain))] + frontEndRemoval()
  }

  /// Takes the guest's directory away so that the guest notices, then its parent (`libxl__xs_path_cleanup`).
  ///
  /// The parent alone would do for the store, but a watch above it is told only of the path that was named, and a
  /// kernel looks only at one deep enough for a device (`xenbus_dev_changed`, Linux drivers/xen/xenbus/xenbus_probe.c):
  /// it would keep its old bus and never answer a new one.
  package func frontEndRemoval() -> [StoreEdit] { [.remove(.frontEnd(domain)), .remove(.frontEndHome(domain))] }

  /// Takes a round back from a guest known to sleep: entries as they were before it, state 4.
  ///
  /// Only for 7 with a front end at 4, and only where the domain has been paused since before the 7 was written: a guest
  /// that ran since may have read it, and would then finish a round that is no longer there.
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

  /// Whether the guest has done its half of a round (7), and pciback reads no round it would act on.
  ///
  /// Either the round was taken back under the guest (4), or another toolstack asked for a new one over pciback's
  /// answer to the old (7): each end then waits for the other.
  package var isRoundStuck: Bool {
    frontEndState.state == .reconfiguring && (state.state == .connected || state.state == .reconfiguring)
  }

  /// Lets a guest connect that a round was begun under: pciback connects before the guest does, libxl looks at pciback's
  /// state alone, and a guest that has not connected ignores the round (`pcifront_detach_devices`, Linux
  /// drivers/pci/xen-pcifront.c). Nil where that is not so. pciback takes no notice of either write.
  package func lettingGuestConnect() -> [StoreEdit]? {
    guard hasFrontEndDriver, state.state == .reconfiguring, frontEndState.state == .initialised else { return nil }
    return [.write(stateNode, StateNode(.connected).description)]
  }

  /// Shows pciback the guest's half of the round again.
  ///
  /// Only where `isRoundStuck`. Both nodes in one transaction: pciback acts on the front end's 7 only while the back
  /// end reads 7 (`xen_pcibk_reconfigure`), and on any write to it, also of the same value.
  package func repeatingGuestAnswer() -> [StoreEdit] {
    [
      .write(stateNode, StateNode(.reconfiguring).description),
      .write(StorePath.frontEnd(domain).child("state"), StateNode(.reconfiguring).description),
    ]
  }

  /// The same with every mark in sight: that one was passed proves nothing where pciback never answered.
  package func repeatingWholeRound() -> [StoreEdit] { showingMarks() + repeatingGuestAnswer() }

  /// Takes the first mark from pciback's sight (6), and shows it the guest's answer again; nil where there is no mark.
  ///
  /// pciback gives a round up at the first mark whose device it does not hold, as it is in the second round over one mark:
  /// what is marked behind it stays exported (`xen_pcibk_reconfigure`). Once a round was repeated in vain, the first mark
  /// names what it has released: held no more, or released on the way to a later one. That it was at work at all is
  /// proven by its answer, which must come from itself.
  package func passingFirstMark() -> [StoreEdit]? {
    guard let entry = entries.first(where: { $0.state.state == .closing }) else { return nil }
    return [.write(path.child("state-\(entry.index)"), StateNode(.closed).description)] + repeatingGuestAnswer()
  }

  private func showingMarks() -> [StoreEdit] {
    entries.filter { $0.state.state == .closed }.map {
      .write(path.child("state-\($0.index)"), StateNode(.closing).description)
    }
  }

  /// Gives pciback's answer to the guest (8) where pciback itself no longer writes it.
  ///
  /// A state that was written over is not in the kernel's memory of its own: it takes its answer for given
  /// (`__xenbus_switch_state`, Linux drivers/xen/xenbus/xenbus_client.c). The guest looks at its bus and goes to 4,
  /// which pciback answers with 4. Where it does not, it had not answered: nothing was released.
  package func givingPCIBackAnswer() -> [StoreEdit] {
    showingMarks() + [.write(stateNode, StateNode(.reconfigured).description)]
  }

  /// Begins a round anew that the guest has ended (4) and pciback never began: it takes itself to be connected still, and
  /// writes no state that it believes to have (`__xenbus_switch_state`). Nil where that is not so.
  ///
  /// Only after a wait in vain: pciback is about to write 4 where it did answer.
  package func restartingAnsweredRound() -> [StoreEdit]? {
    guard state.state == .reconfigured, frontEndState.state == .connected else { return nil }
    return showingMarks() + [.write(stateNode, StateNode(.reconfiguring).description)]
  }
}
