package import Model

/// What became of a device's reset.
package enum ResetOutcome: String, Sendable {
  case done
  /// The kernel knows no way to reset this device: usual, and no error.
  case unsupported
  /// It was tried and failed.
  case failed
}

/// dom0's kernel log from one moment on: the only witness of an export whose entry was overwritten.
///
/// The kernel logs no release, so a record only proves something for a device that was not exported when
/// listening began.
package protocol ExportLog: Sendable {
  /// The exports logged since listening began, in order; nil where part of the log was lost meanwhile.
  func exports() throws(HostError) -> [ExportRecord]?
}

/// dom0's PCI devices: sysfs, the pciback driver, the kernel's back-end objects and log.
package protocol DeviceTreePort: Sendable {
  /// Whether the pciback driver is there.
  func hasPCIBack() throws(HostError) -> Bool
  /// The devices bound to pciback, from the driver's directory (`slots` is cut at one page).
  func pcibackDevices() throws(HostError) -> Set<PCIAddress>
  /// What sysfs says of a device; nil where there is none.
  func facts(of device: PCIAddress) throws(HostError) -> DeviceFacts?
  /// What must be granted with it: its ranges and its interrupt.
  func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants
  /// Resets the device; only for a device this process has claimed.
  func reset(_ device: PCIAddress) throws(HostError) -> ResetOutcome
  /// Lets the guest write all of the device's configuration space. pciback never takes it back until it is unbound.
  func setPermissive(_ device: PCIAddress) throws(HostError)
  /// Whether the kernel still has its object for the domain's PCI back end.
  func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool
  /// Begins to listen to the kernel log, at its end or with everything since boot; nil where it cannot be read.
  func listenForExports(sinceBoot: Bool) -> (any ExportLog)?
}
