import Model
import Ports
import XenProtocol

/// Devices that stay in a domain, or may, and use a range or an interrupt line of devices that it loses.
struct Sharers {
  /// What each uses according to sysfs, whether the domain has it or not.
  var grants: [PCIAddress: DeviceGrants] = [:]
  /// Those that the domain lists, or that somebody has claimed for it.
  var users: Set<PCIAddress> = []
}

extension ClaimLedger {
  /// Returns who shares something with `leaving`. The stores are asked only if some device of the host does.
  ///
  /// No transaction spans hypercalls: what another toolstack claims after this look is found by `grantAgain`. libxl
  /// claims a device before it grants anything, and lists it last (`libxl__device_pci_add`, libxl_pci.c, Xen 4.17).
  func sharers(with leaving: [PCIAddress: [DeviceGrants]]) throws(HostError) -> Sharers {
    var sharers = Sharers()
    for device in try session.host.tree.pcibackDevices()
    where leaving[device] == nil {
      guard let own = try hardware.grants(of: device) else { continue }
      if leaving.values.joined().contains(where: own.sharesAnything) { sharers.grants[device] = own }
    }
    guard !sharers.grants.isEmpty else { return sharers }
    guard let view = try session.view(claimsOn: sharers.grants.keys.sorted()) else { return sharers }
    // A claim outlives its entry for the moment between the end of a removal and the device's return to Xen.
    let removed = removals.mayFinish.union(try intents.detachedByOthers())
    sharers.users = Set(sharers.grants.keys.filter { view.claims[$0] == session.key.id && !removed.contains($0) })
      .union(view.backEnd.entries.compactMap(\.device))
    return sharers
  }

  /// Grants again what went with `leaving` to a device that another toolstack has claimed since `sharers` were found.
  ///
  /// A device that it claims after this look is also granted after it.
  func grantAgain(_ leaving: [PCIAddress: [DeviceGrants]], _ sharers: Sharers) throws(HostError) {
    let now = try self.sharers(with: leaving)
    for device in now.users.subtracting(sharers.users).sorted() {
      if let own = now.grants[device] { try grant(own) }
    }
  }

  /// Returns the grants of the devices that share something with `grants`. These are the users that were found, and the
  /// devices that this run holds or another Berth is about to list.
  ///
  /// The other Berth writes an intent before it grants, so the intents are read last.
  func users(of grants: DeviceGrants, among sharers: Sharers) throws(HostError) -> [DeviceGrants] {
    let near = sharers.grants.filter { $0.value.sharesAnything(with: grants) }
    guard !near.isEmpty else { return [] }
    let coming = try intents.devices(othersNow: .attach)
    let users = sharers.users.union(holding).union(coming)
    return near.filter { users.contains($0.key) }.map(\.value)
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
