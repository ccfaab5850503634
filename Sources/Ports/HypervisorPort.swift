package import Model
package import XenProtocol

/// A domain as the hypervisor lists it.
package struct HypervisorDomain: Hashable, Sendable, Codable {
  package var id: DomainID
  package var uuid: DomainUUID
  /// HVM or PVH (`XEN_DOMINF_hvm_guest`).
  package var isHardwareVirtualised: Bool
  package var isPaused: Bool
  package var isShutDown: Bool
  /// Why it shut down (`SHUTDOWN_*`, xen/include/public/sched.h); nil while it has not, or if unknown.
  package var shutdownCode: UInt8?
  package var isDying: Bool
  /// CPU time used so far, in nanoseconds.
  package var cpuTime: UInt64

  package init(
    id: DomainID, uuid: DomainUUID, isHardwareVirtualised: Bool = false, isPaused: Bool = false,
    isShutDown: Bool = false, shutdownCode: UInt8? = nil, isDying: Bool = false, cpuTime: UInt64 = 1
  ) {
    self.id = id
    self.uuid = uuid
    self.isHardwareVirtualised = isHardwareVirtualised
    self.isPaused = isPaused
    self.isShutDown = isShutDown
    self.shutdownCode = shutdownCode
    self.isDying = isDying
    self.cpuTime = cpuTime
  }
}

/// What the hypervisor and its library say of themselves.
package struct HypervisorFacts: Hashable, Sendable, Codable {
  /// Xen's version as Xen reports it, such as `4.17.5`.
  package var version: String
  /// Whether Xen uses an IOMMU.
  package var hasIOMMU: Bool
  /// The release of the libxenctrl with which this program was linked; nil if unknown, or without libxenctrl.
  package var library: XenRelease?

  package init(version: String, hasIOMMU: Bool, library: XenRelease? = nil) {
    self.version = version
    self.hasIOMMU = hasIOMMU
    self.library = library
  }
}

/// The hypervisor's answer to whether a device could be assigned.
package enum AssignmentProbe: String, Sendable, Codable {
  case free
  /// Owned by a guest, or unknown to Xen: Xen reports the same error for both.
  case takenOrUnknown
  /// The domain, or the host, has no IOMMU.
  case noIOMMU

  /// Returns the answer that the error number of `xc_test_assign_device` stands for, or nil if Xen could not be asked
  /// (`iommu_do_pci_domctl`, xen/drivers/passthrough/pci.c, Xen 4.17).
  package init?(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .invalid, .noDevice: self = .takenOrUnknown
    case .notSupported, .noSystemCall: self = .noIOMMU
    default: return nil
    }
  }
}

extension PCIAddress {
  /// Returns the device that an answer of `XEN_DOMCTL_get_device_group` names: `bus << 16 | devfn << 8`, and not the form
  /// in which the question has its device (`iommu_get_device_group`, xen/drivers/passthrough/pci.c, Xen 4.17). Xen names
  /// only devices of the asked device's segment.
  package init(inGroupOf device: PCIAddress, _ answer: UInt32) {
    self.init(sbdf: device.sbdf & 0xFFFF_0000 | answer >> 8 & 0xFFFF)
  }
}

/// Returns the 4 KiB frames of an entry of Xen's map of reserved memory; nil if there are none, or if the last byte has
/// no address.
package func frameRange(from first: UInt64, count: UInt64) -> ClosedRange<UInt64>? {
  let (end, overflows) = first.addingReportingOverflow(count)
  guard count > 0, !overflows, end <= 1 << 52 else { return nil }
  return first...end - 1
}

/// The hypercalls that Berth makes. Each comment names the C function (libxenctrl 4.17).
package protocol HypervisorPort: Sendable {
  /// Returns all domains except dom0, in order. `xc_domain_getinfolist`.
  func domains() throws(HostError) -> [HypervisorDomain]
  /// Returns one domain; nil if it does not exist. `xc_domain_getinfolist`, with a check of the number in its answer.
  func domain(_ id: DomainID) throws(HostError) -> HypervisorDomain?
  /// Returns Xen's version, and whether Xen uses an IOMMU. Throws `otherRelease` if libxenctrl is of a release that Xen
  /// does not talk to. `xc_version`, `xc_physinfo`.
  func hostFacts() throws(HostError) -> HypervisorFacts
  /// Asks without changing anything whether the device could be assigned. A nil domain asks whether any guest has it
  /// (`DOMID_INVALID`). `xc_test_assign_device`.
  func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe
  /// Asks for each of these devices whether any guest has it, and returns the answers in their order.
  func probe(_ devices: [PCIAddress]) throws(HostError) -> [AssignmentProbe]
  /// Returns the other devices of dom0 that the IOMMU cannot tell from this one, in order. The asked device itself may be
  /// anyone's. Throws `noIOMMU` if Xen uses none. `xc_get_device_group`.
  func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress]
  /// Returns the host's memory that the firmware has reserved for the device, by 4 KiB frame number and in order. Without
  /// an IOMMU, Xen reports none. `xc_reserved_device_memory_map`.
  func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>]
  /// Assigns the device to the domain: the only atomic claim. Throws `busy` if any guest, including this one, has the
  /// device. `xc_assign_device`.
  func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError)
  /// Ends the device's assignment. Throws `notOwner` if the domain does not have the device. `xc_deassign_device`.
  func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError)
  /// Grants or revokes I/O ports; repeating is harmless. `xc_domain_ioport_permission`.
  func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError)
  /// Grants or revokes memory, by 4 KiB frame number; repeating is harmless. `xc_domain_iomem_permission`.
  func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError)
  /// Maps a GSI for the domain at the same number; repeating is harmless. `xc_physdev_map_pirq`.
  func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError)
  /// Unmaps the GSI. Throws `invalid` if it is not mapped, which counts as done. `xc_physdev_unmap_pirq`.
  func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError)
  /// Grants or revokes the interrupt. The number is dom0's, so it must be mapped in dom0. `xc_domain_irq_permission`.
  func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError)
}

extension HypervisorPort {
  package func probe(_ devices: [PCIAddress]) throws(HostError) -> [AssignmentProbe] {
    var answers: [AssignmentProbe] = []
    for device in devices { answers.append(try probe(device, for: nil)) }
    return answers
  }
}
