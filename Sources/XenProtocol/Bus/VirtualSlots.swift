package import Model

/// The slots of the bus that pciback shows a guest, as far as the entries of a back end tell.
///
/// pciback has 32 slots. A function joins the slot of another function of its card. A virtual function that is function 0
/// stays alone in its slot. If no slot is free, pciback ends the whole bus (`__xen_pcibk_add_pci_dev`,
/// drivers/xen/xen-pciback/vpci.c, and `xen_pcibk_attach`, xenbus.c, Linux 6.1).
package struct VirtualSlots: Sendable {
  /// The number of slots (`PCI_SLOT_MAX`, vpci.c).
  package static let count = 32

  /// A card's place on the host: the part of an address that its functions share.
  private struct Card: Hashable {
    let segment: UInt16
    let bus: UInt8
    let device: UInt8
    init(_ address: PCIAddress) { (segment, bus, device) = (address.segment, address.bus, address.device) }
  }

  /// The cards that have a slot which other functions of theirs join.
  private var cards: Set<Card> = []
  /// The number of slots in use.
  package private(set) var used = 0

  /// Returns the slots in use once `leaving` have been removed. A device counts as a virtual function only if it is known
  /// to be one.
  package init(
    of entries: [BackEndEntry], without leaving: Set<PCIAddress> = [],
    isVirtualFunction: (PCIAddress) -> Bool = { _ in false }
  ) {
    var shown: Set<UInt8> = []
    var requested: [PCIAddress] = []
    for entry in entries {
      guard let device = entry.device, !leaving.contains(device) else { continue }
      guard let address = entry.virtualAddress else {
        requested.append(device)
        continue
      }
      shown.insert(address.device)
      if device.function != 0 || !isVirtualFunction(device) { cards.insert(Card(device)) }
    }
    used = shown.count
    for device in requested { _ = add(device, isVirtualFunction: isVirtualFunction(device)) }
  }

  /// Says that no slot is left, for people.
  package var lackText: String { "pciback shows the guest \(Self.count) slots, and all of them are in use" }

  /// Gives a device a slot. Returns false if none is left; then nothing is changed.
  package mutating func add(_ device: PCIAddress, isVirtualFunction: Bool) -> Bool {
    let isAlone = isVirtualFunction && device.function == 0
    if !isAlone, cards.contains(Card(device)) { return true }
    guard used < Self.count else { return false }
    used += 1
    if !isAlone { cards.insert(Card(device)) }
    return true
  }
}
