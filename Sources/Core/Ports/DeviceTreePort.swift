/// A range that a device decodes, from the first seven lines of its `resource` file.
package struct DeviceResource: Hashable, Sendable {
  package enum Space: String, Sendable { case ports, memory }
  package var space: Space
  /// First and last byte or port, both included.
  package var range: ClosedRange<UInt64>
  package init(space: Space, range: ClosedRange<UInt64>) { (self.space, self.range) = (space, range) }

  /// The whole 4 KiB frames that hold a memory range, even if the range starts inside a frame.
  package var frames: ClosedRange<UInt64> { range.lowerBound >> 12...range.upperBound >> 12 }
}

/// What must be granted to a domain for the use of a device.
package struct DeviceGrants: Hashable, Sendable {
  package var resources: [DeviceResource]
  /// The legacy interrupt line; nil if there is none (0, 255 and 0x80000000 mean none).
  package var interrupt: UInt32?
  package init(resources: [DeviceResource], interrupt: UInt32?) {
    self.resources = resources
    self.interrupt = interrupt
  }
}

/// The result of a device's reset.
package enum ResetOutcome: String, Sendable {
  case done
  /// The kernel has no method to reset this device: usual, and no error.
  case unsupported
  /// The reset was tried and failed.
  case failed
}

/// One export in pciback's log: device, domain and virtual slot.
package struct ExportRecord: Hashable, Sendable, Codable {
  package var device: PCIAddress
  package var domain: DomainID
  package var slot: UInt8
  /// The address at which the guest sees the device. vpci keeps a function's number within its virtual slot
  /// (`__xen_pcibk_add_pci_dev`, Linux drivers/xen/xen-pciback/vpci.c).
  package var virtualAddress: PCIAddress? {
    PCIAddress(segment: 0, bus: 0, device: slot, function: device.function)
  }
  package init(device: PCIAddress, domain: DomainID, slot: UInt8) {
    self.device = device
    self.domain = domain
    self.slot = slot
  }
}

/// dom0's kernel log from one moment on. Only it shows an export whose entry was overwritten.
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
  /// Resets the device. The caller must have claimed the device.
  func reset(_ device: PCIAddress) throws(HostError) -> ResetOutcome
  /// Lets the guest write the device's whole configuration space. pciback keeps this permission until the device is
  /// unbound.
  func setPermissive(_ device: PCIAddress) throws(HostError)
  /// Returns whether the kernel still has its object for the domain's PCI back end.
  func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool
  /// Begins to listen to the kernel log, at its end or with everything since boot; returns nil if the log is
  /// unreadable.
  func listenForExports(sinceBoot: Bool) -> (any ExportLog)?
}
