/// What can be read about a PCI function, each by itself: one fact may be unknown while the others are known.
package enum FunctionFact: String, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
  /// Vendor, device, subsystem and class.
  case ids
  case revision
  /// The way from the root bus, and every function on it.
  case path
  case driver
  case driverOverride = "driver-override"
  /// The labels of the slot on the board or the chassis.
  case slot
  case serial
  /// The network interfaces, with their own hardware addresses.
  case interfaces
  /// The NVMe controllers, with their serial numbers.
  case nvme
  /// The parent and the children of single-root I/O virtualisation.
  case virtualFunctions = "virtual-functions"
  case reset
  case power
  /// What the configuration space shows about the function's isolation from others.
  case isolation
  case interrupt
  case resources
  /// Whether the firmware chose the function as its display.
  case bootDisplay = "boot-display"
  /// The other functions that Xen takes for the same requester.
  case companions
  /// The memory of the host that the firmware has reserved for the function.
  case reservedMemory = "reserved-memory"

  /// The facts that a list of devices shows to people. Each costs one or two reads of small files.
  package static let usual: Set<FunctionFact> = [
    .ids, .path, .driver, .driverOverride, .slot, .interfaces, .nvme, .virtualFunctions, .bootDisplay,
  ]

  /// The facts that Xen knows. sysfs has none of them. Each costs a hypercall per function.
  package static let ofXen: Set<FunctionFact> = [.companions, .reservedMemory]
}
