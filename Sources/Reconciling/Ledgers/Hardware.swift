import Model
import Planning
import Ports
import XenProtocol

/// What stands between a device and the end of `permissive`.
enum PermissionCheck: Hashable {
  /// `permissive` is as wanted.
  case settled
  /// The device must be unbound and bound again. `reserves` says whether it has to be reserved for pciback first.
  case needsRebind(reserves: Bool)
  case stays(OutcomeDetail)
}

/// What became of a device that was to be bound again.
enum RebindResult {
  case done
  case failed(OutcomeDetail)
  /// The device has no driver or is still reserved, or nobody knows that. The next run has to finish it.
  case unfinished(OutcomeDetail)
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
  func checkPermission(_ step: Addition) throws(HostError) -> PermissionCheck {
    let (device, tree) = (step.device, session.host.tree)
    guard !step.options.permissive, session.route.hasFrontEndDriver, try tree.permissiveDevices().contains(device)
    else {
      return .settled
    }
    if let lister = try session.lister(of: device) { return .stays(OutcomeDetail(.listedElsewhere, "\(lister)")) }
    if try tree.hasVirtualFunctions(device) { return .stays(OutcomeDetail(.hasVirtualFunctions)) }
    guard let binding = try session.host.drivers.binding(of: device) else {
      return .stays(OutcomeDetail(.anotherDevice))
    }
    if binding.isOverrideUnknown {
      return .stays(DriverStop.blocked(.interlockUnknown, DriverBinding.unknownOverride).detail)
    }
    if binding.isReserved { return .stays(DriverStop.reserved(binding).detail) }
    return .needsRebind(reserves: binding.driverOverride == nil)
  }

  /// Has pciback release a device and take it again, and reads back what came of it.
  ///
  /// This run must have assigned the device to the domain, no back end may list the device, and an intent must be on
  /// disk: without it, nobody would bind a device that is left without a driver, or remove the reservation. From the first
  /// write on, no failure may hide that.
  ///
  /// The reservation keeps other drivers from a device that has none: a module that is loaded meanwhile is offered it.
  func rebind(_ work: DriverWork, reserves: Bool) -> RebindResult {
    let (device, tree) = (work.device, session.host.tree)
    var stop: DriverStop?
    do throws(DriverStop) {
      if reserves { try work.setOverride(DriverBinding.pciback) }
      try work.unbind(from: DriverBinding.pciback)
      try work.bind(to: DriverBinding.pciback)
    } catch { stop = error }
    // The kernel may be at it still, so that what sysfs shows now is not the end.
    if let stop, stop.result == .unknown { return .unfinished(stop.detail) }
    do throws(HostError) {
      guard let facts = try tree.facts(of: device) else { return .failed(OutcomeDetail(.anotherDevice)) }
      guard let driver = facts.driver else { return .unfinished(OutcomeDetail(.leftUnbound)) }
      guard facts.isOnPCIBack else { return .failed(OutcomeDetail(.driverIsOther, driver)) }
      if reserves {
        do throws(DriverStop) { try work.removeReservation() } catch { return .unfinished(error.detail) }
      }
      // What is read back decides, whatever the writes returned: another run may have bound the device in between.
      guard try tree.permissiveDevices().contains(device) else { return .done }
      guard let stop, !stop.detail.sentences.contains(.driverKeeps) else {
        return .failed(OutcomeDetail(.pcibackKeepsIt))
      }
      return .failed(stop.detail)
    } catch { return .unfinished(OutcomeDetail(error)) }
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
