import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// A plan gives a guest no more devices than pciback can show the guest.
@Suite struct BusRoomTests {
  private func observe(_ domains: [ObservedDomain], _ devices: [ObservedDevice], _ owned: [PCIAddress]) -> Observation {
    Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000, domains: domains,
      devices: devices, records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: owned)])
  }

  /// Addresses of cards with one function each.
  private func cards(_ range: Range<UInt8>) -> [PCIAddress] {
    range.compactMap { PCIAddress(segment: 0, bus: 0x40 + $0, device: 0, function: 0) }
  }

  private func plan(
    has: [PCIAddress], wants: [PCIAddress], change: (inout Observation) -> Void = { _ in }
  ) -> Plan {
    let devices = Set(has + wants).sorted().map { Sample.device($0, heldBy: has.contains($0) ? 1 : nil) }
    var observation = observe([Sample.domain(1, "net", has)], devices, has)
    change(&observation)
    return makePlan(desired: Sample.desired(["net": wants]), observation: observation)
  }

  @Test func `the devices that do not fit are blocked, in the order of the manifest`() {
    let (has, new) = (cards(0..<30), cards(30..<35))
    let plan = plan(has: has, wants: has + new)
    #expect(plan.steps.filter { $0.action == .attach }.map(\.device) == Array(new.prefix(2)))
    let blocked = plan.steps.filter { $0.kind == .blocked(.busFull) }
    #expect(blocked.map(\.device) == Array(new.suffix(3)))
    #expect(blocked.first?.evidence == "pciback shows the guest 32 slots, and all of them are in use")
    #expect(plan.isBlocked)
  }

  @Test func `what leaves makes room`() {
    let (has, new) = (cards(0..<32), cards(32..<34))
    let plan = plan(has: has, wants: Array(has.dropFirst(1)) + new)
    #expect(plan.steps.count { $0.action == .detach } == 1)
    #expect(plan.steps.count { $0.action == .attach } == 1)
    #expect(plan.steps.count { $0.kind == .blocked(.busFull) } == 1)
  }

  @Test func `functions of one card need one slot, and virtual functions at 0 need their own`() throws {
    let has = cards(0..<31)
    let functions = (0..<8).compactMap { PCIAddress(segment: 0, bus: 0x90, device: 0, function: $0) }
    #expect(plan(has: has, wants: has + functions).steps.allSatisfy { $0.kind != .blocked(.busFull) })
    let virtual = plan(has: has, wants: has + functions) { observation in
      for index in observation.devices.indices where functions.contains(observation.devices[index].address) {
        observation.devices[index].facts?.isVirtualFunction = true
      }
    }
    // The first one fills the last slot alone.
    #expect(virtual.steps.filter { $0.kind == .blocked(.busFull) }.map(\.device) == Array(functions.dropFirst()))
  }

  @Test func `QEMU's own devices use slots, too`() {
    let (has, new) = (cards(0..<2), cards(2..<6))
    let plan = plan(has: has, wants: has + new) { observation in
      observation.domains[0].kind = .hvm
      observation.domains[0].deviceModel = .upstream
      observation.domains[0].backEnd?.hasFrontEndDriver = false
      observation.domains[0].backEnd?.state = StateNode(.initialised)
      observation.domains[0].backEnd?.frontEndState = StateNode(.initialising)
      observation.domains[0].emulated = has.enumerated().map {
        EmulatedDevice(name: DeviceModelName($1), slot: UInt8(4 + $0), function: 0)
      }
      observation.domains[0].usedSlots = Set(0..<30)
    }
    #expect(plan.steps.count { $0.action == .attach } == 2)
    let blocked = plan.steps.filter { $0.kind == .blocked(.busFull) }
    #expect(blocked.map(\.device) == Array(new.suffix(2)))
    #expect(blocked.first?.evidence == "QEMU has 32 slots for the guest, and all of them are in use")
  }

  @Test func `devices that the guest has already are never blocked`() {
    let has = cards(0..<32)
    #expect(plan(has: has, wants: has).steps.allSatisfy { $0.action == .keep })
  }
}
