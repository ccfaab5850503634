import Model
import Planning
import Ports
import XenProtocol

/// The removals that can go on.
struct RestoredRemovals {
  var steps: [Removal]
  /// The devices among them that the bus listed. If an entry is gone afterwards, somebody has overwritten the entry.
  var listed: Set<PCIAddress>
}

/// Lists devices again that the guest has and that the bus no longer lists.
struct EntryRestorer {
  let session: DomainSession
  let report: RunReport
  let removals: RemovalLedger
  let exports: PriorExports
  let waits: BusWait

  /// Puts the entries of devices to detach back if somebody overwrote them and the guest still has the devices. Without
  /// an entry, the guest cannot be asked to release a device, nor pciback. The others are reported.
  func restoreEntries(of steps: [Removal]) throws(EngineError) -> RestoredRemovals {
    let listed = try listedDevices()
    var ready = RestoredRemovals(steps: [], listed: listed.intersection(steps.map(\.device)))
    var overwritten: [(step: Removal, wanted: NewEntry)] = []
    for step in steps {
      guard !listed.contains(step.device) else {
        ready.steps.append(step)
        continue
      }
      switch try prior(step.device) {
      case .none: ready.steps.append(step)
      case .at(let address):
        let options = step.options ?? DeviceOptions()
        overwritten.append((step, NewEntry(device: step.device, options: options, exportedAt: address)))
      case .unknown:
        report.conclude(
          [step], .blocked,
          OutcomeDetail(.entryGoneUnclear))
      }
    }
    guard !overwritten.isEmpty else { return ready }
    if try restore(overwritten.map(\.wanted)) {
      ready.steps += overwritten.map(\.step)
      ready.listed.formUnion(overwritten.map(\.step.device))
      return ready
    }
    report.conclude(
      overwritten.map(\.step), .unknown, OutcomeDetail(.restlessOverwritten))
    return ready
  }

  /// Returns whether pciback may still export a device that the bus no longer lists.
  ///
  /// If Xen says that no guest has it, libxl has detached it: libxl returns a device to Xen before it touches the entry
  /// (`pci_remove_detached`, libxl_pci.c, Xen 4.17).
  func mayBeExported(_ device: PCIAddress) throws(HostError) -> Bool {
    if try session.host.hypervisor.probe(device, for: nil) == .free { return false }
    if case .none = try exports.find(device) { return false }
    return true
  }

  /// Returns the devices that the back end names now. A device that is missing here is looked for in a transaction.
  private func listedDevices() throws(EngineError) -> Set<PCIAddress> {
    let back = StorePath.backEnd(session.busID)
    let count = DeviceCount(try session.read(back.child("num_devs"))).number ?? 0
    var devices: Set<PCIAddress> = []
    for index in 0..<count {
      if let device = try session.read(back.child("\(EntryNode.dev.rawValue)-\(index)")).flatMap({ PCIAddress($0) }) {
        devices.insert(device)
      }
    }
    return devices
  }

  private func prior(_ device: PCIAddress) throws(EngineError) -> PriorExport {
    do throws(HostError) { return try exports.find(device) } catch { throw .host(error) }
  }

  /// Lists devices again that pciback exports. Returns false if the bus does not come to rest.
  private func restore(_ wanted: [NewEntry]) throws(EngineError) -> Bool {
    // Each pass but the last waits for somebody else's change.
    for _ in 0..<4 {
      let decision = try session.locked { (lock) throws(HostError) -> AttachDecision? in
        let asked = session.route.hasFrontEndDriver ? [] : wanted.map(\.device)
        let decision = try lock.decideExport(asking: asked) { view, pciback -> (AttachDecision, [StoreEdit]) in
          guard view.backEnd.condition != .connecting else { return (.wait(.connecting), []) }
          let decision = view.backEnd.attachDecision(
            wanted, named: session.busName, mode: session.mode, finishing: removals.mayFinish,
            exportable: pciback.exportable, knowing: pciback.history)
          return (decision, decision.edits)
        }
        if case .publish(_, startsRound: true)? = decision { lock.roundStarted() }
        return decision
      }
      switch decision {
      case .publish?, .alreadyListed?: return true
      case .showMarks?: guard try waits.awaitSilentRelease() else { return false }
      case .wait(let condition)?: guard case .satisfied = try waits.awaitRest(from: condition) else { return false }
      case .refuse?, nil: return false
      }
    }
    return false
  }
}
