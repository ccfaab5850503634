import CXenControl
import Glibc
package import Model
package import Ports
import Synchronization

/// The hypervisor, through libxenctrl of the Xen release for which this program was built.
///
/// The interface is opened at the first call, so that code that needs no Xen runs without one. After a failure, the
/// next call tries again. libxenctrl's handle may be used from several threads (xenctrl.h,
/// `XC_OPENFLAG_NON_REENTRANT`).
package final class HypervisorConnection: HypervisorPort {
  /// The number of domains that one call lists.
  private static let page = 1024
  /// `DOMID_INVALID` (xen/include/public/xen.h): for this domain, a test asks whether any guest has the device.
  private static let anyDomain: UInt32 = 0x7FF4

  private let opened = Mutex<ControlInterface?>(nil)

  package init() {}

  package func domains() throws(HostError) -> [HypervisorDomain] {
    var result: [HypervisorDomain] = []
    var first: UInt32 = 1
    while first < DomainID.firstReserved {
      let page = try list(from: first, atMost: Self.page)
      guard let last = page.last else { break }
      result += page
      if page.count < Self.page { break }
      first = last.id.rawValue + 1
    }
    return result
  }

  package func domain(_ id: DomainID) throws(HostError) -> HypervisorDomain? {
    // If this domain is gone, the hypervisor returns the next one.
    try list(from: id.rawValue, atMost: 1).first { $0.id == id }
  }

  package func hostFacts() throws(HostError) -> (version: String, hasIOMMU: Bool) {
    let interface = try interface()
    let number = unsafe xc_version(interface.raw, XENVER_version, nil)
    guard number >= 0 else { throw .hypervisor(HypervisorError(errno: errno, operation: "xc_version")) }
    // xen_extraversion_t, xen/include/public/version.h.
    var extra = [CChar](repeating: 0, count: 16)
    guard unsafe xc_version(interface.raw, XENVER_extraversion, &extra) >= 0 else {
      throw .hypervisor(HypervisorError(errno: errno, operation: "xc_version"))
    }
    let suffix = String(decoding: extra.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var physical = xc_physinfo_t()
    guard unsafe xc_physinfo(interface.raw, &physical) == 0 else {
      throw .hypervisor(HypervisorError(errno: errno, operation: "xc_physinfo"))
    }
    // XEN_SYSCTL_PHYSCAP_directio, xen/include/public/sysctl.h.
    let hasIOMMU = physical.capabilities & (1 << UInt32(_XEN_SYSCTL_PHYSCAP_directio)) != 0
    return ("\(number >> 16).\(number & 0xFFFF)\(suffix)", hasIOMMU)
  }

  package func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe {
    let interface = try interface()
    let number = domain?.rawValue ?? Self.anyDomain
    guard unsafe xc_test_assign_device(interface.raw, number, device.sbdf) != 0 else { return .free }
    let failure = errno
    guard let answer = AssignmentProbe(errno: failure) else {
      throw .hypervisor(HypervisorError(errno: failure, operation: "xc_test_assign_device"))
    }
    return answer
  }

  package func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    // XEN_DOMCTL_DEV_RDM_RELAXED, xen/include/public/domctl.h.
    let flags: UInt32 = relaxed ? 1 : 0
    try call("xc_assign_device") { unsafe xc_assign_device($0.raw, domain.rawValue, device.sbdf, flags) }
  }

  package func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) {
    try call("xc_deassign_device") { unsafe xc_deassign_device($0.raw, domain.rawValue, device.sbdf) }
  }

  package func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    let operation = "xc_domain_ioport_permission"
    guard range.upperBound <= 0xFFFF else { throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation)) }
    let (first, count) = (UInt32(range.lowerBound), UInt32(range.upperBound - range.lowerBound) + 1)
    try call(operation) { unsafe xc_domain_ioport_permission($0.raw, domain.rawValue, first, count, allowed ? 1 : 0) }
  }

  package func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    let operation = "xc_domain_iomem_permission"
    let (count, overflows) = (range.upperBound - range.lowerBound).addingReportingOverflow(1)
    guard !overflows else { throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation)) }
    try call(operation) {
      unsafe xc_domain_iomem_permission($0.raw, domain.rawValue, UInt(range.lowerBound), UInt(count), allowed ? 1 : 0)
    }
  }

  package func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    let operation = "xc_physdev_map_pirq"
    guard let index = Int32(exactly: gsi) else {
      throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation))
    }
    var number = index
    try call(operation) { unsafe xc_physdev_map_pirq($0.raw, domain.rawValue, index, &number) }
  }

  package func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    let operation = "xc_physdev_unmap_pirq"
    guard let number = Int32(exactly: gsi) else {
      throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation))
    }
    try call(operation) { unsafe xc_physdev_unmap_pirq($0.raw, domain.rawValue, number) }
  }

  package func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    try call("xc_domain_irq_permission") { unsafe xc_domain_irq_permission($0.raw, domain.rawValue, gsi, allowed) }
  }

  // MARK: -

  private func interface() throws(HostError) -> ControlInterface {
    try opened.withLock { (slot) throws(HostError) in
      if let open = slot { return open }
      let open = try ControlInterface()
      slot = open
      return open
    }
  }

  /// Makes one call that returns 0, or sets `errno`.
  private func call(_ operation: String, _ body: (ControlInterface) -> Int32) throws(HostError) {
    let interface = try interface()
    guard body(interface) != 0 else { return }
    throw .hypervisor(HypervisorError(errno: errno, operation: operation))
  }

  private func list(from first: UInt32, atMost count: Int) throws(HostError) -> [HypervisorDomain] {
    let interface = try interface()
    var infos = [xc_domaininfo_t](repeating: xc_domaininfo_t(), count: count)
    let found = unsafe xc_domain_getinfolist(interface.raw, first, UInt32(count), &infos)
    guard found >= 0 else {
      let failure = errno
      // No domain has this number or a higher one (xen/common/sysctl.c: getdomaininfolist gives 0; getdomaininfo ESRCH).
      if failure == ESRCH { return [] }
      throw .hypervisor(HypervisorError(errno: failure, operation: "xc_domain_getinfolist"))
    }
    var domains: [HypervisorDomain] = []
    domains.reserveCapacity(Int(found))
    for index in 0..<min(Int(found), count) {
      if let domain = HypervisorDomain(infos[index]) { domains.append(domain) }
    }
    return domains
  }
}

extension HypervisorDomain {
  /// Returns the domain of an `xen_domctl_getdomaininfo`; nil if its handle is no UUID, which cannot happen.
  fileprivate init?(_ info: xc_domaininfo_t) {
    guard let uuid = unsafe withUnsafeBytes(of: info.handle, { unsafe DomainUUID(bytes: $0) }) else { return nil }
    func has(_ bit: Int32) -> Bool { info.flags & (1 << UInt32(bit)) != 0 }
    self.init(
      id: DomainID(UInt32(info.domain)), uuid: uuid, isHardwareVirtualised: has(_XEN_DOMINF_hvm_guest),
      isPaused: has(_XEN_DOMINF_paused), isShutDown: has(_XEN_DOMINF_shutdown),
      shutdownCode: has(_XEN_DOMINF_shutdown)
        ? UInt8(truncatingIfNeeded: info.flags >> UInt32(XEN_DOMINF_shutdownshift)) : nil,
      isDying: has(_XEN_DOMINF_dying),
      cpuTime: info.cpu_time)
  }
}
