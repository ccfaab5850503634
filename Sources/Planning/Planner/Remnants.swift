import Model
import XenProtocol

/// What a guest still has of a device that its bus does not list.
enum Remnant {
  /// QEMU shows it: a forced `xl pci-detach` does not wait for that to end (`pci_remove_done`, libxl_pci.c, Xen 4.17).
  case emulated
  /// pciback exports it: libxl's removal leaves the bus of an HVM guest at 7, where pciback acts on nothing
  /// (`libxl__device_pci_remove_xenstore`, Xen 4.17; `xen_pcibk_be_watch`, Linux drivers/xen/xen-pciback/xenbus.c).
  case exported
  /// libxl's removal left the saved line, and nothing shows whether pciback still exports the device.
  case doubtful

  /// What shows the remnant, in words for a person.
  var evidence: String {
    switch self {
    case .emulated: "QEMU shows it to the guest, but the back end does not list it"
    case .exported: "pciback holds it for the guest, but the back end does not list it"
    case .doubtful:
      "libxl-json lists it, and the back end does not; nothing shows whether pciback still holds it for the guest"
    }
  }
}

extension ObservationIndex {
  /// The remnants in each HVM guest. A device that Xen or a claim gives to the guest is none: it is being attached.
  static func remnants(
    in domains: [Guest], among devices: DeviceTable, besides busy: [DomainKey: Set<PCIAddress>]
  ) -> [DomainID: [PCIAddress: Remnant]] {
    var found: [DomainID: [PCIAddress: Remnant]] = [:]
    for domain in domains where domain.route?.hasDeviceModel == true {
      for address in domain.exportedBeyondEntries {
        guard let device = devices[address], device.assignment != .assigned, device.claim != domain.id else {
          continue
        }
        found[domain.id, default: [:]][address] = .exported
      }
      for address in domain.doubtfulHolds(besides: busy[domain.key] ?? []) {
        guard let device = devices[address], device.facts?.isOnPCIBack == true, device.claim != domain.id,
          !domains.contains(where: { $0.entry(for: address)?.isExported == true })
        else { continue }
        found[domain.id, default: [:]][address] = .doubtful
      }
      var names = Set((domain.observed.emulated ?? []).map(\.name))
      names.subtract(domain.listed.map { DeviceModelName($0) })
      guard !names.isEmpty else { continue }
      let named = devices.all.filter { names.contains(DeviceModelName($0.address)) }
      // Names lack the segment. A name that fits a device which is being attached belongs to that device.
      let explained = Set(named.filter { $0.claim == domain.id }.map { DeviceModelName($0.address) })
      for device in named where device.assignment != .assigned {
        guard !explained.contains(DeviceModelName(device.address)),
          found[domain.id]?[device.address] != .doubtful
        else { continue }
        found[domain.id, default: [:]][device.address] = .emulated
      }
    }
    return found
  }
}

extension Guest {
  /// The devices that its saved configuration names, while its QEMU could not be asked.
  var savedUnasked: [PCIAddress] {
    guard route?.deviceModel == .upstream, observed.emulated == nil, wait == nil || lifecycle == .paused,
      observed.kept == nil
    else { return [] }
    return observed.savedAddresses.sorted()
  }

  /// The devices of which only the saved line is left, if pciback may still hold them.
  ///
  /// `xl pci-detach` leaves the line, and pciback at 7, where pciback releases nothing. What pciback does at 3 later
  /// releases nothing either, since the entry is gone.
  fileprivate func doubtfulHolds(besides busy: Set<PCIAddress>) -> [PCIAddress] {
    guard route?.hasFrontEndDriver == false, let backEnd, !backEnd.isGoing else { return [] }
    return observed.savedAddresses.sorted().filter { address in
      !lists(address) && !busy.contains(address) && BusHolds(backEnd, history).hold(of: address) == .unknown
    }
  }

  /// Devices that pciback still holds for this guest, though the bus does not list them any more.
  ///
  /// Berth saw each export, and nothing has made pciback release the device since.
  fileprivate var exportedBeyondEntries: [PCIAddress] {
    guard route?.hasFrontEndDriver == false, case .holding? = condition else { return [] }
    let places = Set(entries.compactMap(\.virtualAddress))
    return recorded.exports.filter { export in
      // If another device now has the place, the bus was recreated.
      export.domain == id && !lists(export.device) && export.virtualAddress.map { !places.contains($0) } == true
    }.map(\.device)
  }
}
