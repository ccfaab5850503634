import Core

/// Who else in the domain uses a range or an interrupt line of a device that it loses.
extension DomainWorker {
  /// What each device that pciback has could use. Only sysfs is read, so a batch of devices needs it once.
  func assignableDevices() throws(HostError) -> [PCIAddress: DeviceGrants] {
    var all: [PCIAddress: DeviceGrants] = [:]
    for device in try asHostError({ () throws(DeviceTreeError) in try host.tree.pcibackDevices() }) {
      all[device] = try grants(of: device)
    }
    return all
  }

  /// What a device could use; nothing where it has gone from the host.
  func grants(of device: PCIAddress) throws(HostError) -> DeviceGrants {
    do throws(DeviceTreeError) { return try host.tree.grants(for: device) } catch {
      guard error.code == .missing else { throw .tree(error) }
      return DeviceGrants(resources: [], interrupt: nil)
    }
  }

  /// What those of the domain's other devices use that share something with `grants`: devices listed, those that this
  /// or another Berth is about to list, and those that another toolstack has claimed for the domain.
  ///
  /// The stores are asked only where some device of the host shares anything; then they are asked anew, since others may
  /// have published since. libxl claims a device before it grants anything, and lists it last (`libxl__device_pci_add`,
  /// libxl_pci.c, Xen 4.17); Berth's claims come with the entries, and its intents before its grants.
  func users(
    of grants: DeviceGrants, besides device: PCIAddress, among assignable: [PCIAddress: DeviceGrants]
  ) throws(HostError) -> [DeviceGrants] {
    let sharers = assignable.filter { $0.key != device && $0.value.sharesAnything(with: grants) }
    guard !sharers.isEmpty else { return [] }
    let coming = try intents().filter { intent in
      intent.isLive && intent.domain == key && intent.operation == .attach && !ownIntents.contains(intent.identifier)
    }
    let view = try transact(claimsOn: sharers.keys.sorted()) { ($0, []) }
    // A claim outlives its entry for the moment between the end of a removal and the device's return to Xen.
    let leaving = finished.union(try detachedByBerth())
    let claimed = sharers.keys.filter { view?.claims[$0] == key.id && !leaving.contains($0) }
    let staying = holding.union(coming.flatMap(\.devices)).union(claimed)
      .union((view?.backEnd.entries ?? []).compactMap(\.device))
    return sharers.filter { staying.contains($0.key) }.map(\.value)
  }
}

extension DeviceGrants {
  /// Whether two devices have an interrupt line or some range in common.
  fileprivate func sharesAnything(with other: DeviceGrants) -> Bool {
    (interrupt != nil && interrupt == other.interrupt) || other.resources.contains(where: shares)
  }

  /// Whether some range of these overlaps a resource, in the units that are granted.
  func shares(_ resource: DeviceResource) -> Bool {
    resources.contains { own in
      guard own.space == resource.space else { return false }
      return own.space == .memory ? own.frames.overlaps(resource.frames) : own.range.overlaps(resource.range)
    }
  }
}
