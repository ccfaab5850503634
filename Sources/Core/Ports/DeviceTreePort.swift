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

/// What dom0's kernel log says of one device: the last word counts.
package enum ExportEvidence: Hashable, Sendable {
  /// pciback exported the device to this domain at this virtual slot.
  case exported(DomainID, slot: UInt8)
  /// The log was read and speaks of no export of this device since it was last given back.
  case notExported
  /// The log cannot be read, or it does not reach back far enough.
  case unknown
}

/// dom0's PCI devices: sysfs, the pciback driver, the kernel's back-end objects and log.
package protocol DeviceTreePort: Sendable {
  /// Whether the pciback driver is there.
  func hasPCIBack() throws(DeviceTreeError) -> Bool
  /// The devices bound to pciback, from the driver's directory (`slots` is cut at one page).
  func pcibackDevices() throws(DeviceTreeError) -> Set<PCIAddress>
  /// What sysfs says of a device; nil where there is none.
  func facts(of device: PCIAddress) throws(DeviceTreeError) -> DeviceFacts?
  /// What must be granted with it: its ranges and its interrupt.
  func grants(for device: PCIAddress) throws(DeviceTreeError) -> DeviceGrants
  /// Resets the device; only for a device this process has claimed.
  func reset(_ device: PCIAddress) throws(DeviceTreeError) -> ResetOutcome
  /// Lets the guest write all of the device's configuration space. pciback never takes it back until it is unbound.
  func setPermissive(_ device: PCIAddress) throws(DeviceTreeError)
  /// Whether the kernel still has its object for the domain's PCI back end.
  func hasBackEndObject(for domain: DomainID) throws(DeviceTreeError) -> Bool
  /// What the kernel log says of a device's export.
  func exportEvidence(for device: PCIAddress) throws(DeviceTreeError) -> ExportEvidence
}

/// A failure of sysfs.
package struct DeviceTreeError: Error, Hashable, Sendable {
  package enum Code: String, Sendable {
    case missing, notPermitted
    /// The file holds what the kernel never writes there.
    case malformed
    case other
  }
  package let code: Code
  package let operation: String
  package let path: String
  package let errno: Int32
  package init(_ code: Code, operation: String, path: String, errno: Int32 = 0) {
    self.code = code
    self.operation = operation
    self.path = path
    self.errno = errno
  }
}
