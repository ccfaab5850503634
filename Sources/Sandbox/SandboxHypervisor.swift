import Glibc
package import Model
package import Ports
import Synchronization

/// A sandbox's hypervisor: Berth uses it instead of Xen when it works on a sandbox.
///
/// Each call has its own connection or uses a free one, so calls of several threads do not wait for each other.
package final class SandboxHypervisor: HypervisorPort {
  /// `DOMID_INVALID`: stands for any owner of a device (xen/include/public/xen.h).
  private static let anyDomain: UInt32 = 0x7FF4

  private let paths: SandboxPaths
  private let timeout: Duration
  private let interruptDescriptor: Int32?
  private let free = Mutex<[SandboxLineBox]>([])

  /// Each answer must come within `timeout`, or within a second after `interruptDescriptor` has become readable: the
  /// user has asked the program to stop then.
  package init(paths: SandboxPaths, timeout: Duration = Host.answerTimeout, interruptDescriptor: Int32? = nil) {
    self.paths = paths
    self.timeout = timeout
    self.interruptDescriptor = interruptDescriptor
  }

  package func domains() throws(HostError) -> [HypervisorDomain] {
    try list("domains 1 65536", "xc_domain_getinfolist")
  }

  package func domain(_ id: DomainID) throws(HostError) -> HypervisorDomain? {
    try list("domains \(id) 1", "xc_domain_getinfolist").first { $0.id == id }
  }

  package func hostFacts() throws(HostError) -> HypervisorFacts {
    let words = try ask("facts", "xc_version").split(separator: " ")
    guard words.count == 2 else { throw .hypervisor(HypervisorError(errno: EPROTO, operation: "xc_version")) }
    return HypervisorFacts(version: String(words[0]), hasIOMMU: words[1] == "1")
  }

  package func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe {
    try probe([device], for: domain?.rawValue ?? Self.anyDomain)[0]
  }

  /// Probes many devices per request: a call into a real hypervisor is a conversation of two processes here.
  package func probe(_ devices: [PCIAddress]) throws(HostError) -> [AssignmentProbe] {
    var answers: [AssignmentProbe] = []
    for start in stride(from: 0, to: devices.count, by: 256) {
      answers += try probe(devices[start..<min(start + 256, devices.count)], for: Self.anyDomain)
    }
    return answers
  }

  private func probe(
    _ devices: some Collection<PCIAddress>, for domain: UInt32
  ) throws(HostError) -> [AssignmentProbe] {
    let operation = "xc_test_assign_device"
    let numbers = devices.map { "\($0.sbdf)" }.joined(separator: " ")
    let replies = try ask("probe \(domain) \(numbers)", operation).split(separator: " ").map { Int32($0) }
    guard replies.count == devices.count else {
      throw .hypervisor(HypervisorError(errno: EPROTO, operation: operation))
    }
    return try replies.map { (failure) throws(HostError) in
      if failure == 0 { return .free }
      guard let answer = AssignmentProbe(errno: failure ?? EPROTO) else {
        throw .hypervisor(HypervisorError(errno: failure ?? EPROTO, operation: operation))
      }
      return answer
    }
  }

  package func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress] {
    let operation = "xc_get_device_group"
    let answers = try ask("group 0 \(device.sbdf)", operation).split(separator: " ").map { UInt32($0) }
    return try answers.map { (answer) throws(HostError) in
      guard let answer else { throw .hypervisor(HypervisorError(errno: EPROTO, operation: operation)) }
      return PCIAddress(inGroupOf: device, answer)
    }.sorted()
  }

  package func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>] {
    let operation = "xc_reserved_device_memory_map"
    let entries = try ask("reserved \(device.sbdf)", operation).split(separator: " ")
    return try entries.map { (entry) throws(HostError) in
      let numbers = entry.split(separator: ",").map { UInt64($0) }
      guard numbers.count == 2, let first = numbers[0], let count = numbers[1],
        let range = frameRange(from: first, count: count)
      else { throw .hypervisor(HypervisorError(errno: EPROTO, operation: operation)) }
      return range
    }.sorted { $0.lowerBound < $1.lowerBound }
  }

  package func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    _ = try ask("assign \(domain) \(device.sbdf) \(relaxed ? 1 : 0)", "xc_assign_device")
  }

  package func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) {
    _ = try ask("deassign \(domain) \(device.sbdf)", "xc_deassign_device")
  }

  package func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    let count = range.upperBound - range.lowerBound &+ 1
    _ = try ask("ports \(domain) \(range.lowerBound) \(count) \(allowed ? 1 : 0)", "xc_domain_ioport_permission")
  }

  package func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    let count = range.upperBound - range.lowerBound &+ 1
    _ = try ask("frames \(domain) \(range.lowerBound) \(count) \(allowed ? 1 : 0)", "xc_domain_iomem_permission")
  }

  package func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    _ = try ask("map \(domain) \(gsi)", "xc_physdev_map_pirq")
  }

  package func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    _ = try ask("unmap \(domain) \(gsi)", "xc_physdev_unmap_pirq")
  }

  package func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    _ = try ask("interrupt \(domain) \(gsi) \(allowed ? 1 : 0)", "xc_domain_irq_permission")
  }

  private func list(_ request: String, _ operation: String) throws(HostError) -> [HypervisorDomain] {
    var domains: [HypervisorDomain] = []
    for word in try ask(request, operation).split(separator: " ") {
      let parts = word.split(separator: ",")
      guard parts.count == 5, let number = UInt32(parts[0]), let uuid = DomainUUID(parts[1]),
        let flags = UInt32(parts[2]), let time = UInt64(parts[3])
      else { throw .hypervisor(HypervisorError(errno: EPROTO, operation: operation)) }
      let domain = SimulatedDomain(flags: flags, id: DomainID(number), uuid: uuid, cpuTime: time)
      domains.append(
        HypervisorDomain(
          id: domain.id, uuid: uuid, isHardwareVirtualised: domain.isHardwareVirtualised, isPaused: domain.isPaused,
          isShutDown: domain.shutdownCode != nil,
          shutdownCode: domain.shutdownCode.map { UInt8(truncatingIfNeeded: $0) },
          isDying: domain.isDying, cpuTime: time))
    }
    return domains
  }

  private func ask(_ request: String, _ operation: String) throws(HostError) -> String {
    do throws(SandboxError) {
      let box: SandboxLineBox
      if let known = free.withLock({ $0.popLast() }) {
        box = known
      } else {
        box = SandboxLineBox(try SandboxLine(paths))
      }
      do throws(SandboxError) {
        let reply = try box.line.ask(request, until: .now + timeout, interruptDescriptor: interruptDescriptor)
        free.withLock { $0.append(box) }
        return reply
      } catch {
        // After a refused call the line is still usable; after any other failure it is not.
        if error.code == .system || error.code == .notFound { free.withLock { $0.append(box) } }
        throw error
      }
    } catch {
      throw .hypervisor(HypervisorError(Self.code(error), operation: operation, errno: error.errno))
    }
  }

  /// Returns the code of a refused call's number, or `unreachable` if there is no connection.
  private static func code(_ error: SandboxError) -> HypervisorCode {
    if error.code == .timedOut { return .timedOut }
    guard error.code == .system || error.code == .notFound else { return .unreachable }
    return HypervisorCode(errno: error.errno)
  }
}

/// A connection that passes from thread to thread. It is in the list of free ones or with one caller, never both.
private final class SandboxLineBox: @unchecked Sendable {
  let line: SandboxLine
  init(_ line: SandboxLine) { self.line = line }
}
