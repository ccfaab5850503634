import Model
import Planning
import XenProtocol

/// A device this run holds for the domain, and what it did to get there.
struct ClaimedDevice {
  var step: Addition
  /// Whether this run assigned it, rather than finding it assigned to this domain already.
  var isAssignedHere: Bool
  var grants: DeviceGrants
  /// What the device is; nil if sysfs does not show it.
  var identity: DeviceIdentity?
  /// Whether the device is a virtual function of another one.
  var isVirtualFunction = false
  /// The address the guest sees, if pciback exported the device to it before.
  var exportedAt: PCIAddress?

  /// What goes on record before anything of it is granted to `domain`.
  func grantRecord(for domain: DomainID) -> GrantRecord {
    GrantRecord(device: step.device, domain: domain, identity: identity, grants: grants, options: step.options)
  }

  var wanted: NewEntry {
    NewEntry(
      device: step.device, options: step.options, exportedAt: exportedAt, isVirtualFunction: isVirtualFunction)
  }
}
