import Model
import Ports

struct FaultyTree: DeviceTreePort {
  let inner: any DeviceTreePort
  let line: FaultLine

  private func ask<Value>(
    _ request: PortRequest, _ subject: String = "", lost: Value? = nil, _ body: () throws(HostError) -> Value
  ) throws(HostError) -> Value {
    try line.pass(request, subject, lost: lost, body)
  }

  func hasPCIBack() throws(HostError) -> Bool {
    try ask(.hasPCIBack) { () throws(HostError) in try inner.hasPCIBack() }
  }
  func pcibackDevices() throws(HostError) -> Set<PCIAddress> {
    try ask(.pciback) { () throws(HostError) in try inner.pcibackDevices() }
  }
  func facts(of device: PCIAddress) throws(HostError) -> DeviceFacts? {
    try ask(.facts, "\(device)") { () throws(HostError) in try inner.facts(of: device) }
  }
  func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants {
    try ask(.grants, "\(device)") { () throws(HostError) in try inner.grants(for: device) }
  }
  func serial(of device: PCIAddress) throws(HostError) -> String? {
    try ask(.serial, "\(device)") { () throws(HostError) in try inner.serial(of: device) }
  }
  func neighbours(of device: PCIAddress) throws(HostError) -> Set<PCIAddress> {
    try ask(.neighbours, "\(device)") { () throws(HostError) in try inner.neighbours(of: device) }
  }
  func reset(_ device: PCIAddress, alone: Bool) throws(HostError) -> ResetOutcome {
    try ask(.reset, "\(device)", lost: .failed) { () throws(HostError) in try inner.reset(device, alone: alone) }
  }
  func setPermissive(_ device: PCIAddress) throws(HostError) {
    try ask(.permissive, "\(device)", lost: ()) { () throws(HostError) in try inner.setPermissive(device) }
  }
  func permissiveDevices() throws(HostError) -> Set<PCIAddress> {
    try ask(.permissiveList) { () throws(HostError) in try inner.permissiveDevices() }
  }
  func hasVirtualFunctions(_ device: PCIAddress) throws(HostError) -> Bool {
    try ask(.virtualFunctions, "\(device)") { () throws(HostError) in try inner.hasVirtualFunctions(device) }
  }
  func isPermissiveForAll() throws(HostError) -> Bool {
    try ask(.permissiveForAll) { () throws(HostError) in try inner.isPermissiveForAll() }
  }
  func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool {
    try ask(.object, "\(domain)") { () throws(HostError) in try inner.hasBackEndObject(for: domain) }
  }
  func listenForExports(sinceBoot: Bool) -> (any ExportLog)? {
    guard line.next(.listen, "") == nil else { return nil }
    return inner.listenForExports(sinceBoot: sinceBoot).map { FaultyLog(inner: $0, line: line) }
  }
}

private struct FaultyLog: ExportLog {
  let inner: any ExportLog
  let line: FaultLine
  func exports() throws(HostError) -> [ExportRecord]? {
    try line.pass(.exports, lost: .some(nil)) { () throws(HostError) in try inner.exports() }
  }
}
