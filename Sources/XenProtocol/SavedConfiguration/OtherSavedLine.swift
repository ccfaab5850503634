package import Model

/// One element of `pcidevs` that Berth does not understand as one device by its address. Berth neither changes nor
/// removes the element.
package struct OtherSavedLine: Hashable, Sendable {
  /// Why Berth does not understand it.
  package enum Oddity: Hashable, Sendable {
    /// libxl finds the device by the name that `xl pci-assignable-add --name` gave it.
    case name(String)
    /// libxl attaches every function of the slot (`LIBXL_PCI_FUNC_ALL`, libxl.h, Xen 4.17).
    case wholeSlot
    /// libxl attaches the one function, but the mask is not what xl writes for one function.
    case mask
    /// The key is none of Xen 4.14 to 4.17.
    case unknownKey(String)
  }

  package var oddity: Oddity
  /// The element as it is in the file, on one line.
  package var text: String
  /// The address in the element; nil if it has none.
  package var address: PCIAddress?
  /// The device of the name, if the element has a name without an address, and a device has that name.
  package var named: PCIAddress?

  package init(oddity: Oddity, text: String, address: PCIAddress?) {
    (self.oddity, self.text, self.address) = (oddity, text, address)
  }

  /// The name by which the device must be found; nil if the element has an address.
  package var unresolvedName: String? {
    if case .name(let name) = oddity, address == nil { name } else { nil }
  }

  /// The device that the element means, as far as that is one device.
  package var meaning: PCIAddress? { address ?? named }

  /// Whether libxl would attach the device because of this element when it builds the domain again.
  ///
  /// An element without an address does not count: libxl compares addresses with those of the back end, and drops what
  /// it does not find there (`libxl_retrieve_domain_configuration`, libxl_domain.c, Xen 4.17).
  package func covers(_ device: PCIAddress) -> Bool {
    guard let address else { return false }
    guard oddity == .wholeSlot else { return device == address }
    return (device.segment, device.bus, device.device) == (address.segment, address.bus, address.device)
  }
}
