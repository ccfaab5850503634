import Model
import Planning
import Ports
import XenProtocol

/// What stands between a device and the end of `permissive`.
enum PermissionCheck {
  /// `permissive` is as wanted.
  case settled
  /// The device must be unbound and bound again.
  case needsRebind
  case stays(OutcomeDetail)
}

/// What became of a device that was to be bound again.
enum RebindResult {
  case done
  case failed(OutcomeDetail)
  /// The device has no driver, or the failure leaves open whether it has one.
  case unbound(OutcomeDetail)
}

extension PermissionCheck {
  /// Why the permission stays; nil if nothing keeps it from ending.
  var refusal: OutcomeDetail? { if case .stays(let why) = self { why } else { nil } }
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

  /// Returns whether a device that this domain loses may be reset: it is the one that is meant, Xen says that a guest has
  /// it, and the claim says that the guest is this domain.
  ///
  /// Xen does not name an owner. libxl claims a device in xenstore before it asks Xen for the device, and refuses a device
  /// that is claimed (`libxl__device_pci_add`, libxl_pci.c, Xen 4.17). Without a claim nobody knows whose the device is.
  func mayResetLost(_ device: PCIAddress, _ recorded: DeviceIdentity?) throws(HostError) -> Bool {
    guard try isMeant(device, recorded), try session.host.hypervisor.probe(device, for: nil) != .free else {
      return false
    }
    return try session.claim(on: device) == session.key.id.description
  }

  /// Returns whether pciback keeps a permission that the device is not to have: that its guest may write the whole
  /// configuration space. Only unbinding the device ends it.
  ///
  /// Nothing has to be done for a domain whose device model writes the configuration space, for pciback does not guard
  /// that space then.
  func checkPermission(_ device: PCIAddress, wanted: Bool) throws(HostError) -> PermissionCheck {
    let tree = session.host.tree
    guard !wanted, session.route.hasFrontEndDriver, try tree.permissiveDevices().contains(device) else {
      return .settled
    }
    if let lister = try session.lister(of: device) { return .stays(OutcomeDetail(.listedElsewhere, "\(lister)")) }
    if try tree.hasVirtualFunctions(device) { return .stays(OutcomeDetail(.hasVirtualFunctions)) }
    return .needsRebind
  }

  /// Has pciback release a device and take it again, and reads back what came of it.
  ///
  /// This run must have assigned the device to the domain, no back end may list the device, and an intent must be on
  /// disk: without it, nobody would bind a device that is left without a driver. From the first write on, no failure may
  /// hide that.
  func rebind(_ device: PCIAddress) -> RebindResult {
    var failure: HostError?
    do throws(HostError) {
      try session.host.tree.unbindFromPCIBack(device)
      try session.host.tree.bindToPCIBack(device)
    } catch { failure = error }
    do throws(HostError) {
      guard let facts = try session.host.tree.facts(of: device) else { return .failed(OutcomeDetail(.anotherDevice)) }
      guard let driver = facts.driver else { return .unbound(OutcomeDetail(.leftUnbound)) }
      guard facts.isOnPCIBack else { return .failed(OutcomeDetail(.driverIsOther, driver)) }
      // What is read back decides, whatever the writes returned: another run may have bound the device in between.
      guard try session.host.tree.permissiveDevices().contains(device) else { return .done }
      return .failed(failure.map { OutcomeDetail($0) } ?? OutcomeDetail(.pcibackKeepsIt))
    } catch { return .unbound(OutcomeDetail(error)) }
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
