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
