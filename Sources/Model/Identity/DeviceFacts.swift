/// What sysfs tells of a device.
package struct DeviceFacts: Hashable, Sendable, Codable {
  package var id: DeviceID?
  /// Class, subclass and programming interface, 24 bits.
  package var deviceClass: UInt32?
  /// The bound driver's name; nil where none is bound.
  package var driver: String?
  /// On pciback's list of devices.
  package var isOnPCIBack: Bool

  package init(id: DeviceID? = nil, deviceClass: UInt32? = nil, driver: String? = nil, isOnPCIBack: Bool = false) {
    self.id = id
    self.deviceClass = deviceClass
    self.driver = driver
    self.isOnPCIBack = isOnPCIBack
  }

  /// A bridge (class 06) cannot be passed through.
  package var isBridge: Bool { (deviceClass ?? 0) >> 16 == 0x06 }
}
