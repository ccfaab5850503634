import Model
import Planning
import Ports
import XenProtocol

/// Whether pciback exports a device whose entry is gone.
enum PriorExport {
  /// pciback does not hold it for the domain, or its entry shows.
  case none
  case at(PCIAddress)
  case unknown
}

/// Answers whether pciback exports devices that the domain has and that its bus does not list.
struct PriorExports {
  let session: DomainSession
  let records: DomainRecords
  let intents: IntentLog
  let removals: RemovalLedger

  /// Returns what is known of a device that the domain has already, by Xen's word.
  ///
  /// A device whose entry was never committed was never exported. If somebody overwrote its entry, it may still be
  /// exported. Then Berth's record of what it saw decides, or a kernel log without any export of the device.
  func find(_ device: PCIAddress) throws(HostError) -> PriorExport {
    guard let view = try session.view(claimsOn: [device]) else { return .none }
    guard view.backEnd.entry(for: device) == nil else { return .none }
    // Its removal has been completed. If no front end answers, pciback may have read no mark.
    if session.route.hasFrontEndDriver, removals.mayFinish.contains(device) { return .none }
    // pciback releases everything with the bus.
    if view.backEnd.condition == .absent || view.backEnd.condition == .vanishing { return .none }
    let export = try records.lastExport(of: device)
    guard view.claims[device] == session.key.id else {
      // Claims are written with the entries, so an unclaimed device was not published, or somebody detached it. If no
      // front end takes part, libxl's removal does not make pciback release the device.
      guard !session.route.hasFrontEndDriver, let address = export?.virtualAddress,
        !view.backEnd.entries.contains(where: { $0.virtualAddress == address })
      else { return .none }
      return .at(address)
    }
    if let export {
      guard let address = export.virtualAddress else { return .unknown }
      // pciback writes an entry's slot before its state 3. So the slot was free when that entry's device got it.
      let isGivenAgain = view.backEnd.entries.contains { $0.isExported && $0.virtualAddress == address }
      return isGivenAgain ? .none : .at(address)
    }
    // A removal changes the record once the guest has released the device, and only then removes the entry.
    if try intents.detachedByOthers().contains(device) { return .none }
    let log = session.host.tree.listenForExports(sinceBoot: true)
    guard let exports = try log?.exports() else { return .unknown }
    return exports.contains { $0.device == device && $0.domain == session.busID } ? .unknown : .none
  }
}
