import Glibc
package import Model
import XenProtocol

/// The reason why a simulated hypercall failed: Xen's error number.
package struct HypercallFailure: Error, Hashable, Sendable {
  package let errno: Int32
  package init(_ errno: Int32) { self.errno = errno }
}

/// A failure that a scenario demands.
package struct HypercallFault: Hashable, Sendable {
  /// The calls that can fail, by their names in scenarios and in the line protocol.
  package enum Call: String, Sendable, CaseIterable {
    case test, assign, deassign, ports, frames, interrupt, group
    case reservedMemory = "reserved-memory"
    case mapInterrupt = "map-interrupt"
    case unmapInterrupt = "unmap-interrupt"
  }
  package var call: Call
  /// The device; nil means any.
  package var device: PCIAddress?
  package var domain: DomainID?
  package var errno: Int32
  /// How often the failure still happens; nil means always.
  package var times: Int?

  package init(call: Call, device: PCIAddress? = nil, domain: DomainID? = nil, errno: Int32, times: Int? = nil) {
    self.call = call
    self.device = device
    self.domain = domain
    self.errno = errno
    self.times = times
  }
}

/// A domain as the hypervisor knows it.
// Size 5/13: what Xen keeps of a domain.
package struct SimulatedDomain: Hashable, Sendable {
  package var id: DomainID
  package var uuid: DomainUUID
  package var isHardwareVirtualised: Bool
  package var isPaused: Bool
  /// The reason of its shutdown (xen/include/public/sched.h); nil while it runs.
  package var shutdownCode: UInt32?
  package var isDying = false
  /// Whether it was created so that devices can be assigned (`XEN_DOMCTL_CDF_iommu`).
  package var hasIOMMU: Bool
  /// The nanoseconds used before `runningSince`.
  package var cpuTime: UInt64
  package var runningSince: ContinuousClock.Instant?

  package var ports: Set<ClosedRange<UInt64>> = []
  package var frames: Set<ClosedRange<UInt64>> = []
  package var mappedInterrupts: Set<UInt32> = []
  package var allowedInterrupts: Set<UInt32> = []

  package init(
    id: DomainID, uuid: DomainUUID, isHardwareVirtualised: Bool, isPaused: Bool, hasIOMMU: Bool,
    cpuTime: UInt64 = 0, shutdownCode: UInt32? = nil
  ) {
    self.id = id
    self.uuid = uuid
    self.isHardwareVirtualised = isHardwareVirtualised
    self.isPaused = isPaused
    self.hasIOMMU = hasIOMMU
    self.cpuTime = cpuTime
    self.shutdownCode = shutdownCode
    runningSince = isPaused || shutdownCode != nil ? nil : .now
  }

  /// The nanoseconds of CPU time. A running domain is assumed to use CPU time all the time.
  package var cpuTimeNow: UInt64 {
    guard let runningSince else { return cpuTime }
    let (seconds, attoseconds) = (ContinuousClock.now - runningSince).components
    return cpuTime + UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000 + 1
  }

  mutating func pause() {
    (cpuTime, runningSince, isPaused) = (cpuTimeNow, nil, true)
  }

  mutating func shutDown(code: UInt32) {
    (cpuTime, runningSince, shutdownCode) = (cpuTimeNow, nil, code)
  }

  mutating func unpause() {
    isPaused = false
    if shutdownCode == nil { runningSince = .now }
  }
}

/// What ties devices of a host together, as the IOMMU and the firmware have it.
package struct DeviceTies: Sendable {
  /// The devices whose requests carry the id of another device: behind a bridge, or because of the firmware's table.
  package var requesters: [PCIAddress: PCIAddress] = [:]
  /// The host's memory that the firmware has reserved for devices, by 4 KiB frame.
  package var reservedMemory: [PCIAddress: [ClosedRange<UInt64>]] = [:]
  package init() {}

  func requester(of device: PCIAddress) -> PCIAddress { requesters[device] ?? device }

  func sharesReservedMemory(_ device: PCIAddress) -> Bool {
    let ranges = Set(reservedMemory[device] ?? [])
    return reservedMemory.contains { $0.key != device && !ranges.isDisjoint(with: $0.value) }
  }
}

