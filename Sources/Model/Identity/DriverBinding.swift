/// The driver that a device has, and the only one that may take it.
package struct DriverBinding: Hashable, Sendable, Codable {
  /// The name of the bound driver, as in `/sys/bus/pci/drivers`; nil if no driver is bound.
  package var driver: String?
  /// The module that contains the driver; nil if the kernel itself does, or if no driver is bound.
  package var module: String?
  /// The text of `driver_override`; nil if any driver may take the device.
  package var driverOverride: String?
  /// Whether the kernel did not answer what the override is: a driver may hang with the device's lock.
  package var isOverrideUnknown = false

  package init(driver: String? = nil, module: String? = nil, driverOverride: String? = nil) {
    (self.driver, self.module, self.driverOverride) = (driver, module, driverOverride)
  }

  /// The name of the pciback driver. Its module is called xen-pciback.
  package static let pciback = "pciback"

  /// Says that nothing is known of the override, for people.
  package static let unknownOverride =
    "the kernel does not answer what its driver_override is: a driver may hang in its remove or its probe"

  /// Whether another program reserved the device for a driver of its own.
  package var isReserved: Bool { driverOverride.map { $0 != Self.pciback } ?? false }
}
