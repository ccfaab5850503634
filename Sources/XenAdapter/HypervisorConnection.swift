import CLinux
import CXenControl
import Glibc
package import Model
package import Ports
import Synchronization
import XenProtocol

/// The hypervisor, through libxenctrl of the Xen release for which this program was built.
///
/// The interface is opened at the first call, so that code that needs no Xen runs without one. After a failure, the
/// next call tries again. libxenctrl's handle may be used from several threads (xenctrl.h,
/// `XC_OPENFLAG_NON_REENTRANT`).
///
/// If a call does not return within its limit, it fails with `timedOut`, and Xen may still do what was asked.
package final class HypervisorConnection: HypervisorPort {
  /// The number of domains that one call lists.
  private static let page = 1024
  /// The number of devices about which Xen is asked within one limit.
  private static let mostProbes = 64
  /// More devices than this with one requester id are not believed. A bus has at most 256 functions.
  private static let mostCompanions = 1024
  /// More ranges of reserved memory per device than this are not believed.
  private static let mostRanges: UInt32 = 256
  /// `DOMID_INVALID` (xen/include/public/xen.h): for this domain, a test asks whether any guest has the device.
  private static let anyDomain: UInt32 = 0x7FF4

  private let opened = SharedInterface()
  private let calls: BoundedCalls

  /// Each answer of the hypervisor's device must come within `limit`.
  package init(limit: AnswerLimit = AnswerLimit()) { calls = BoundedCalls(limit: limit) }

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

  package func hostFacts() throws(HostError) -> HypervisorFacts {
    let (number, extra) = try call("xc_version") { interface -> Called<(Int32, [UInt8])> in
      let number = unsafe xc_version(interface.raw, XENVER_version, nil)
      guard number >= 0 else { return .failed(errno) }
      // xen_extraversion_t, xen/include/public/version.h.
      var extra = [UInt8](repeating: 0, count: 16)
      guard unsafe xc_version(interface.raw, XENVER_extraversion, &extra) >= 0 else { return .failed(errno) }
      return .returned((number, extra))
    }
    let suffix = String(decoding: extra.prefix { $0 != 0 }, as: UTF8.self)
    let running = XenRelease(Int(number >> 16), Int(number & 0xFFFF))
    let capabilities: UInt32
    do throws(HostError) {
      capabilities = try call("xc_physinfo") { interface -> Called<UInt32> in
        var physical = xc_physinfo_t()
        return unsafe xc_physinfo(interface.raw, &physical) == 0 ? .returned(physical.capabilities) : .failed(errno)
      }
      // The question changes nothing. Releases differ in this half of the interface more often than in the other one.
      if let library = Self.library, library != running { _ = try probe(PCIAddress(sbdf: 0), for: nil) }
    } catch {
      throw Self.mismatch(error, running) ?? error
    }
    // XEN_SYSCTL_PHYSCAP_directio, xen/include/public/sysctl.h.
    let hasIOMMU = capabilities & (1 << UInt32(_XEN_SYSCTL_PHYSCAP_directio)) != 0
    return HypervisorFacts(version: "\(running)\(suffix)", hasIOMMU: hasIOMMU, library: Self.library)
  }

  /// Returns the failure of a call that Xen refused because libxenctrl is of another release; nil if that is not known.
  ///
  /// Xen answers EACCES if the interface version in the request is not its own (`do_sysctl`, xen/common/sysctl.c, and
  /// `do_domctl`, xen/common/domctl.c, Xen 4.17). `xc_version` has no such number. The number of sysctls is the same from
  /// 4.17 to 4.20, and that of domctls differs.
  private static func mismatch(_ error: HostError, _ running: XenRelease) -> HostError? {
    guard case .hypervisor(let refusal) = error, refusal.errno == EACCES, let library, library != running else {
      return nil
    }
    return .hypervisor(
      HypervisorError(
        .otherRelease, operation: refusal.operation, errno: EACCES,
        detail: "Xen \(running) runs, and berth was built for Xen \(library)"))
  }

  /// The release in the name of the loaded libxenctrl, such as `libxenctrl.so.4.17`. The library's name changes with
  /// each release (tools/libs/ctrl/Makefile), so the program runs only with the one that it was linked with.
  private static let library: XenRelease? = {
    let address: @convention(c) (OpaquePointer?) -> Int32 = unsafe xc_interface_close
    guard let path = unsafe berth_library_with(unsafeBitCast(address, to: UnsafeRawPointer.self)) else { return nil }
    let name = unsafe String(cString: path).split(separator: "/").last ?? ""
    let prefix = "libxenctrl.so."
    return name.hasPrefix(prefix) ? XenRelease(name.dropFirst(prefix.count)) : nil
  }()

  package func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe {
    try probe([device], for: domain?.rawValue ?? Self.anyDomain)[0]
  }

  package func probe(_ devices: [PCIAddress]) throws(HostError) -> [AssignmentProbe] {
    var answers: [AssignmentProbe] = []
    for start in stride(from: 0, to: devices.count, by: Self.mostProbes) {
      answers += try probe(Array(devices[start..<min(start + Self.mostProbes, devices.count)]), for: Self.anyDomain)
    }
    return answers
  }

  private func probe(_ devices: [PCIAddress], for domain: UInt32) throws(HostError) -> [AssignmentProbe] {
    try call("xc_test_assign_device") { interface -> Called<[AssignmentProbe]> in
      var answers: [AssignmentProbe] = []
      for device in devices {
        guard unsafe xc_test_assign_device(interface.raw, domain, device.sbdf) != 0 else {
          answers.append(.free)
          continue
        }
        let failure = errno
        guard let answer = AssignmentProbe(errno: failure) else { return .failed(failure) }
        answers.append(answer)
      }
      return .returned(answers)
    }
  }

  package func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress] {
    let answers = try call("xc_get_device_group") { interface -> Called<[UInt32]> in
      var answers = [UInt32](repeating: 0, count: Self.mostCompanions)
      var count: UInt32 = 0
      guard
        unsafe xc_get_device_group(
          interface.raw, DomainID.zero.rawValue, device.sbdf, UInt32(answers.count), &count, &answers) == 0
      else { return .failed(errno) }
      // Xen does not say whether more would have come.
      guard count < answers.count else { return .failed(E2BIG) }
      return .returned(Array(answers[..<Int(count)]))
    }
    return answers.map { PCIAddress(inGroupOf: device, $0) }.sorted()
  }

  package func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>] {
    try call("xc_reserved_device_memory_map") { interface -> Called<[ClosedRange<UInt64>]> in
      let function = UInt8(truncatingIfNeeded: device.sbdf)
      // Most devices have no range.
      var room: UInt32 = 4
      while true {
        var entries = [xen_reserved_device_memory](repeating: xen_reserved_device_memory(), count: Int(room))
        var count = room
        if unsafe xc_reserved_device_memory_map(
          interface.raw, 0, device.segment, device.bus, function, &entries, &count) == 0
        {
          guard count <= room else { return .failed(E2BIG) }
          let ranges = entries[..<Int(count)].compactMap {
            frameRange(from: UInt64($0.start_pfn), count: UInt64($0.nr_pages))
          }
          return ranges.count == Int(count)
            ? .returned(ranges.sorted { $0.lowerBound < $1.lowerBound }) : .failed(EPROTO)
        }
        let failure = errno
        // If the ranges do not fit, `count` is how many there are (`do_memory_op`, xen/common/memory.c, Xen 4.17).
        guard failure == ENOBUFS, count > room else { return .failed(failure) }
        guard count <= Self.mostRanges else { return .failed(E2BIG) }
        room = count
      }
    }
  }

  package func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    // XEN_DOMCTL_DEV_RDM_RELAXED, xen/include/public/domctl.h.
    let flags: UInt32 = relaxed ? 1 : 0
    try change("xc_assign_device") { unsafe xc_assign_device($0.raw, domain.rawValue, device.sbdf, flags) }
  }

  package func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) {
    try change("xc_deassign_device") { unsafe xc_deassign_device($0.raw, domain.rawValue, device.sbdf) }
  }

  package func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    let operation = "xc_domain_ioport_permission"
    guard range.upperBound <= 0xFFFF else { throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation)) }
    let (first, count) = (UInt32(range.lowerBound), UInt32(range.upperBound - range.lowerBound) + 1)
    try change(operation) { unsafe xc_domain_ioport_permission($0.raw, domain.rawValue, first, count, allowed ? 1 : 0) }
  }

  package func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    let operation = "xc_domain_iomem_permission"
    let (count, overflows) = (range.upperBound - range.lowerBound).addingReportingOverflow(1)
    guard !overflows else { throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation)) }
    try change(operation) {
      unsafe xc_domain_iomem_permission($0.raw, domain.rawValue, UInt(range.lowerBound), UInt(count), allowed ? 1 : 0)
    }
  }

  package func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    let operation = "xc_physdev_map_pirq"
    guard let index = Int32(exactly: gsi) else {
      throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation))
    }
    try change(operation) {
      var number = index
      return unsafe xc_physdev_map_pirq($0.raw, domain.rawValue, index, &number)
    }
  }

  package func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    let operation = "xc_physdev_unmap_pirq"
    guard let number = Int32(exactly: gsi) else {
      throw .hypervisor(HypervisorError(errno: EINVAL, operation: operation))
    }
    try change(operation) { unsafe xc_physdev_unmap_pirq($0.raw, domain.rawValue, number) }
  }

  package func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    try change("xc_domain_irq_permission") { unsafe xc_domain_irq_permission($0.raw, domain.rawValue, gsi, allowed) }
  }

  // MARK: -

  /// Makes one call that returns 0, or sets `errno`.
  private func change(_ operation: String, _ body: @escaping @Sendable (ControlInterface) -> Int32) throws(HostError) {
    try call(operation) { body($0) == 0 ? .returned(()) : .failed(errno) }
  }

  private func call<Answer: Sendable>(
    _ operation: String, _ body: @escaping @Sendable (ControlInterface) -> Called<Answer>
  ) throws(HostError) -> Answer {
    let opened = opened
    let outcome = calls.make { () -> Result<Called<Answer>, HostError> in
      do throws(HostError) { return .success(body(try opened.interface())) } catch { return .failure(error) }
    }
    switch outcome {
    case .returned(.success(.returned(let answer))): return answer
    case .returned(.success(.failed(let number))):
      throw .hypervisor(HypervisorError(errno: number, operation: operation))
    case .returned(.failure(let error)): throw error
    case .timedOut: throw .hypervisor(HypervisorError(.timedOut, operation: operation, errno: ETIMEDOUT))
    case .notMade(let number):
      throw .hypervisor(
        HypervisorError(.other, operation: operation, errno: number, detail: "no thread could be made for the call"))
    }
  }

  private func list(from first: UInt32, atMost count: Int) throws(HostError) -> [HypervisorDomain] {
    try call("xc_domain_getinfolist") { interface -> Called<[HypervisorDomain]> in
      var infos = [xc_domaininfo_t](repeating: xc_domaininfo_t(), count: count)
      let found = unsafe xc_domain_getinfolist(interface.raw, first, UInt32(count), &infos)
      guard found >= 0 else {
        let failure = errno
        // No domain has this number or a higher one (xen/common/sysctl.c: getdomaininfolist gives 0; getdomaininfo
        // ESRCH).
        return failure == ESRCH ? .returned([]) : .failed(failure)
      }
      return .returned(infos.prefix(Int(found)).compactMap { HypervisorDomain($0) })
    }
  }
}

/// What one call of libxenctrl returned.
private enum Called<Answer: Sendable>: Sendable {
  case returned(Answer)
  /// It set this `errno`.
  case failed(Int32)
}

/// The interface, opened once by whoever calls first.
private final class SharedInterface: Sendable {
  private let opened = Mutex<ControlInterface?>(nil)

  func interface() throws(HostError) -> ControlInterface {
    try opened.withLock { (slot) throws(HostError) in
      if let open = slot { return open }
      let open = try ControlInterface()
      slot = open
      return open
    }
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
