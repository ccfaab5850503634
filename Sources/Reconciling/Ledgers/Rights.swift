import Model
import Ports

/// What a domain may have been granted with one device, and what the device was then.
struct Rights {
  /// Each grant of the device, the newest last.
  var grants: [DeviceGrants]
  /// What the device was at the newest grant; nil if nobody recorded it.
  var identity: DeviceIdentity?
  /// Whether `grants` is all of it. It is not if nobody recorded them, and the card is gone.
  var isKnown = true

  /// All of it, for people.
  var text: String { grants.map(\.description).joined(separator: ", ") }
}

/// How the revocation of a device's rights ended.
enum Revocation {
  /// Nothing is left. `byRun` says whether it was this run that ended the device's assignment.
  case revoked(byRun: Bool)
  /// The domain does not have the device any more, but the domain still has rights. The error says why.
  case rightsLeft(HostError)
}

extension Hardware {
  /// Returns what the domain may have been granted with a device, from its records and from sysfs.
  ///
  /// sysfs is believed if it shows the recorded device, or if there is no record: a Berth that kept none, or another
  /// toolstack, attached the device then. `wasListed` says whether the domain is known to have had the device.
  func rights(to device: PCIAddress, _ records: [GrantRecord], wasListed: Bool) throws(HostError) -> Rights {
    // The rights of an earlier life of the domain ended with it.
    let own = records.filter { $0.device == device && $0.domain == session.key.id && $0.grants != nil }
    var rights = Rights(grants: own.compactMap(\.grants), identity: own.last?.identity)
    if own.isEmpty {
      if let shown = try grants(of: device) { rights.grants.append(shown) }
      if wasListed { rights.isKnown = try rights.grants.isEmpty ? false : !wasReplaced(device) }
    } else if try isMeant(device, rights.identity), let shown = try grants(of: device),
      !rights.grants.contains(shown)
    {
      rights.grants.append(shown)
    }
    return rights
  }

  /// Returns whether the device at the address cannot be the one that the domain had: pciback does not have it, and Xen
  /// has taken it from the domain. A driver of the host that takes a device from pciback leaves it to the domain in Xen.
  private func wasReplaced(_ device: PCIAddress) throws(HostError) -> Bool {
    guard try !isMeant(device, nil) else { return false }
    return try session.host.hypervisor.probe(device, for: nil) == .free
  }

  /// Returns what a device could use; nil if it has gone from the host.
  func grants(of device: PCIAddress) throws(HostError) -> DeviceGrants? {
    do throws(HostError) { return try session.host.tree.grants(for: device) } catch {
      guard error.treeCode == .missing else { throw error }
      return nil
    }
  }
}
