import Glibc
import Model
import Sandbox
import TestSupport
import Testing

/// Xen's rules for the owners of devices.
struct SimulatedHypervisorTests {
  private let first = DomainID(1)
  private let second = DomainID(2)
  private let device = Sample.address(0)

  private func host() -> SimulatedHypervisor {
    var hypervisor = SimulatedHypervisor()
    for (id, hasIOMMU) in [(first, true), (second, true), (DomainID(3), false)] {
      hypervisor.domains[id] = SimulatedDomain(
        id: id, uuid: Sample.uuid(Int(id.rawValue)), isHardwareVirtualised: false, isPaused: false, hasIOMMU: hasIOMMU)
    }
    hypervisor.owners = [device: .quarantine, Sample.address(1): .dom0]
    hypervisor.hostInterrupts = [16]
    return hypervisor
  }

  @Test func `a device has one owner`() throws {
    var hypervisor = host()
    try hypervisor.test(device, for: .domain(first))
    try hypervisor.assign(device, to: .domain(first))
    #expect(throws: HypercallFailure(EBUSY)) { try hypervisor.assign(device, to: .domain(second)) }
    #expect(throws: HypercallFailure(EBUSY)) { try hypervisor.assign(device, to: .domain(first)) }
    #expect(throws: HypercallFailure(EINVAL)) { try hypervisor.test(device, for: .anyone) }
    #expect(throws: HypercallFailure(ENODEV)) { try hypervisor.deassign(device, from: .domain(second)) }
    try hypervisor.deassign(device, from: .domain(first))
    #expect(hypervisor.owners[device] == .quarantine)
    try hypervisor.deassign(device, from: .quarantine)
    #expect(hypervisor.owners[device] == .dom0)
  }

  @Test func `errors distinguish missing domains and devices`() throws {
    var hypervisor = host()
    let unknown = Sample.address(9)
    #expect(throws: HypercallFailure(ENODEV)) { try hypervisor.assign(unknown, to: .domain(first)) }
    #expect(throws: HypercallFailure(EINVAL)) { try hypervisor.test(unknown, for: .domain(first)) }
    #expect(throws: HypercallFailure(ESRCH)) { try hypervisor.assign(device, to: .domain(DomainID(9))) }
    #expect(throws: HypercallFailure(EINVAL)) { try hypervisor.test(device, for: .domain(.zero)) }
  }

  @Test func `without an IOMMU nothing is assigned`() throws {
    var hypervisor = host()
    #expect(throws: HypercallFailure(EOPNOTSUPP)) { try hypervisor.assign(device, to: .domain(DomainID(3))) }
    try hypervisor.test(device, for: .anyone)
    hypervisor.hasIOMMU = false
    #expect(throws: HypercallFailure(EOPNOTSUPP)) { try hypervisor.test(device, for: .anyone) }
    #expect(throws: HypercallFailure(EOPNOTSUPP)) { try hypervisor.assign(device, to: .domain(first)) }
  }

  @Test func `Xen does not count an interrupt's users`() throws {
    var hypervisor = host()
    try hypervisor.map(16, in: first)
    try hypervisor.map(16, in: first)
    try hypervisor.setInterrupt(16, of: first, allowed: true)
    #expect(throws: HypercallFailure(EPERM)) { try hypervisor.setInterrupt(17, of: first, allowed: true) }
    try hypervisor.unmap(16, in: first)
    #expect(throws: HypercallFailure(EINVAL)) { try hypervisor.unmap(16, in: first) }
  }

  @Test func `ranges can be granted and revoked, even twice`() throws {
    var hypervisor = host()
    for _ in 0..<2 { try hypervisor.setFrames(first: 0xF0000, count: 4, of: first, allowed: true) }
    #expect(hypervisor.domains[first]?.frames == [0xF0000...0xF0003])
    for _ in 0..<2 { try hypervisor.setFrames(first: 0xF0000, count: 4, of: first, allowed: false) }
    #expect(hypervisor.domains[first]?.frames.isEmpty == true)
    #expect(throws: HypercallFailure(EINVAL)) {
      try hypervisor.setPorts(first: 0xFFF0, count: 0x20, of: first, allowed: true)
    }
    #expect(throws: HypercallFailure(EINVAL)) {
      try hypervisor.setFrames(first: .max, count: 2, of: first, allowed: true)
    }
  }

  @Test func `a dead domain's devices are quarantined`() throws {
    var hypervisor = host()
    try hypervisor.assign(device, to: .domain(first))
    try hypervisor.destroy(first)
    #expect(hypervisor.owners[device] == .quarantine)
    #expect(throws: HypercallFailure(ESRCH)) { try hypervisor.destroy(first) }
  }

  @Test func `a group has the named domain's devices with one requester id, and not the asked one`() throws {
    var hypervisor = host()
    let (bridge, other) = (Sample.address(1), Sample.address(2))
    let far = PCIAddress(sbdf: 0x1_0000 | bridge.sbdf)
    hypervisor.owners[other] = .dom0
    hypervisor.owners[far] = .dom0
    hypervisor.ties.requesters = [device: bridge, other: bridge, far: bridge]
    // Whose the asked device is does not matter, and this one is in quarantine.
    #expect(try hypervisor.group(of: device, in: .domain(.zero)) == [bridge, other])
    #expect(try hypervisor.group(of: bridge, in: .domain(.zero)) == [other])
    #expect(try hypervisor.group(of: bridge, in: .domain(first)) == [])
    try hypervisor.assign(device, to: .domain(first))
    #expect(try hypervisor.group(of: bridge, in: .domain(first)) == [device])
    #expect(throws: HypercallFailure(ESRCH)) { try hypervisor.group(of: bridge, in: .quarantine) }
    #expect(throws: HypercallFailure(EOPNOTSUPP)) { try hypervisor.group(of: bridge, in: .domain(DomainID(3))) }
    hypervisor.hasIOMMU = false
    #expect(throws: HypercallFailure(EOPNOTSUPP)) { try hypervisor.group(of: bridge, in: .domain(.zero)) }
  }

  @Test func `a device that shares reserved memory is assigned only with the relaxed policy`() throws {
    var hypervisor = host()
    let range: ClosedRange<UInt64> = 0x7B800...0x7B9FF
    hypervisor.ties.reservedMemory = [device: [range, 1...1]]
    #expect(try hypervisor.reservedMemory(of: device) == [range, 1...1])
    #expect(try hypervisor.reservedMemory(of: Sample.address(1)) == [])
    try hypervisor.assign(device, to: .domain(first), isRelaxed: false)
    try hypervisor.deassign(device, from: .domain(first))
    hypervisor.ties.reservedMemory[Sample.address(1)] = [range]
    #expect(throws: HypercallFailure(EPERM)) { try hypervisor.assign(device, to: .domain(first), isRelaxed: false) }
    try hypervisor.assign(device, to: .domain(first), isRelaxed: true)
    hypervisor.hasIOMMU = false
    #expect(try hypervisor.reservedMemory(of: device) == [])
  }

  @Test func `a call fails as often as the scenario says`() throws {
    var hypervisor = host()
    hypervisor.faults = [HypercallFault(call: .assign, device: device, errno: EIO, times: 2)]
    for _ in 0..<2 { #expect(throws: HypercallFailure(EIO)) { try hypervisor.assign(device, to: .domain(first)) } }
    try hypervisor.assign(device, to: .domain(first))
  }
}
