/// How a domain's devices reach its guest.
package enum DeviceRoute: Hashable, Sendable {
  /// A PV guest: pciback exports them, and pcifront in the guest drives them.
  case frontEnd
  /// An HVM guest with QEMU in dom0: QEMU shows them, and pciback only holds them for the domain.
  case deviceModel(DeviceModelVersion)
  /// An HVM guest with QEMU in a stub domain: pciback exports them to the stub domain, and QEMU there shows them.
  case stubDomain(DomainKey, DeviceModelVersion)
}

/// The differences between the routes. A new route is described here, and nowhere else.
package struct RouteTraits: Hashable, Sendable {
  /// Whether a pcifront at the other end of the bus answers pciback.
  package let hasFrontEndDriver: Bool
  /// The QEMU that has to show a device before the guest has it; nil if there is none.
  package let deviceModel: DeviceModelVersion?
  /// The stub domain whose PCI bus the devices are on; nil if they are on the domain's own.
  package let stubDomain: DomainKey?
  /// Whether nothing of the domain runs before its first start. A device model and a stub domain run before the guest.
  package let canBeCold: Bool
}

extension DeviceRoute {
  package var traits: RouteTraits {
    switch self {
    case .frontEnd:
      RouteTraits(hasFrontEndDriver: true, deviceModel: nil, stubDomain: nil, canBeCold: true)
    case .deviceModel(let version):
      RouteTraits(hasFrontEndDriver: false, deviceModel: version, stubDomain: nil, canBeCold: false)
    case .stubDomain(let stub, let version):
      RouteTraits(hasFrontEndDriver: true, deviceModel: version, stubDomain: stub, canBeCold: false)
    }
  }

  package var hasFrontEndDriver: Bool { traits.hasFrontEndDriver }
  package var hasDeviceModel: Bool { traits.deviceModel != nil }
  package var deviceModel: DeviceModelVersion? { traits.deviceModel }
  package var stubDomain: DomainKey? { traits.stubDomain }
  package var canBeCold: Bool { traits.canBeCold }

  /// Returns the domain whose PCI bus in xenstore the devices of `domain` are on.
  package func busDomain(of domain: DomainID) -> DomainID { stubDomain?.id ?? domain }
}

/// Which program emulates an HVM guest's machine (`/libxl/<domid>/dm-version`).
package enum DeviceModelVersion: String, Sendable {
  case upstream = "qemu_xen"
  /// Up to Xen 4.20 also the version if the node is missing (`libxl__device_model_version_running`, libxl_internal.c).
  case traditional = "qemu_xen_traditional"
  case unknown
}
