package import Model

/// The devices in libxl's saved configuration of a domain.
package enum SavedDevices: Hashable, Sendable {
  /// There is no `libxl-json` file.
  case absent
  case devices([SavedDevice])
  /// The file exists, but libxl could not read it; the text says why.
  case corrupt(String)
}

/// One element of `pcidevs` in libxl's saved configuration.
package struct SavedDevice: Hashable, Sendable {
  package var address: PCIAddress
  package var options: DeviceOptions
  package init(address: PCIAddress, options: DeviceOptions) { (self.address, self.options) = (address, options) }
}
