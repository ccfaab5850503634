package import Core

/// The PCI bus pciback shows one guest: 32 slots of 8 functions (Linux `drivers/xen/xen-pciback/vpci.c`, 6.1).
package struct VirtualBus: Hashable, Sendable {
  static let slots = 32

  /// Which host device is at each place; the places' segment and bus are 0.
  package private(set) var devices: [PCIAddress: PCIAddress] = [:]

  package init() {}

  package var isEmpty: Bool { devices.isEmpty }

  /// Where the guest sees a host device.
  package func place(of device: PCIAddress) -> PCIAddress? { devices.first { $0.value == device }?.key }

  /// Gives a device its place: beside a function of the same physical slot, else in the first free slot.
  ///
  /// Nil where all slots are taken. `isVirtualFunction` devices get a slot of their own at function 0.
  package mutating func add(_ device: PCIAddress, isVirtualFunction: Bool = false) -> PCIAddress? {
    let function = isVirtualFunction ? 0 : device.function
    if !isVirtualFunction,
      let sibling = devices.filter({ $0.value.isSameSlot(as: device) }).min(by: { $0.key < $1.key }),
      let place = PCIAddress(segment: 0, bus: 0, device: sibling.key.device, function: function)
    {
      devices[place] = device
      return place
    }
    let taken = Set(devices.keys.map(\.device))
    guard let slot = (0..<UInt8(Self.slots)).first(where: { !taken.contains($0) }),
      let place = PCIAddress(segment: 0, bus: 0, device: slot, function: function)
    else { return nil }
    devices[place] = device
    return place
  }

  /// Takes away what is at a place; nil where nothing is.
  package mutating func remove(at place: PCIAddress) -> PCIAddress? { devices.removeValue(forKey: place) }
}

extension PCIAddress {
  func isSameSlot(as other: PCIAddress) -> Bool {
    (segment, bus, device) == (other.segment, other.bus, other.device)
  }

  /// As pciback writes it in `vdev-N`: the function has two digits.
  var virtualText: String { String(description.dropLast()) + "0" + String(description.suffix(1)) }
}
