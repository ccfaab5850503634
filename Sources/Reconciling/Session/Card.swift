import Model
import Ports

/// A device as sysfs shows it at one moment.
struct Card {
  let facts: DeviceFacts
  /// Nil if sysfs does not show what the device is.
  let identity: DeviceIdentity?

  /// Reads the device that is at the address now; nil if there is none.
  init?(at device: PCIAddress, on host: Host) throws(HostError) {
    guard let facts = try host.tree.facts(of: device) else { return nil }
    self.facts = facts
    guard let id = facts.id else {
      identity = nil
      return
    }
    identity = DeviceIdentity(id: id, subsystem: facts.subsystem, serial: try host.tree.serial(of: device))
  }
}
