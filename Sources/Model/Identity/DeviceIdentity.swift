/// What a device is, as sysfs shows it: enough to tell it from another device at the same address.
package struct DeviceIdentity: Hashable, Sendable, Codable {
  package var id: DeviceID
  /// The card's own vendor and device numbers; nil if sysfs does not show them.
  package var subsystem: DeviceID?
  /// The serial number of PCI Express, as `lspci` prints it: `a0-36-9f-ff-ff-12-34-56`; nil if none can be read.
  package var serial: String?

  package init(id: DeviceID, subsystem: DeviceID? = nil, serial: String? = nil) {
    self.id = id
    self.subsystem = subsystem
    self.serial = serial
  }

  /// Returns whether both can be the same device. A serial number that one of them lacks says nothing: it may not have been
  /// readable.
  package func mayBe(_ other: DeviceIdentity) -> Bool {
    id == other.id && subsystem == other.subsystem && (serial == nil || other.serial == nil || serial == other.serial)
  }

  /// Returns whether `facts` can be those of this device. They have no serial number, so two cards of one type pass.
  package func fits(_ facts: DeviceFacts) -> Bool { facts.id == id && facts.subsystem == subsystem }
}
