import Glibc
import Model

/// The hypercalls in the line protocol: one request, one reply, `ok …` or `error <errno>`.
extension SimulatedHypervisor {
  /// Answers a hypercall; returns nil if the line is not one.
  mutating func answer(_ words: [Substring]) -> String? {
    do {
      return try perform(words)
    } catch {
      return "error \(error.errno)"
    }
  }

  private mutating func perform(_ words: [Substring]) throws(HypercallFailure) -> String? {
    let numbers = words.dropFirst().map { UInt64($0) ?? .max }
    func number(_ position: Int) throws(HypercallFailure) -> UInt64 {
      guard position < numbers.count, numbers[position] != .max else { throw HypercallFailure(EINVAL) }
      return numbers[position]
    }
    func small(_ position: Int) throws(HypercallFailure) -> UInt32 {
      guard let value = UInt32(exactly: try number(position)) else { throw HypercallFailure(EINVAL) }
      return value
    }
    func device() throws(HypercallFailure) -> PCIAddress { PCIAddress(sbdf: try small(1)) }
    func target() throws(HypercallFailure) -> Target { Target(try small(0)) }
    func domain() throws(HypercallFailure) -> DomainID { DomainID(try small(0)) }

    switch words.first {
    case "facts": return "ok \(version) \(hasIOMMU ? 1 : 0)"
    case "domains": return try list(from: domain(), most: Int(small(1)))
    case "test": try test(device(), for: target())
    case "probe":
      let answers = numbers.indices.dropFirst().map { position in
        do throws(HypercallFailure) {
          try test(PCIAddress(sbdf: small(position)), for: target())
          return Int32(0)
        } catch { return error.errno }
      }
      return "ok " + answers.map(String.init).joined(separator: " ")
    case "assign": try assign(device(), to: target(), isRelaxed: small(2) & 1 != 0)
    case "deassign": try deassign(device(), from: target())
    case "group":
      return "ok "
        + (try group(of: device(), in: target())).map { "\($0.sbdf << 8 & 0xFF_FF00)" }.joined(separator: " ")
    case "reserved":
      let device = PCIAddress(sbdf: try small(0))
      return "ok "
        + (try reservedMemory(of: device)).map { "\($0.lowerBound),\($0.count)" }.joined(separator: " ")
    case "ports": try setPorts(first: number(1), count: number(2), of: domain(), allowed: number(3) != 0)
    case "frames": try setFrames(first: number(1), count: number(2), of: domain(), allowed: number(3) != 0)
    case "interrupt": try setInterrupt(small(1), of: domain(), allowed: number(2) != 0)
    case "map": try map(small(1), in: domain())
    case "unmap": try unmap(small(1), in: domain())
    default: return nil
    }
    return "ok"
  }

  /// Answers `XEN_SYSCTL_getdomaininfolist`: the domains from a number on, with dom0. Flags are `XEN_DOMINF_*`
  /// (xen/domctl.h).
  private func list(from first: DomainID, most: Int) -> String {
    let dom0 = "0,00000000-0000-0000-0000-000000000000,\(1 << 5),60000000000,262144"
    let guests = domains.values.sorted { $0.id < $1.id }.map {
      "\($0.id),\($0.uuid),\($0.flags),\($0.cpuTimeNow),65536"
    }
    let all = (first == .zero ? [dom0] : []) + zip(domains.keys.sorted(), guests).filter { $0.0 >= first }.map(\.1)
    return "ok " + all.prefix(most).joined(separator: " ")
  }
}

extension SimulatedDomain {
  /// `XEN_DOMINF_*`: dying, HVM, shut down, paused, blocked, running in bits 0 to 5, the reason from bit 16.
  var flags: UInt32 {
    var flags: UInt32 = isDying ? 1 : 0
    if isHardwareVirtualised { flags |= 1 << 1 }
    if let shutdownCode { return flags | 1 << 2 | shutdownCode << 16 | (isPaused ? 1 << 3 : 0) }
    return flags | (isPaused ? 1 << 3 : 1 << 4)
  }

  init(flags: UInt32, id: DomainID, uuid: DomainUUID, cpuTime: UInt64) {
    self.init(
      id: id, uuid: uuid, isHardwareVirtualised: flags & 1 << 1 != 0, isPaused: flags & 1 << 3 != 0, hasIOMMU: true,
      cpuTime: cpuTime, shutdownCode: flags & 1 << 2 != 0 ? flags >> 16 & 0xFF : nil)
    isDying = flags & 1 != 0
  }
}
