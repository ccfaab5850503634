package import Model

/// The name by which QEMU knows a passed-through device: `pci-pt-03_00.0` (`PCI_PT_QDEV_ID`, libxl_pci.c, Xen 4.17).
///
/// The name lacks the segment: devices with equal bus, slot and function in two segments have the same name.
package struct DeviceModelName: Hashable, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ device: PCIAddress) {
    description =
      "pci-pt-" + hex(UInt64(device.bus), 2) + "_" + hex(UInt64(device.device), 2) + "."
      + hex(UInt64(device.function), 1)
  }

  /// Takes the name of any QEMU device.
  package init(text: String) { description = text }
}

/// A device as QEMU shows it to its guest.
package struct EmulatedDevice: Hashable, Sendable, Codable {
  package var name: DeviceModelName
  /// The slot on the guest's first bus.
  package var slot: UInt8
  package var function: UInt8
  package init(name: DeviceModelName, slot: UInt8, function: UInt8) {
    (self.name, self.slot, self.function) = (name, slot, function)
  }
}

extension EmulatedDevice {
  /// The address at which the guest sees the device, on its first bus.
  package var guestAddress: PCIAddress? { PCIAddress(segment: 0, bus: 0, device: slot, function: function) }
}

extension DeviceModelName: TextCodable {
  package var text: String { description }
}