/// Xen's part: the domains that exist, and the owner of each device.
///
/// The rules are those of `xen/drivers/passthrough/{pci,iommu}.c`, `xen/common/domctl.c` and `xen/arch/x86/physdev.c`
/// at Xen 4.17.
// Size 18/7: what Xen keeps of all domains.
package struct SimulatedHypervisor: Sendable {
  /// The owner of a device.
  package enum Owner: Hashable, Sendable {
    case dom0
    /// Quarantined: the owner, `dom_io`, cannot use the device.
    case quarantine
    case guest(DomainID)
  }
  /// The domain that a question or an assignment names.
  package enum Target: Hashable, Sendable {
    case domain(DomainID)
    /// `DOMID_IO`.
    case quarantine
    /// `DOMID_INVALID`: "anyone".
    case anyone

    package init(_ number: UInt32) {
      switch number {
      case 0x7FF1: self = .quarantine
      case 0x7FF4: self = .anyone
      default: self = .domain(DomainID(number))
      }
    }
  }

  package var version: String
  package var hasIOMMU: Bool
  package var domains: [DomainID: SimulatedDomain] = [:]
  package var owners: [PCIAddress: Owner] = [:]
  package var ties = DeviceTies()
  /// The interrupts that dom0 has mapped. A domain can get permission only for one of these.
  package var hostInterrupts: Set<UInt32> = []
  package var faults: [HypercallFault] = []

  package init(version: String = XenVersion.simulated.description, hasIOMMU: Bool = true) {
    self.version = version
    self.hasIOMMU = hasIOMMU
  }

  /// `XEN_DOMCTL_test_assign_device`: success means free; EINVAL means taken or unknown.
  package mutating func test(_ device: PCIAddress, for target: Target) throws(HypercallFailure) {
    try failIfAsked(.test, device, target)
    try requireIOMMU(target)
    guard target != .domain(.zero), owners[device] == .dom0 || owners[device] == .quarantine else {
      throw HypercallFailure(EINVAL)
    }
  }

  /// `XEN_DOMCTL_assign_device`. A device that shares reserved memory with another one is assigned only if `isRelaxed`
  /// (`intel_iommu_assign_device`, xen/drivers/passthrough/vtd/iommu.c, Xen 4.17).
  package mutating func assign(
    _ device: PCIAddress, to target: Target, isRelaxed: Bool = true
  ) throws(HypercallFailure) {
    try failIfAsked(.assign, device, target)
    try requireIOMMU(target)
    guard target != .domain(.zero), target != .anyone else { throw HypercallFailure(EINVAL) }
    if case .domain(let id) = target, domains[id]?.isDying == true { throw HypercallFailure(EINVAL) }
    switch owners[device] {
    case nil: throw HypercallFailure(ENODEV)
    case .guest: throw HypercallFailure(EBUSY)
    case .dom0, .quarantine:
      guard isRelaxed || !ties.sharesReservedMemory(device) else { throw HypercallFailure(EPERM) }
      if case .domain(let id) = target { owners[device] = .guest(id) } else { owners[device] = .quarantine }
    }
  }

  /// `XEN_DOMCTL_deassign_device`: the device goes back to quarantine, and from there to dom0.
  package mutating func deassign(_ device: PCIAddress, from target: Target) throws(HypercallFailure) {
    try failIfAsked(.deassign, device, target)
    try requireIOMMU(target, EINVAL)
    switch target {
    case .domain(let id):
      guard owners[device] == .guest(id) else { throw HypercallFailure(ENODEV) }
      owners[device] = .quarantine
    case .quarantine:
      guard owners[device] == .quarantine else { throw HypercallFailure(ENODEV) }
      owners[device] = .dom0
    case .anyone: throw HypercallFailure(EINVAL)
    }
  }

  /// `XEN_DOMCTL_get_device_group`: the domain's other devices that the IOMMU cannot tell apart from this one, whose own
  /// owner does not matter (`iommu_get_device_group`).
  package mutating func group(of device: PCIAddress, in target: Target) throws(HypercallFailure) -> [PCIAddress] {
    try failIfAsked(.group, device, target)
    guard case .domain(let id) = target, id == .zero || domains[id] != nil else { throw HypercallFailure(ESRCH) }
    try requireIOMMU(target)
    let owner: Owner = id == .zero ? .dom0 : .guest(id)
    return owners.filter {
      $0.value == owner && $0.key != device && $0.key.segment == device.segment
        && ties.requester(of: $0.key) == ties.requester(of: device)
    }.map(\.key).sorted()
  }

  /// `XENMEM_reserved_device_memory_map` for one device.
  package mutating func reservedMemory(of device: PCIAddress) throws(HypercallFailure) -> [ClosedRange<UInt64>] {
    try failIfAsked(.reservedMemory, device, .domain(.zero))
    return hasIOMMU ? ties.reservedMemory[device] ?? [] : []
  }

  /// `XEN_DOMCTL_ioport_permission`.
  package mutating func setPorts(
    first: UInt64, count: UInt64, of domain: DomainID, allowed: Bool
  ) throws(HypercallFailure) {
    try failIfAsked(.ports, nil, .domain(domain))
    guard count > 0, first <= 0xFFFF, count <= 0x10000 - first else { throw HypercallFailure(EINVAL) }
    try change(domain) { $0.ports.set(first...first + count - 1, allowed) }
  }

  /// `XEN_DOMCTL_iomem_permission`.
  package mutating func setFrames(
    first: UInt64, count: UInt64, of domain: DomainID, allowed: Bool
  ) throws(HypercallFailure) {
    try failIfAsked(.frames, nil, .domain(domain))
    let (end, isOver) = first.addingReportingOverflow(count)
    guard count > 0, !isOver else { throw HypercallFailure(EINVAL) }
    try change(domain) { $0.frames.set(first...end - 1, allowed) }
  }

  /// `PHYSDEVOP_map_pirq` of a GSI. Mapping it again at the same place is no error.
  package mutating func map(_ gsi: UInt32, in domain: DomainID) throws(HypercallFailure) {
    try failIfAsked(.mapInterrupt, nil, .domain(domain))
    guard gsi < 1024 else { throw HypercallFailure(EINVAL) }
    try change(domain) {
      $0.mappedInterrupts.insert(gsi)
      $0.allowedInterrupts.insert(gsi)
    }
  }

  /// `PHYSDEVOP_unmap_pirq`: EINVAL if it is not mapped. A device that shares it may have unmapped it before.
  package mutating func unmap(_ gsi: UInt32, in domain: DomainID) throws(HypercallFailure) {
    try failIfAsked(.unmapInterrupt, nil, .domain(domain))
    guard let known = domains[domain] else { throw HypercallFailure(ESRCH) }
    guard known.mappedInterrupts.contains(gsi) else { throw HypercallFailure(EINVAL) }
    domains[domain]?.mappedInterrupts.remove(gsi)
  }

  /// `XEN_DOMCTL_irq_permission`: the number is dom0's.
  package mutating func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HypercallFailure) {
    try failIfAsked(.interrupt, nil, .domain(domain))
    guard hostInterrupts.contains(gsi) else { throw HypercallFailure(EPERM) }
    try change(domain) { $0.allowedInterrupts.set(gsi, allowed) }
  }

  /// Ends a domain; its devices are quarantined.
  package mutating func destroy(_ domain: DomainID) throws(HypercallFailure) {
    guard domains.removeValue(forKey: domain) != nil else { throw HypercallFailure(ESRCH) }
    for (device, owner) in owners where owner == .guest(domain) { owners[device] = .quarantine }
  }

  package mutating func change(
    _ domain: DomainID, _ body: (inout SimulatedDomain) -> Void
  ) throws(HypercallFailure) {
    guard var known = domains[domain] else { throw HypercallFailure(ESRCH) }
    body(&known)
    domains[domain] = known
  }

  private func requireIOMMU(_ target: Target, _ error: Int32 = EOPNOTSUPP) throws(HypercallFailure) {
    guard hasIOMMU else { throw HypercallFailure(error) }
    guard case .domain(let id) = target, id != .zero else { return }
    guard let domain = domains[id] else { throw HypercallFailure(ESRCH) }
    guard domain.hasIOMMU else { throw HypercallFailure(error) }
  }

  private mutating func failIfAsked(
    _ call: HypercallFault.Call, _ device: PCIAddress?, _ target: Target
  ) throws(HypercallFailure) {
    for (position, fault) in faults.enumerated() where fault.call == call && fault.times != 0 {
      if let wanted = fault.device, wanted != device { continue }
      if let wanted = fault.domain, target != .domain(wanted) { continue }
      if let times = fault.times { faults[position].times = times - 1 }
      throw HypercallFailure(fault.errno)
    }
  }
}

extension Set {
  fileprivate mutating func set(_ element: Element, _ isIn: Bool) {
    if isIn { insert(element) } else { remove(element) }
  }
}
