import Core

/// Whether pciback exports a device whose entry is gone.
enum PriorExport {
  /// pciback does not hold it for the domain, or its entry is there to tell.
  case none
  case at(PCIAddress)
  case unknown
}

/// Tells of devices that the domain has, and that its bus does not list.
struct PriorExports {
  let session: DomainSession
  let records: DomainRecords
  let intents: IntentLog
  let removals: RemovalLedger

  /// Returns what is known of a device that the domain has already, by Xen's word.
  ///
  /// A device whose entry was never committed was never exported. One that was, and whose entry somebody overwrote,
  /// may be exported still: Berth's record of what it saw tells, or a kernel log that speaks of no export at all.
  func find(_ device: PCIAddress) throws(HostError) -> PriorExport {
    guard let view = try session.view(claimsOn: [device]) else { return .none }
    guard view.backEnd.entry(for: device) == nil else { return .none }
    // This run has seen its removal through; where no front end answers, pciback may have read no mark.
    if session.route.hasFrontEndDriver, removals.mayFinish.contains(device) { return .none }
    // pciback releases everything with the bus.
    if view.backEnd.condition == .absent || view.backEnd.condition == .vanishing { return .none }
    let export = try records.lastExport(of: device)
    guard view.claims[device] == session.key.id else {
      // Claims are written with the entries, so an unclaimed device was not published, or somebody detached it. Where
      // no front end takes part, libxl's removal does not make pciback let go.
      guard !session.route.hasFrontEndDriver, let address = export?.virtualAddress,
        !view.backEnd.entries.contains(where: { $0.virtualAddress == address })
      else { return .none }
      return .at(address)
    }
    if let export { return export.virtualAddress.map(PriorExport.at) ?? .unknown }
    // A removal strikes the record out once the guest has let go, and only then takes the entry away.
    if try intents.detachedByOthers().contains(device) { return .none }
    let log = session.host.tree.listenForExports(sinceBoot: true)
    guard let exports = try log?.exports() else { return .unknown }
    return exports.contains { $0.device == device && $0.domain == session.busID } ? .unknown : .none
  }
}
