/// The driver that a device has, and the only one that may take it.
package struct DriverBinding: Hashable, Sendable {
  /// The name of the bound driver, as in `/sys/bus/pci/drivers`; nil if no driver is bound.
  package var driver: String?
  /// The module that contains the driver; nil if the kernel itself does, or if no driver is bound.
  package var module: String?
  /// The text of `driver_override`; nil if any driver may take the device.
  package var driverOverride: String?

  package init(driver: String? = nil, module: String? = nil, driverOverride: String? = nil) {
    (self.driver, self.module, self.driverOverride) = (driver, module, driverOverride)
  }

  /// The name of the pciback driver. Its module is called xen-pciback.
  package static let pciback = "pciback"

  /// Whether another program reserved the device for a driver of its own.
  package var isReserved: Bool { driverOverride.map { $0 != Self.pciback } ?? false }
}
