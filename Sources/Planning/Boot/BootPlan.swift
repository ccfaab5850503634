package import Model

/// What pciback is to take when a host starts.
package struct BootPlan: Hashable, Sendable {
  package let host: String
  /// In order of address.
  package let devices: [BootDevice]
  package let refusals: [BootRefusal]

  /// The text of pciback's parameter `hide`: `(0000:03:00.0)(0000:04:00.0)`.
  ///
  /// One error in it, and the driver does not start at all. It takes no commas, and a blank would end a kernel's
  /// parameter (`pcistub_init`, Linux drivers/xen/xen-pciback/pci_stub.c, 6.1).
  package var hidden: String { devices.map { "(\($0.address))" }.joined() }

  /// The modules before which pciback is to be loaded, in order.
  package var modules: [String] { Set(devices.flatMap(\.drivers).compactMap(\.module)).sorted() }

  /// The most bytes of a module's parameter (`param_set_charp`, Linux kernel/params.c, 6.1).
  package static let longestParameter = 1024

  /// Returns the plan for the devices that are to be hidden, or for all that are declared.
  ///
  /// `desired` must be resolved in the inventory of `listing`. `commandLine` is dom0's, if the parameter is to be a part of
  /// it.
  package init(
    host: String, desired: DesiredState, takesAll: Bool, listing: DeviceListing,
    drivers: [FunctionName: [NativeDriver]], commandLine: String? = nil
  ) {
    self.host = host
    let entries = Dictionary(
      listing.devices.compactMap { entry in entry.function.address.map { ($0, entry) } },
      uniquingKeysWith: { first, _ in first })
    var refusals: [BootRefusal] = []
    var found: [BootDevice] = []
    for device in desired.domains.flatMap(\.devices) where takesAll || device.hidesAtBoot {
      let name = FunctionName(device.address)
      let entry = entries[device.address]
      if entry?.function.isBridge == true { refusals.append(.bridge(device.address)) }
      if let interlock = entry?.interlocks.first(where: { $0.strength == .refuse }) {
        refusals.append(.interlocked(device.address, interlock))
      }
      found.append(
        BootDevice(
          address: device.address, label: device.label, id: entry?.function.id ?? device.id,
          isThere: entry != nil, drivers: drivers[name] ?? []))
    }
    devices = found.sorted { $0.address < $1.address }
    let hidden = devices.map { "(\($0.address))" }.joined()
    if hidden.utf8.count > Self.longestParameter { refusals.append(.tooLong(hidden.utf8.count)) }
    if let commandLine {
      // A line that has the parameter already is replaced in part.
      let words = commandLine.split(separator: " ").filter {
        !$0.hasPrefix("xen-pciback.hide=") && !$0.hasPrefix("xen_pciback.hide=")
      }
      let length = words.joined(separator: " ").utf8.count + " xen-pciback.hide=".utf8.count + hidden.utf8.count
      if length > BootFacts.longestCommandLine { refusals.append(.commandLineTooLong(length)) }
    }
    self.refusals = refusals
  }

  /// A digest that changes with what the manifest declares here. It shows whether a file is of this manifest.
  package var fingerprint: String {
    let text = devices.map { "\($0.address) \($0.label ?? "") \($0.id?.description ?? "")\n" }.joined()
    return shortDigest(of: "\(host)\n\(text)")
  }
}

/// A device that pciback is to take when the host starts.
package struct BootDevice: Hashable, Sendable {
  package let address: PCIAddress
  /// The name in the manifest.
  package let label: String?
  package let id: DeviceID?
  /// Whether the host has the device now. A missing device does no harm in the list.
  package let isThere: Bool
  /// What would take the device without pciback.
  package let drivers: [NativeDriver]
}

/// Why a device must not be hidden.
package enum BootRefusal: Hashable, Sendable {
  /// dom0 or a guest stands on the device, or perhaps does.
  case interlocked(PCIAddress, Interlock)
  /// pciback would take everything behind the bridge (`pcistub_match`, Linux drivers/xen/xen-pciback/pci_stub.c, 6.1).
  case bridge(PCIAddress)
  /// The parameter has more bytes than a module takes.
  case tooLong(Int)
  /// dom0's command line would have more bytes than Xen passes on.
  case commandLineTooLong(Int)
}
