/// A domain as the configuration of another tool has it.
package struct ConfiguredDomain: Hashable, Sendable {
  package var name: Name
  /// Nil if the configuration gives none. Its tool makes one then at each start of the domain.
  package var uuid: DomainUUID?
  package var kind: DomainKind
  package var devices: [ConfiguredDevice] = []
  package var remarks: [ConfigurationRemark] = []
  /// The file, as a person named it.
  package var file: String

  package init(name: Name, uuid: DomainUUID? = nil, kind: DomainKind, file: String) {
    self.name = name
    self.uuid = uuid
    self.kind = kind
    self.file = file
  }
}

/// A device as the configuration of another tool has it.
package struct ConfiguredDevice: Hashable, Sendable {
  package var address: PCIAddress
  /// Whether all functions of the slot are meant. The address is then that of function 0.
  package var takesAllFunctions = false
  package var options: DeviceOptions
  package var remarks: [ConfigurationRemark] = []
  /// The line in the file.
  package var line: Int

  package init(address: PCIAddress, options: DeviceOptions = DeviceOptions(), line: Int) {
    self.address = address
    self.options = options
    self.line = line
  }
}

/// What a manifest does not have of another tool's configuration.
package enum ConfigurationRemark: Hashable, Sendable {
  /// xl takes the device from its host driver when the domain starts.
  case seize
  /// xl finds the device by a name that `xl pci-assignable-add` gave it; the line of the entry.
  case deviceName(String, line: Int)
  /// Xen shows all functions of the slot in one slot of an HVM guest.
  case wholeSlot
  /// A key that Berth does not know.
  case unknownKey(String)
  /// xl takes a value that is no number for 0.
  case notNumber(key: String, value: String)
  /// xl does not apply the policy of `rdm` (`xlu_rdm_parse`, tools/libs/util/libxlu_pci.c, Xen 4.17 to 4.20).
  case domainPolicy(String)
  /// The device has another way into the domain than a PCI assignment.
  case otherDevice(String)
  /// libvirt takes the device from its host driver when the domain starts.
  case managed
  /// The device is a network interface, of which libvirt sets the hardware address.
  case interface
  /// The domain is for another hypervisor than Xen.
  case hypervisor(String)
}
