package import Model
import XenProtocol

extension ObservationIndex {
  /// Returns who has a device, or may have it, for people; nil if nobody does.
  ///
  /// A bus that lists it, a claim, Xen's own answer, what QEMU shows or pciback keeps though no bus lists it, rights that
  /// are left, and runs that are at work on it.
  package func user(of device: PCIAddress) -> String? {
    if let domain = listings[device]?.first ?? leftoverListings[device] { return "domain \(domain) has it on its bus" }
    if let claim = devices[device]?.claim { return "domain \(claim) has claimed it" }
    if devices[device]?.assignment == .assigned { return "Xen says that a guest has it" }
    if let domain = remnantHolders[device]?.first { return "domain \(domain) may still have it" }
    if let domain = unasked[device]?.first { return "the QEMU of domain \(domain) could not be asked about it" }
    if let domain = grantees[device]?.first { return "domain \(domain) has rights to it" }
    for (domain, devices) in intended where devices.contains(device) {
      return "a run of Berth is at work on it for domain \(domain.id), or ended on the way"
    }
    return nil
  }
}
