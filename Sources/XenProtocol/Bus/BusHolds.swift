package import Model

/// What is known of pciback's exports besides what a bus lists.
package struct ExportHistory: Hashable, Sendable {
  /// Nothing is known.
  package static let unknown = ExportHistory()

  /// Where Berth last saw devices exported on this bus. Berth forgets an export before it deletes the entry.
  package var recorded: [PCIAddress: PCIAddress]
  /// The last export of each device since the host started; nil if the kernel log does not show all of them.
  package var logged: [PCIAddress: ExportRecord]?
  /// The devices that were last exported to another domain, which has released them.
  ///
  /// Either dom0's kernel no longer has that domain's bus: pciback released everything with it
  /// (`xen_pcibk_xenbus_remove`, Linux drivers/xen/xen-pciback/xenbus.c, 6.1). Or a pcifront is at the other end, and
  /// the bus does not list the device: an entry goes after the round in which pciback released it.
  package var released: Set<PCIAddress>

  package init(
    recorded: [PCIAddress: PCIAddress] = [:], logged: [PCIAddress: ExportRecord]? = nil,
    released: Set<PCIAddress> = []
  ) {
    (self.recorded, self.logged, self.released) = (recorded, logged, released)
  }

  /// Returns where recorded exports to one bus are.
  package static func places(of exports: [ExportRecord], on bus: DomainID) -> [PCIAddress: PCIAddress] {
    var places: [PCIAddress: PCIAddress] = [:]
    for export in exports where export.domain == bus { places[export.device] = export.virtualAddress }
    return places
  }

  /// Returns the last export of each device, by a log in order of time.
  package static func last(of exports: [ExportRecord]) -> [PCIAddress: ExportRecord] {
    Dictionary(exports.map { ($0.device, $0) }, uniquingKeysWith: { $1 })
  }
}

/// Whether pciback holds a device that no exported entry of a bus shows.
package enum Hold: Hashable, Sendable {
  /// pciback holds it for nobody.
  case none
  /// pciback holds it for this bus's guest, at this address of the guest.
  case at(PCIAddress)
  /// No store, record or log shows it. pciback ends the bus that requests a device which it holds
  /// (`xen_pcibk_export_device`, Linux drivers/xen/xen-pciback/xenbus.c, 6.1).
  case unknown
}

/// The entries of a bus as pciback may read them at 3.
enum Rest {
  case entries([BackEndEntry])
  /// pciback may hold this device already.
  case unsafe(PCIAddress)
}

extension BackEnd {
  /// Whether pciback acts on no entry of this HVM guest's bus until 3 is written.
  ///
  /// libxl writes 7 with its second attach and with each detach. At 7, pciback's watch does nothing
  /// (`libxl__device_pci_remove_xenstore`, Xen 4.17; `xen_pcibk_be_watch`, Linux
  /// drivers/xen/xen-pciback/xenbus.c, 6.1). So pciback still holds what libxl removed, and no node shows it.
  package var isUnsettled: Bool {
    guard !hasFrontEndDriver else { return false }
    return switch state.state {
    case .connected, .reconfiguring, .reconfigured: true
    case .unknown, .initialising, .initWait, .initialised, .closing, .closed, nil: false
    }
  }

  /// The devices that wait on an unsettled bus for pciback.
  package var unsettledRequests: [PCIAddress] {
    isUnsettled ? resumedEntries.filter { $0.state.state == .initialising }.compactMap(\.device) : []
  }

  /// The entries with the requests that `withoutRequests` hid, for pciback to read.
  var resumedEntries: [BackEndEntry] { hasFrontEndDriver ? entries : entries.resumed }
}

