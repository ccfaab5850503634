/// What the devices of manifests meant on one host, when somebody wrote it down.
package struct DeviceLock: Hashable, Sendable {
  package var host: String
  /// In order of label.
  package var devices: [LockedDevice]
  package init(host: String, devices: [LockedDevice]) { (self.host, self.devices) = (host, devices) }
}

/// A device of a manifest, and the functions that were it.
package struct LockedDevice: Hashable, Sendable {
  /// The name in the manifest's `devices`; the address if the device has no name.
  package var label: String
  /// What the manifest said of the device, as a text.
  package var selector: String
  /// In order of address.
  package var functions: [LockedFunction]

  package init(label: String, selector: String, functions: [LockedFunction]) {
    (self.label, self.selector, self.functions) = (label, selector, functions)
  }
}

/// A function as it was.
package struct LockedFunction: Hashable, Sendable {
  package var address: PCIAddress
  package var id: DeviceID?
  package var subsystem: DeviceID?
  package var serial: String?

  package init(address: PCIAddress, id: DeviceID? = nil, subsystem: DeviceID? = nil, serial: String? = nil) {
    self.address = address
    self.id = id
    self.subsystem = subsystem
    self.serial = serial
  }
}
