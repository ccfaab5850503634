import Model
import Ports

/// Xen as it is recorded, or as it was. `live` is nil for a snapshot.
struct SnapshotHypervisor: HypervisorPort {
  let book: AnswerBook
  let live: (any HypervisorPort)?

  private func missing(_ operation: String, _ place: String? = nil) -> HostError {
    .hypervisor(unanswered(operation, place))
  }

  func domains() throws(HostError) -> [HypervisorDomain] {
    try book.answer(
      \.hypervisor.domains, or: missing("domains"),
      live
    ) { (live) throws(HostError) in try live.domains() }
  }

  func domain(_ id: DomainID) throws(HostError) -> HypervisorDomain? {
    try book.answer(
      \.hypervisor.domain[id.description], or: missing("domain", id.description),
      live
    ) { (live) throws(HostError) in try live.domain(id) }
  }

  func hostFacts() throws(HostError) -> HypervisorFacts {
    try book.answer(
      \.hypervisor.facts, or: missing("version"),
      live
    ) { (live) throws(HostError) in try live.hostFacts() }
  }

  func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe {
    guard let domain else { return try probe([device])[0] }
    return try book.answer(
      \.hypervisor.passthrough[domain.description], or: missing("test-assign", domain.description),
      live
    ) { (live) throws(HostError) in try live.probe(device, for: domain) }
  }

  /// Asks for the devices whose answers are not known yet in one question. If it fails, each of them has the failure.
  func probe(_ devices: [PCIAddress]) throws(HostError) -> [AssignmentProbe] {
    if let live {
      let known = book.all.hypervisor.devices
      let new = devices.filter { known[$0] == nil }
      if !new.isEmpty {
        let answers = Recorded { () throws(HostError) in try live.probe(new) }
        for (index, device) in new.enumerated() {
          _ = Recorded { () throws(HostError) in
            try book.answer(\.hypervisor.devices[device], or: missing("test-assign"), live) {
              (_) throws(HostError) in try answers.get()[index]
            }
          }
        }
      }
    }
    var answers: [AssignmentProbe] = []
    for device in devices {
      answers.append(
        try book.answer(\.hypervisor.devices[device], or: missing("test-assign", device.description)))
    }
    return answers
  }

  func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress] {
    try book.answer(
      \.hypervisor.companions[device], or: missing("companions", device.description),
      live
    ) { (live) throws(HostError) in try live.companions(of: device) }
  }

  func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>] {
    try book.answer(
      \.hypervisor.reservedMemory[device], or: missing("reserved-memory", device.description),
      live
    ) { (live) throws(HostError) in try live.reservedMemory(of: device) }
  }

  // MARK: What a snapshot refuses

  func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    throw refusal(of: "assign")
  }
  func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) { throw refusal(of: "deassign") }
  func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    throw refusal(of: "set-ports")
  }
  func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    throw refusal(of: "set-frames")
  }
  func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) { throw refusal(of: "map-interrupt") }
  func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) { throw refusal(of: "unmap-interrupt") }
  func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    throw refusal(of: "set-interrupt")
  }
}
