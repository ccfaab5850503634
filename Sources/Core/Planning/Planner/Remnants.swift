/// What a guest still has of a device that its bus does not list.
enum Remnant {
  /// QEMU shows it: a forced `xl pci-detach` does not wait for that to end (`pci_remove_done`, libxl_pci.c, Xen 4.17).
  case emulated
  /// pciback exports it: libxl's removal leaves the bus of an HVM guest at 7, where pciback acts on nothing
  /// (`libxl__device_pci_remove_xenstore`, Xen 4.17; `xen_pcibk_be_watch`, Linux drivers/xen/xen-pciback/xenbus.c).
  case exported
}

extension ObservationIndex {
  /// The remnants in each HVM guest. A device that Xen or a claim gives to the guest is none: it is being attached.
  static func remnants(
    in domains: [Guest], among devices: [ObservedDevice], _ records: [OwnershipRecord]
  ) -> [DomainID: [PCIAddress: Remnant]] {
    var found: [DomainID: [PCIAddress: Remnant]] = [:]
    lazy var byAddress = Dictionary(devices.map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    for domain in domains where domain.route?.hasDeviceModel == true {
      for address in domain.exportedBeyondEntries(records) {
        guard let device = byAddress[address], device.assignment != .assigned, device.claim != domain.id else {
          continue
        }
        found[domain.id, default: [:]][address] = .exported
      }
      var names = Set((domain.observed.emulated ?? []).map(\.name))
      names.subtract(domain.entries.compactMap(\.device).map { DeviceModelName($0) })
      guard !names.isEmpty else { continue }
      let named = devices.filter { names.contains(DeviceModelName($0.address)) }
      // Names lack the segment: where one fits a device that is being attached, it is that device's.
      let explained = Set(named.filter { $0.claim == domain.id }.map { DeviceModelName($0.address) })
      for device in named where device.assignment != .assigned {
        guard !explained.contains(DeviceModelName(device.address)) else { continue }
        found[domain.id, default: [:]][device.address] = .emulated
      }
    }
    return found
  }
}

extension Planner {
  /// What remnants make of a device that nobody else holds: it leaves where it is before it is given away.
  func remnantNeed(_ wanted: DesiredDevice, in domain: Guest) -> Need? {
    let others = (index.remnantHolders[wanted.address] ?? []).filter { $0 != domain.id }.compactMap { index.living[$0] }
    guard let other = others.first else { return unaskedNeed(wanted, besides: domain) }
    let evidence = "\(other.name) (domain \(other.id)): \(evidence(of: index.remnants[other.id]?[wanted.address]))"
    guard others.count == 1 else {
      return Need(
        .blocked(.attachedElsewhere), evidence: evidence + "; the same is true of \(others.count - 1) more domains",
        remedy: "restart these domains")
    }
    var held = heldNeed(wanted, by: other.id)
    held.evidence = evidence
    if case .blocked = held.kind { held.remedy = "restart \(other.name), or let Berth remove the device from it" }
    return held
  }

  /// The saved line of a device that xl detached is all that tells of it while QEMU cannot be asked.
  private func unaskedNeed(_ wanted: DesiredDevice, besides domain: Guest) -> Need? {
    let other = index.unasked[wanted.address]?.first { $0 != domain.id }.flatMap { index.living[$0] }
    return other.map { other in
      Need(
        .blocked(.attachedElsewhere),
        evidence: "\(other.name) (domain \(other.id)) had it, and its QEMU cannot be asked whether it still shows it",
        remedy: "apply again; if QEMU of \(other.name) is gone, restart the domain")
    }
  }

  /// The same in the guest that is to get the device: what is left of it goes first, since it is of no use any more.
  func ownRemnantNeed(_ wanted: DesiredDevice, in domain: Guest) -> Need? {
    guard let remnant = index.remnants[domain.id]?[wanted.address] else { return nil }
    let name = DeviceModelName(wanted.address)
    let rival = index.remnants[domain.id]?.keys.first { $0 != wanted.address && DeviceModelName($0) == name }
    if let rival, !mayRemove(rival, from: domain) {
      return Need(
        .blocked(.nameCollision), evidence: "QEMU shows the guest it or \(rival): both have the name \(name)",
        remedy: "restart the domain")
    }
    let reason: ReattachReason =
      switch remnant {
      case .emulated: .deviceModelOnly
      case .exported: .halfRemoved
      }
    return Need(
      .change(.reattach(from: nil, to: wanted.options, because: reason)), evidence: evidence(of: remnant))
  }

  /// Remnants of devices that are not declared here.
  func remnantSteps(
    in domain: Guest, declaring declared: Set<PCIAddress>, besides shown: Set<PCIAddress>
  ) -> [DeviceStep] {
    guard let remnants = index.remnants[domain.id], case .open(let target) = domain.access else { return [] }
    let explained = Set(shown.union(declared).map { DeviceModelName($0) })
    return remnants.sorted { $0.key < $1.key }.compactMap { device, remnant in
      guard !shown.contains(device), !declared.contains(device) else { return nil }
      if remnant == .emulated, explained.contains(DeviceModelName(device)) { return nil }
      if movesOut(device, of: domain) { return nil }
      let isRemoved = mayRemove(device, from: domain) && index.listings[device] == nil
      let (because, name): (DetachReason, DriftName) =
        switch remnant {
        case .emulated: (.deviceModelOnly, .deviceModelOnly)
        case .exported: (.halfRemoved, .halfRemoved)
        }
      return undeclared(
        device, isRemoved ? .change(.detach(nil, because: because), in: target) : .drift(name), in: domain,
        evidence: evidence(of: remnant))
    }
  }

  private func evidence(of remnant: Remnant?) -> String {
    remnant == .exported
      ? "pciback holds it for the guest, but the back end does not list it"
      : "QEMU shows it to the guest, but the back end does not list it"
  }
}

extension Guest {
  /// The devices that its saved configuration names, while its QEMU could not be asked.
  var savedUnasked: [PCIAddress] {
    guard route?.deviceModel == .upstream, observed.emulated == nil, wait == nil || lifecycle == .paused,
      case .devices(let saved) = saved
    else { return [] }
    return saved.map(\.address)
  }

  /// Devices that Berth saw pciback export to this guest, that the bus does not list any more, and that nothing has
  /// made pciback let go of since.
  fileprivate func exportedBeyondEntries(_ records: [OwnershipRecord]) -> [PCIAddress] {
    guard route?.hasFrontEndDriver == false, case .holding? = condition else { return [] }
    let places = Set(entries.compactMap(\.virtualAddress))
    return records.filter { $0.uuid == uuid }.flatMap(\.exports).filter { export in
      // A place that another device has now tells that the bus was made anew.
      export.domain == id && entry(for: export.device) == nil
        && export.virtualAddress.map { !places.contains($0) } == true
    }.map(\.device)
  }
}
