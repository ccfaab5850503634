import Model
import Testing
import XenProtocol

/// The slots of a guest's bus: `__xen_pcibk_add_pci_dev`, drivers/xen/xen-pciback/vpci.c, Linux 6.1.
@Suite struct VirtualSlotTests {
  private func address(_ bus: UInt8, _ device: UInt8 = 0, _ function: UInt8 = 0) throws -> PCIAddress {
    try #require(PCIAddress(segment: 0, bus: bus, device: device, function: function))
  }

  private func shown(_ device: PCIAddress, at slot: UInt8) throws -> BackEndEntry {
    BackEndEntry(
      index: 0, device: device, state: StateNode(.initialised), virtualAddress: try address(0, slot, device.function))
  }

  @Test func `each card has a slot, up to 32`() throws {
    var slots = VirtualSlots(of: [])
    for bus: UInt8 in 1...32 { #expect(slots.add(try address(bus), isVirtualFunction: false)) }
    #expect(slots.used == 32)
    #expect(!slots.add(try address(33), isVirtualFunction: false))
    // A function of a card that has a slot still fits.
    #expect(slots.add(try address(5, 0, 3), isVirtualFunction: false))
    #expect(slots.add(try address(5, 0, 4), isVirtualFunction: true))
    #expect(slots.used == 32)
  }

  @Test func `a virtual function that is function 0 is alone`() throws {
    var slots = VirtualSlots(of: [])
    #expect(slots.add(try address(3, 16), isVirtualFunction: true))
    #expect(slots.add(try address(3, 16, 1), isVirtualFunction: true))
    #expect(slots.add(try address(3, 16, 2), isVirtualFunction: true))
    #expect(slots.used == 2)
    #expect(slots.add(try address(3, 16), isVirtualFunction: true))
    #expect(slots.used == 3)
  }

  @Test func `entries use the slots that the guest sees, and requests one of their own`() throws {
    let entries = [
      try shown(address(1), at: 0), try shown(address(1, 0, 1), at: 0), try shown(address(2), at: 5),
      BackEndEntry(index: 3, device: try address(9), state: StateNode(.initialising)),
      BackEndEntry(index: 4, device: nil, state: .absent),
    ]
    #expect(VirtualSlots(of: entries).used == 3)
    #expect(VirtualSlots(of: entries, without: [try address(2), try address(9)]).used == 1)
    // One function of the card stays in the slot.
    #expect(VirtualSlots(of: entries, without: [try address(1)]).used == 3)
  }

  // MARK: What a transaction decides

  private func bus(_ used: UInt8) throws -> BackEnd {
    var entries: [BackEndEntry] = []
    for number in 0..<used {
      var entry = try shown(address(number + 1), at: number)
      entry.index = Int(number)
      entries.append(entry)
    }
    return BackEnd(
      domain: DomainID(5), state: StateNode(.connected), frontEndState: StateNode(.connected),
      count: .number(entries.count), hasFrontEndPath: true, entries: entries)
  }

  private func decision(_ bus: BackEnd, _ wanted: [NewEntry]) -> AttachDecision {
    bus.attachDecision(
      wanted, named: "net", mode: .hot, finishing: [],
      exportable: Set(wanted.map(\.device) + bus.entries.compactMap(\.device)))
  }

  @Test func `a transaction refuses what would end the bus`() throws {
    let (first, second) = (
      NewEntry(device: try address(100), options: DeviceOptions()),
      NewEntry(device: try address(101), options: DeviceOptions())
    )
    #expect(
      decision(try bus(31), [first, second])
        == .refuse(.busFull, "pciback shows the guest 32 slots, and all of them are in use"))
    guard case .publish = decision(try bus(31), [first]) else {
      Issue.record("the last slot is not used")
      return
    }
    // A device that pciback exports to the guest already has its slot.
    let exported = NewEntry(device: try address(102), options: DeviceOptions(), exportedAt: try address(0, 31))
    guard case .publish = decision(try bus(31), [exported]) else {
      Issue.record("an exported device is refused")
      return
    }
    // A function of a card that is there needs none.
    let sibling = NewEntry(device: try address(1, 0, 1), options: DeviceOptions())
    guard case .publish = decision(try bus(32), [sibling]) else {
      Issue.record("a function of a listed card is refused")
      return
    }
  }
}
