/// The way a domain's devices take to its guest.
package enum DeviceRoute: Hashable, Sendable, Codable {
  /// A PV guest: pciback exports them, and pcifront in the guest drives them.
  case frontEnd
  /// An HVM guest with QEMU in dom0: QEMU shows them, and pciback only holds them for the domain.
  case deviceModel(DeviceModelVersion)
  /// An HVM guest with QEMU in a stub domain: pciback exports them to the stub domain, and QEMU there shows them.
  case stubDomain(DomainKey, DeviceModelVersion)

  /// Whether QEMU has to show a device before the guest has it.
  package var hasDeviceModel: Bool { deviceModel != nil }

  /// Which QEMU that is; nil where there is none.
  package var deviceModel: DeviceModelVersion? {
    switch self {
    case .frontEnd: nil
    case .deviceModel(let version), .stubDomain(_, let version): version
    }
  }

  /// The stub domain the devices go through.
  package var stubDomain: DomainKey? { if case .stubDomain(let stub, _) = self { stub } else { nil } }

  /// The domain whose PCI bus in xenstore the devices of `domain` are on.
  package func busDomain(of domain: DomainID) -> DomainID {
    stubDomain?.id ?? domain
  }

  /// Whether a pcifront at the other end of that bus answers pciback.
  package var hasFrontEndDriver: Bool { if case .deviceModel = self { false } else { true } }
}

/// Which program emulates an HVM guest's machine (`/libxl/<domid>/dm-version`).
package enum DeviceModelVersion: String, Sendable, Codable {
  case upstream = "qemu_xen"
  /// Also where the node is missing (`libxl__device_model_version_running`, libxl_internal.c, Xen 4.17).
  case traditional = "qemu_xen_traditional"
  case unknown
}
