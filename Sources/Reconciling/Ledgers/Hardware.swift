import Model
import Planning
import Ports
import XenProtocol

/// What became of the permission to write a device's whole configuration space.
enum PermissionEnd {
  /// It is as wanted, or the guest has the device already.
  case settled
  case stays(OutcomeDetail)
  /// The device has no driver now: pciback released it, and did not take it again.
  case unbound
}

/// What is done to a device itself, and only to the device that is meant.
///
/// The address alone does not say which device that is. A card may have been pulled, replaced, or given to a driver of
/// the host since the plan was made.
struct Hardware {
  let session: DomainSession

  /// Returns whether the device at the address is on pciback and is `recorded`. If nobody recorded what the device was,
  /// any device of pciback's counts.
  func isMeant(_ device: PCIAddress, _ recorded: DeviceIdentity?) throws(HostError) -> Bool {
    guard let card = try Card(at: device, on: session.host), card.facts.isOnPCIBack else { return false }
    return recorded == nil || card.identity == recorded
  }

  /// Returns whether a device that this domain loses may be reset: it is the one that is meant, Xen has not taken it
  /// from the domain yet, and nobody has claimed it for another domain.
  ///
  /// Xen does not name an owner. libxl claims a device in xenstore before it asks Xen for the device
  /// (`libxl__device_pci_add`, libxl_pci.c, Xen 4.17).
  func mayResetLost(_ device: PCIAddress, _ recorded: DeviceIdentity?) throws(HostError) -> Bool {
    guard try isMeant(device, recorded), try session.host.hypervisor.probe(device, for: nil) != .free else {
      return false
    }
    let claim = try session.claim(on: device)
    return claim == nil || claim == session.key.id.description
  }

  /// Makes pciback forget that a guest may write the device's whole configuration space, if it is not to be so.
  ///
  /// pciback keeps that permission until the device is unbound, so the device is unbound and bound again. The caller must
  /// have claimed the device, which is the one that is meant. Nothing is done for a domain whose device model writes the
  /// configuration space, for pciback does not guard that space then.
  ///
  /// Returns why the permission stays; nil if nothing stands in the way any more. A device that this domain's bus lists
  /// stays bound: the guest may have it.
  func endPermissive(_ device: PCIAddress, wanted: Bool) throws(HostError) -> PermissionEnd {
    let tree = session.host.tree
    guard !wanted, session.route.hasFrontEndDriver, try tree.permissiveDevices()?.contains(device) != false else {
      return .settled
    }
    if let lister = try session.lister(of: device) {
      if lister == session.busID { return .settled }
      return .stays(OutcomeDetail(.listedElsewhere, "\(lister)"))
    }
    if try tree.hasVirtualFunctions(device) {
      return .stays(OutcomeDetail(.hasVirtualFunctions))
    }
    try tree.unbindFromPCIBack(device)
    guard try isStillAssigned(device), let facts = try tree.facts(of: device), facts.driver == nil else {
      return .stays(OutcomeDetail(.pcibackKeepsIt))
    }
    return try bind(device) ? .settled : .unbound
  }

  /// Binds a device without a driver to pciback. Returns whether pciback has it, and Xen still holds it for a guest.
  func bind(_ device: PCIAddress) throws(HostError) -> Bool {
    try session.host.tree.bindToPCIBack(device)
    guard try isStillAssigned(device) else { return false }
    return try session.host.tree.facts(of: device)?.isOnPCIBack == true
  }

  /// Returns whether some guest has the device: this one, because it was assigned to it before.
  private func isStillAssigned(_ device: PCIAddress) throws(HostError) -> Bool {
    try session.host.hypervisor.probe(device, for: nil) != .free
  }

  /// Resets a device that is known to be the one that is meant.
  ///
  /// A reset of the whole slot is asked for only if no guest and no driver of the host has a neighbour. A neighbour that
  /// this domain has counts, too: the guest may be using it.
  func reset(_ device: PCIAddress) throws(HostError) -> ResetOutcome {
    let neighbours = try session.host.tree.neighbours(of: device)
    guard !neighbours.isEmpty else { return try session.host.tree.reset(device, alone: false) }
    let pciback = try session.host.tree.pcibackDevices()
    let answers = try session.host.hypervisor.probe(neighbours.sorted())
    let areIdle = neighbours.isSubset(of: pciback) && answers.allSatisfy { $0 == .free }
    return try session.host.tree.reset(device, alone: !areIdle)
  }
}
