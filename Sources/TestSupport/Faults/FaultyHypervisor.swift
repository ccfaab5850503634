import Model
import Ports

struct FaultyHypervisor: HypervisorPort {
  let inner: any HypervisorPort
  let line: FaultLine

  private func ask<Value>(
    _ request: PortRequest, _ subject: String = "", _ body: () throws(HostError) -> Value
  ) throws(HostError) -> Value {
    try line.pass(request, subject, lost: nil, body)
  }
  private func tell(
    _ request: PortRequest, _ subject: String, _ body: @escaping @Sendable () throws(HostError) -> Void
  ) throws(HostError) {
    switch line.next(request, subject) {
    case nil, .conflicts, .outage, .stalls, .stops: try body()
    case .isLost: break
    case .fails(let error): throw error
    case .failsDone(let error):
      try body()
      throw error
    case .isDoneLate(let error):
      line.delay { do throws(HostError) { try body() } catch {} }
      throw error
    }
  }

  func domains() throws(HostError) -> [HypervisorDomain] {
    try ask(.domains) { () throws(HostError) in try inner.domains() }
  }
  func domain(_ id: DomainID) throws(HostError) -> HypervisorDomain? {
    try ask(.domains, "\(id)") { () throws(HostError) in try inner.domain(id) }
  }
  func hostFacts() throws(HostError) -> HypervisorFacts {
    try ask(.hostFacts) { () throws(HostError) in try inner.hostFacts() }
  }
  func probe(_ device: PCIAddress, for domain: DomainID?) throws(HostError) -> AssignmentProbe {
    try ask(.probe, "\(device)") { () throws(HostError) in try inner.probe(device, for: domain) }
  }
  func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress] {
    try ask(.companions, "\(device)") { () throws(HostError) in try inner.companions(of: device) }
  }
  func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>] {
    try ask(.reservedMemory, "\(device)") { () throws(HostError) in try inner.reservedMemory(of: device) }
  }
  func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    try tell(.assign, "\(device) to \(domain)") { [inner] () throws(HostError) in
      try inner.assign(device, to: domain, relaxed: relaxed)
    }
  }
  func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) {
    try tell(.deassign, "\(device) from \(domain)") { [inner] () throws(HostError) in
      try inner.deassign(device, from: domain)
    }
  }
  func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    try tell(.ports, "\(range) of \(domain): \(allowed)") { [inner] () throws(HostError) in
      try inner.setPorts(range, of: domain, allowed: allowed)
    }
  }
  func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    try tell(.frames, "\(range) of \(domain): \(allowed)") { [inner] () throws(HostError) in
      try inner.setFrames(range, of: domain, allowed: allowed)
    }
  }
  func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    try tell(.map, "\(gsi) in \(domain)") { [inner] () throws(HostError) in try inner.mapInterrupt(gsi, in: domain) }
  }
  func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    try tell(.unmap, "\(gsi) in \(domain)") { [inner] () throws(HostError) in
      try inner.unmapInterrupt(gsi, in: domain)
    }
  }
  func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    try tell(.interrupt, "\(gsi) of \(domain): \(allowed)") { [inner] () throws(HostError) in
      try inner.setInterrupt(gsi, of: domain, allowed: allowed)
    }
  }
}
