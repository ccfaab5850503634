package import Model

/// The PCI bus that pciback shows one guest: 32 slots of 8 functions (Linux `drivers/xen/xen-pciback/vpci.c`, 6.1).
package struct VirtualBus: Hashable, Sendable {
  static let slots = 32

  /// The host device at each place. The segment and bus of a place are 0.
  package private(set) var devices: [PCIAddress: PCIAddress] = [:]
  /// The virtual functions at function 0.
  private var loners: Set<PCIAddress> = []

  package init() {}

  /// Returns the place at which the guest sees a host device.
  package func place(of device: PCIAddress) -> PCIAddress? { devices.first { $0.value == device }?.key }

  /// Returns the place that a device gets: beside a function of the same physical slot, otherwise in the first free
  /// slot. It keeps its function number.
  ///
  /// Returns nil if all slots are taken. A virtual function at function 0 stays alone in its slot, since guests might not
  /// look for others there (`__xen_pcibk_add_pci_dev`).
  package mutating func add(_ device: PCIAddress, isVirtualFunction: Bool = false) -> PCIAddress? {
    let isLoner = isVirtualFunction && device.function == 0
    if !isLoner,
      let sibling = devices.filter({ $0.value.isSameSlot(as: device) && !loners.contains($0.value) })
        .min(by: { $0.key < $1.key }),
      let place = PCIAddress(segment: 0, bus: 0, device: sibling.key.device, function: device.function)
    {
      devices[place] = device
      return place
    }
    let taken = Set(devices.keys.map(\.device))
    guard let slot = (0..<UInt8(Self.slots)).first(where: { !taken.contains($0) }),
      let place = PCIAddress(segment: 0, bus: 0, device: slot, function: device.function)
    else { return nil }
    devices[place] = device
    if isLoner { loners.insert(device) }
    return place
  }

  /// Removes the device at a place; returns nil if there is none.
  package mutating func remove(at place: PCIAddress) -> PCIAddress? {
    guard let device = devices.removeValue(forKey: place) else { return nil }
    loners.remove(device)
    return device
  }
}

extension PCIAddress {
  func isSameSlot(as other: PCIAddress) -> Bool {
    (segment, bus, device) == (other.segment, other.bus, other.device)
  }

  /// The text that pciback writes in `vdev-N`: the function has two digits.
  var virtualText: String { String(description.dropLast()) + "0" + String(description.suffix(1)) }
}
