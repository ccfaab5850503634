/// A range a device decodes, from the first seven lines of its `resource` file.
package struct DeviceResource: Hashable, Sendable {
  package enum Space: String, Sendable { case ports, memory }
  package var space: Space
  /// First and last byte or port, both inside.
  package var range: ClosedRange<UInt64>
  package init(space: Space, range: ClosedRange<UInt64>) { (self.space, self.range) = (space, range) }

  /// The whole 4 KiB frames that hold a memory range, also one that starts inside a frame.
  package var frames: ClosedRange<UInt64> { range.lowerBound >> 12...range.upperBound >> 12 }
}

/// What a domain must be granted to use a device.
package struct DeviceGrants: Hashable, Sendable {
  package var resources: [DeviceResource]
  /// The legacy interrupt line; nil where there is none (0, 255 and 0x80000000 mean none).
  package var interrupt: UInt32?
  package init(resources: [DeviceResource], interrupt: UInt32?) {
    self.resources = resources
    self.interrupt = interrupt
  }
}

/// What became of a device's reset.
package enum ResetOutcome: String, Sendable {
  case done
  /// The kernel knows no way to reset this device: usual, and no error.
  case unsupported
  /// It was tried and failed.
  case failed
}

/// One export that pciback logged: this device, to this domain, at this virtual slot.
package struct ExportRecord: Hashable, Sendable, Codable {
  package var device: PCIAddress
  package var domain: DomainID
  package var slot: UInt8
  /// The address the guest sees: vpci keeps a function's number within its virtual slot
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
