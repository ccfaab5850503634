package import Model

/// The result of a device's reset.
package enum ResetOutcome: String, Sendable {
  case done
  /// The kernel has no method to reset this device: usual, and no error.
  case unsupported
  /// The reset was tried and failed.
  case failed
}

/// dom0's kernel log from one moment on: the only witness of an export whose entry was overwritten.
///
/// The kernel logs no release. So a log line proves something only for a device that was not exported when listening
/// began.
package protocol ExportLog: Sendable {
  /// Returns the exports logged since listening began, in order; nil if a part of the log was lost in the meantime.
  func exports() throws(HostError) -> [ExportRecord]?
}

/// dom0's PCI devices: sysfs, the pciback driver, the kernel objects of back ends, and the kernel log.
package protocol DeviceTreePort: Sendable {
  /// Returns whether the pciback driver is loaded.
  func hasPCIBack() throws(HostError) -> Bool
  /// Returns the devices bound to pciback, from the driver's directory. (The file `slots` is cut at one page.)
  func pcibackDevices() throws(HostError) -> Set<PCIAddress>
  /// Returns what sysfs reports about a device; nil if there is none.
  func facts(of device: PCIAddress) throws(HostError) -> DeviceFacts?
  /// Returns what must be granted with the device: its ranges and its interrupt.
  func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants
  /// Returns the device's serial number of PCI Express, `a0-36-9f-ff-ff-12-34-56`; nil if none can be read.
  func serial(of device: PCIAddress) throws(HostError) -> String?
  /// Returns the other devices that a reset may reset too; none if the kernel resets single functions only.
  func neighbours(of device: PCIAddress) throws(HostError) -> Set<PCIAddress>
  /// Resets the device. The caller must have claimed the device, and know that it is the one that is meant.
  ///
  /// `alone` leaves out the methods that may reset its neighbours.
  func reset(_ device: PCIAddress, alone: Bool) throws(HostError) -> ResetOutcome
  /// Lets the guest write the device's whole configuration space. pciback keeps this permission until the device is
  /// unbound.
  func setPermissive(_ device: PCIAddress) throws(HostError)
  /// Returns the devices whose whole configuration space pciback lets their guests write. The kernel lists 315 of them
  /// at most, since the list is one page.
  func permissiveDevices() throws(HostError) -> Set<PCIAddress>
  /// Returns whether the device has virtual functions. pciback releases them with it (`pci_stub_notifier`, Linux
  /// drivers/xen/xen-pciback/pci_stub.c, 6.1).
  func hasVirtualFunctions(_ device: PCIAddress) throws(HostError) -> Bool
  /// Returns whether pciback's module parameter lets every guest write the whole configuration space of its devices.
  func isPermissiveForAll() throws(HostError) -> Bool
  /// Returns whether the kernel still has its object for the domain's PCI back end.
  func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool
  /// Begins to listen to the kernel log, at its end or with everything since boot; returns nil if the log is
  /// unreadable.
  func listenForExports(sinceBoot: Bool) -> (any ExportLog)?
}
