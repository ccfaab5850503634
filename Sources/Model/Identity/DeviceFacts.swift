/// What sysfs reports about a device.
package struct DeviceFacts: Hashable, Sendable, Codable {
  package var id: DeviceID?
  /// The card's own vendor and device numbers.
  package var subsystem: DeviceID?
  /// Class, subclass and programming interface, 24 bits.
  package var deviceClass: UInt32?
  /// The name of the bound driver; nil if no driver is bound.
  package var driver: String?
  /// Whether the device is in pciback's list.
  package var isOnPCIBack: Bool
  /// Whether the device is a virtual function of another one (SR-IOV).
  package var isVirtualFunction: Bool

  package init(
    id: DeviceID? = nil, subsystem: DeviceID? = nil, deviceClass: UInt32? = nil, driver: String? = nil,
    isOnPCIBack: Bool = false, isVirtualFunction: Bool = false
  ) {
    self.id = id
    self.subsystem = subsystem
    self.deviceClass = deviceClass
    self.driver = driver
    self.isOnPCIBack = isOnPCIBack
    self.isVirtualFunction = isVirtualFunction
  }

  /// Whether the device is a bridge (class 06), which cannot be passed through.
  package var isBridge: Bool { (deviceClass ?? 0) >> 16 == 0x06 }
}
