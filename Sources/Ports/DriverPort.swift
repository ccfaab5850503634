package import Model

/// How a request to the kernel about a driver ended.
package enum DriverAnswer: Hashable, Sendable {
  /// The kernel answered in time; nil is success, and a number is the kernel's error.
  case answered(errno: Int32?)
  /// The kernel did not answer in time, and may still be at it. The words say at which function it waits, if the kernel
  /// shows that.
  case silent(process: Int32, stack: [String])
}

/// The lines that dom0's kernel logs about one device, from one moment on.
package protocol DeviceLog: Sendable {
  /// Returns the lines that name the device since listening began, at most ten of them.
  func lines() -> [String]
}

/// The drivers of dom0's PCI devices.
///
/// A call that changes something is a call into the kernel: a driver's code runs in it, and may never return. So each of
/// them is bounded by a deadline. What it changed must be read back: an answer alone proves nothing.
package protocol DriverPort: Sendable {
  /// Returns the device's driver and its override; nil if there is no such device.
  func binding(of device: PCIAddress) throws(HostError) -> DriverBinding?
  /// Returns whether a driver of this name is loaded.
  func isLoaded(_ driver: String) throws(HostError) -> Bool
  /// Writes `driver_override`; nil removes it.
  func setOverride(of device: PCIAddress, to driver: String?) throws(HostError)
  /// Makes a driver release the device. The caller must know that the host needs the device for nothing. pciback
  /// releases it even if a guest uses it: the caller must have claimed it then, and know that no guest has it.
  func unbind(
    _ device: PCIAddress, from driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer
  /// Offers the device to one driver. pciback accepts only devices that it was told to take, or that are reserved for it.
  func bind(
    _ device: PCIAddress, to driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer
  /// Offers the device to all loaded drivers. The kernel answers with success even if none takes it.
  func offer(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> DriverAnswer
  /// Returns the addresses that pciback claims whenever it is offered them. The kernel lists 315 of them at most.
  func slots() throws(HostError) -> Set<PCIAddress>
  /// Removes an address from the ones that pciback claims.
  func removeSlot(_ device: PCIAddress) throws(HostError)
  /// Loads a module, and what it needs. Throws the loader's own words if the module is not loaded then.
  func loadModule(_ name: String, until deadline: ContinuousClock.Instant) throws(HostError)
  /// Begins to listen to the kernel's log; returns nil if the log is not readable.
  func listen(about device: PCIAddress) -> (any DeviceLog)?
}