/// What pciback holds for the guest of one bus, by the bus's nodes and by what is known besides them.
package struct BusHolds {
  package let bus: BackEnd
  package let history: ExportHistory

  package init(_ bus: BackEnd, _ history: ExportHistory) { (self.bus, self.history) = (bus, history) }

  /// Returns whether pciback holds a device for this bus's guest although no exported entry shows it.
  ///
  /// An address that another entry shows proves that pciback has released what was there, and so does a later export
  /// to another domain.
  package func hold(of device: PCIAddress) -> Hold {
    if let place = history.recorded[device], !isTaken(place, besides: device) { return .at(place) }
    guard let logged = history.logged else { return .unknown }
    guard let last = logged[device], last.domain == bus.domain else { return .none }
    return isTaken(last.virtualAddress, besides: device) ? .none : .unknown
  }

  private func isTaken(_ place: PCIAddress?, besides device: PCIAddress) -> Bool {
    guard let place else { return true }
    return bus.entries.contains { $0.virtualAddress == place && $0.device != device }
  }

  /// Returns whether pciback holds a device that waits on this bus, for this guest or for another one.
  package func hold(ofWaiting device: PCIAddress) -> Hold {
    let own = hold(of: device)
    guard own == .none, let last = history.logged?[device], last.domain != bus.domain else { return own }
    return history.released.contains(device) ? .none : .unknown
  }

  /// Returns the first device whose request keeps 3 from being written to an unsettled bus: pciback may hold the device
  /// already, and would then end the bus. Returns nil if there is none.
  package func doubtfulRequest() -> PCIAddress? {
    guard bus.isUnsettled, case .unsafe(let device) = resting() else { return nil }
    return device
  }

  /// Returns the writes that make pciback act on an HVM guest's bus again; nil if pciback might then end it.
  package func settling(exportable: Set<PCIAddress>) -> [StoreEdit]? {
    guard bus.isUnsettled, case .entries(let rested) = resting() else { return nil }
    guard rested.hazard(exportable: exportable) == nil else { return nil }
    return bus.replacingEntries(with: rested, startRound: false) + bus.settlingAtRest()
  }

  /// Returns the entries as pciback may read them at 3.
  ///
  /// A request for a device that pciback holds already becomes the entry of an exported device, which pciback ignores.
  /// A finished removal without an address is left out, since pciback ends the bus over it.
  func resting(finishing finished: Set<PCIAddress> = []) -> Rest {
    guard bus.isUnsettled else { return .entries(bus.resumedEntries) }
    var rested: [BackEndEntry] = []
    for var entry in bus.resumedEntries {
      if let device = entry.device, entry.state.state == .initialising {
        switch hold(ofWaiting: device) {
        case .none: break
        case .unknown: return .unsafe(device)
        case .at(let place):
          entry.state = StateNode(.initialised)
          entry.virtualAddress = place
        }
      }
      if let device = entry.device, entry.isMarked, entry.virtualAddress == nil, finished.contains(device) { continue }
      rested.append(entry)
    }
    return .entries(rested)
  }

  /// Returns the first device whose exported entry becomes a request in `wanted` although pciback may hold the device.
  func doubtfulAgain(in wanted: [BackEndEntry]) -> PCIAddress? {
    guard !bus.hasFrontEndDriver else { return nil }
    let exported = Set(bus.entries.filter(\.isExported).compactMap(\.device))
    return wanted.first { entry in
      guard let device = entry.device, entry.state.state == .initialising else { return false }
      return exported.contains(device) && hold(ofWaiting: device) != .none
    }?.device
  }
}

extension [BackEndEntry] {
  /// Returns why pciback would end the bus if it acted on these entries; nil if it would not.
  ///
  /// pciback ends it over a request for a device that is not bound to pciback, and over a removal without `vdev-N`
  /// (`xen_pcibk_export_device`, `xen_pcibk_reconfigure`, Linux drivers/xen/xen-pciback/xenbus.c, 6.1).
  package func hazard(exportable: Set<PCIAddress>) -> String? {
    for entry in self {
      guard let device = entry.device else { continue }
      if entry.state.state == .initialising, !exportable.contains(device) {
        return "\(device) is not on pciback; asking for it would end the guest's PCI bus"
      }
      if entry.state.state == .closing, entry.virtualAddress == nil {
        return "\(device) is marked for removal and has no vdev node; a round would end the guest's PCI bus"
      }
    }
    return nil
  }

  /// These entries with the requests out of pciback's sight, if there is a removal to read.
  ///
  /// On a bus without a round, pciback reads all entries again after each of its own writes. A device that it exports
  /// in one reading gets the address that it has just freed. In the next reading it would release the device, over the
  /// same removal (`xen_pcibk_be_watch`, Linux drivers/xen/xen-pciback/xenbus.c, 6.1). pciback acts only on entries at
  /// 1 and 5.
  var withoutRequests: [BackEndEntry] {
    guard contains(where: { $0.state.state == .closing }) else { return self }
    return map { entry in
      var entry = entry
      if entry.state.state == .initialising { entry.state = StateNode(.initWait) }
      return entry
    }
  }

  /// These entries with the requests that `withoutRequests` hid.
  var resumed: [BackEndEntry] {
    map { entry in
      var entry = entry
      if entry.state.state == .initWait { entry.state = StateNode(.initialising) }
      return entry
    }
  }
}

extension PCIAddress {
  /// Says why 3 is not written to an unsettled bus that requests this device.
  package var doubt: String {
    "\(self) waits for pciback, and nothing shows whether pciback holds it already; if so, writing 3 would end the "
      + "guest's PCI bus"
  }
}
