import Model
import Planning
import Ports
import XenProtocol

extension DomainWorker {
  /// Puts the entries of devices to detach back where somebody overwrote them while the guest has the devices: without
  /// an entry the guest cannot be asked to let go. Returns the steps that can go on.
  func restoreEntries(of steps: [Removal]) throws(Stop) -> [Removal] {
    let listed = try listedDevices()
    var ready: [Removal] = []
    var overwritten: [(step: Removal, wanted: Wanted)] = []
    for step in steps {
      guard !listed.contains(step.device) else {
        ready.append(step)
        continue
      }
      switch try prior(step.device) {
      case .none: ready.append(step)
      case .at(let address):
        let options = step.options ?? DeviceOptions()
        overwritten.append((step, Wanted(device: step.device, options: options, exportedAt: address)))
      case .unknown:
        conclude(
          [step], .blocked,
          "\(DriftName.overwritten.rawValue): its entry is gone, and nothing tells whether the guest still has it. "
            + "Restarting the domain settles it")
      }
    }
    guard !overwritten.isEmpty else { return ready }
    if try restore(overwritten.map(\.wanted)) { return ready + overwritten.map(\.step) }
    conclude(
      overwritten.map(\.step), .unknown, "its entry was overwritten, and the bus did not come to rest to mend it")
    return ready
  }

  /// Lists devices again that somebody took off the bus of an HVM guest after this run had looked, while pciback
  /// exports them: without an entry it cannot be told to let go. False where there are none.
  func relistExported(_ steps: [Removal]) throws(Stop) -> Bool {
    guard !route.hasFrontEndDriver else { return false }
    let view = try look(claimsOn: steps.map(\.device))
    var wanted: [Wanted] = []
    // What still has its claim nobody detached: this run has just taken its whole bus away, and pciback let go.
    for step in steps where view.backEnd.entry(for: step.device) == nil && view.claims[step.device] != key.id {
      guard case .at(let address) = try prior(step.device) else { continue }
      wanted.append(Wanted(device: step.device, options: step.options ?? DeviceOptions(), exportedAt: address))
    }
    guard !wanted.isEmpty else { return false }
    return try restore(wanted)
  }

  /// The devices that the back end names now. One that an index passed over is looked for again, in a transaction.
  private func listedDevices() throws(Stop) -> Set<PCIAddress> {
    let back = StorePath.backEnd(busID)
    let count = DeviceCount(try read(back.child("num_devs"))).number ?? 0
    var devices: Set<PCIAddress> = []
    for index in 0..<count {
      if let device = try read(back.child("\(EntryNode.dev.rawValue)-\(index)")).flatMap({ PCIAddress($0) }) {
        devices.insert(device)
      }
    }
    return devices
  }

  private func prior(_ device: PCIAddress) throws(Stop) -> PriorExport {
    do throws(HostError) { return try priorExport(of: device) } catch { throw .failed(error) }
  }

  /// Lists devices again that pciback exports; false where the bus does not come to rest.
  private func restore(_ wanted: [Wanted]) throws(Stop) -> Bool {
    // Each pass but the last waits for somebody else's change.
    for _ in 0..<4 {
      let exportable = try pcibackDevices()
      let decision = try locked { (_) throws(HostError) -> AttachDecision? in
        try transact { view in
          guard view.backEnd.condition != .connecting else { return (.wait(.connecting), []) }
          let decision = view.backEnd.attachDecision(
            wanted, named: busName, mode: mode, finishing: finished, exportable: exportable)
          if case .publish(let edits, _) = decision { return (decision, edits) }
          return (decision, [])
        }
      }
      switch decision {
      case .publish(_, let startsRound)?:
        if startsRound { noteRound() }
        return true
      case .alreadyListed?: return true
      case .wait(let condition)?: guard case .satisfied = try awaitRest(from: condition) else { return false }
      case .refuse?, nil: return false
      }
    }
    return false
  }
}
