package import Model

/// Puts together a manifest from the configurations of another tool, with what the host knows of their domains and
/// devices.
package struct ConfigurationImport {
  private let index: ObservationIndex?
  private let inventory: Inventory?
  private var manifest: ImportedManifest
  /// Which domain has each device, as `functions: all` may have it too.
  private var holders: [PCIAddress: Name] = [:]

  /// `index` and `inventory` are nil if Xen, or sysfs, could not be asked.
  package init(hostName: String?, index: ObservationIndex?, inventory: Inventory?) {
    self.index = index
    self.inventory = inventory
    manifest = ImportedManifest(hostName: hostName)
  }

  /// Returns the manifest of these domains. `canName` returns whether a manifest can have the name of a domain.
  package func manifest(of domains: [ConfiguredDomain], canName: (Name) -> Bool) -> ImportedManifest {
    var copy = self
    for domain in domains { copy.add(domain, canName: canName) }
    copy.manifest.nameDevices()
    return copy.manifest
  }

  private mutating func add(_ configured: ConfiguredDomain, canName: (Name) -> Bool) {
    guard !configured.devices.isEmpty || !configured.remarks.isEmpty else { return }
    var domain = ImportedDomain(
      name: configured.name, uuid: configured.uuid, kind: configured.kind,
      remarks: configured.remarks.map(ImportRemark.configuration))
    domain.file = configured.file
    let twin = manifest.domains.first { other in
      other.name == configured.name || configured.uuid != nil && other.uuid == configured.uuid
    }
    if !canName(configured.name) {
      domain.leaveOut(.domainName)
    } else if let twin {
      domain.leaveOut(.declaredTwice(file: twin.file ?? ""))
    }
    place(&domain)
    let slots = Dictionary(
      configured.devices.compactMap(\.options.virtualSlot).map { ($0, 1) }, uniquingKeysWith: +)
    domain.devices = configured.devices.map { device in
      self.device(device, of: domain, isShared: device.options.virtualSlot.map { slots[$0, default: 0] > 1 } ?? false)
    }
    if !domain.isLeftOut { claim(&domain) }
    manifest.domains.append(domain)
  }

  /// Notes which domain of the host is meant.
  private func place(_ domain: inout ImportedDomain) {
    guard let index else { return }
    let named = index.guests[domain.name] ?? []
    let same = domain.uuid.flatMap { uuid in index.domains.first { $0.uuid == uuid && $0.stubDomainOf == nil } }
    guard let guest = same ?? named.first else {
      domain.remarks.append(.domainAbsent)
      return
    }
    domain.id = guest.id
    domain.lifecycle = guest.lifecycle
    domain.stubDomain = guest.observed.stubDomain
    if guest.name != domain.name {
      domain.remarks.append(.otherName(guest.name))
    } else if let uuid = domain.uuid, guest.uuid != uuid {
      domain.remarks.append(.otherUUID(guest.uuid))
    }
  }

  private func device(
    _ configured: ConfiguredDevice, of domain: ImportedDomain, isShared: Bool
  ) -> ImportedDevice {
    var device = ImportedDevice(configured.address, options: configured.options, in: inventory)
    device.remarks = configured.remarks.map(ImportRemark.configuration)
    device.line = configured.line
    device.selector.takesAllFunctions = configured.takesAllFunctions
    if let slot = device.options.virtualSlot {
      let obstacle: SlotObstacle? =
        domain.kind != .hvm ? .kind : isShared ? .shared : configured.takesAllFunctions ? .wholeSlot : nil
      if let obstacle {
        device.remarks.append(.slot(slot, obstacle))
        device.options.virtualSlot = nil
      }
    }
    if inventory != nil {
      if device.function == nil {
        device.leaveOut(.deviceAbsent)
      } else if device.function?.isBridge == true {
        device.leaveOut(.bridge)
      } else if let function = device.function, !function.isOnPCIBack, function.unread[.driver] == nil {
        device.remarks.append(.notOnPCIBack(driver: function.driver))
      }
    }
    return device
  }

  /// Notes which devices the domain has, and leaves out those that are declared already.
  private mutating func claim(_ domain: inout ImportedDomain) {
    for position in domain.devices.indices where !domain.devices[position].isLeftOut {
      let device = domain.devices[position]
      let meant =
        device.selector.takesAllFunctions
        ? (0..<8).map { PCIAddress(sbdf: device.address.sbdf & ~7 | $0) } : [device.address]
      if let holder = meant.compactMap({ holders[$0] }).first {
        domain.devices[position].leaveOut(.listedTwice(holder))
      } else {
        for address in meant { holders[address] = domain.name }
      }
    }
  }
}
