import Core

private func mine(_ error: HostError) -> HypervisorError? {
  if case .hypervisor(let error) = error { error } else { nil }
}

struct FaultyHypervisor: HypervisorPort {
  let inner: any HypervisorPort
  let line: FaultLine

  private func ask<Value>(
    _ request: PortRequest, _ subject: String = "", _ body: () throws(HypervisorError) -> Value
  ) throws(HypervisorError) -> Value {
    try line.pass(request, subject, lost: nil, mine, body)
  }
  private func tell(
    _ request: PortRequest, _ subject: String, _ body: () throws(HypervisorError) -> Void
  ) throws(HypervisorError) {
    try line.pass(request, subject, lost: (), mine, body)
  }

  func domains() throws(HypervisorError) -> [HypervisorDomain] {
    try ask(.domains) { () throws(HypervisorError) in try inner.domains() }
  }
  func domain(_ id: DomainID) throws(HypervisorError) -> HypervisorDomain? {
    try ask(.domains, "\(id)") { () throws(HypervisorError) in try inner.domain(id) }
  }
  func hostFacts() throws(HypervisorError) -> (version: String, hasIOMMU: Bool) {
    try ask(.hostFacts) { () throws(HypervisorError) in try inner.hostFacts() }
  }
  func probe(_ device: PCIAddress, for domain: DomainID?) throws(HypervisorError) -> AssignmentProbe {
    try ask(.probe, "\(device)") { () throws(HypervisorError) in try inner.probe(device, for: domain) }
  }
  func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HypervisorError) {
    try tell(.assign, "\(device) to \(domain)") { () throws(HypervisorError) in
      try inner.assign(device, to: domain, relaxed: relaxed)
    }
  }
  func deassign(_ device: PCIAddress, from domain: DomainID) throws(HypervisorError) {
    try tell(.deassign, "\(device) from \(domain)") { () throws(HypervisorError) in
      try inner.deassign(device, from: domain)
    }
  }
  func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HypervisorError) {
    try tell(.ports, "\(range) of \(domain): \(allowed)") { () throws(HypervisorError) in
      try inner.setPorts(range, of: domain, allowed: allowed)
    }
  }
  func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HypervisorError) {
    try tell(.frames, "\(range) of \(domain): \(allowed)") { () throws(HypervisorError) in
      try inner.setFrames(range, of: domain, allowed: allowed)
    }
  }
  func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HypervisorError) {
    try tell(.map, "\(gsi) in \(domain)") { () throws(HypervisorError) in try inner.mapInterrupt(gsi, in: domain) }
  }
  func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HypervisorError) {
    try tell(.unmap, "\(gsi) in \(domain)") { () throws(HypervisorError) in
      try inner.unmapInterrupt(gsi, in: domain)
    }
  }
  func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HypervisorError) {
    try tell(.interrupt, "\(gsi) of \(domain): \(allowed)") { () throws(HypervisorError) in
      try inner.setInterrupt(gsi, of: domain, allowed: allowed)
    }
  }
}
