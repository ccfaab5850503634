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
