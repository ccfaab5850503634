import Model
import Ports
import XenProtocol

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
