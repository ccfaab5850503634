import Core

private func mine(_ error: HostError) -> DeviceTreeError? { if case .tree(let error) = error { error } else { nil } }

struct FaultyTree: DeviceTreePort {
  let inner: any DeviceTreePort
  let line: FaultLine

  private func ask<Value>(
    _ request: PortRequest, _ subject: String = "", lost: Value? = nil, _ body: () throws(DeviceTreeError) -> Value
  ) throws(DeviceTreeError) -> Value {
    try line.pass(request, subject, lost: lost, mine, body)
  }

  func hasPCIBack() throws(DeviceTreeError) -> Bool {
    try ask(.hasPCIBack) { () throws(DeviceTreeError) in try inner.hasPCIBack() }
  }
  func pcibackDevices() throws(DeviceTreeError) -> Set<PCIAddress> {
    try ask(.pciback) { () throws(DeviceTreeError) in try inner.pcibackDevices() }
  }
  func facts(of device: PCIAddress) throws(DeviceTreeError) -> DeviceFacts? {
    try ask(.facts, "\(device)") { () throws(DeviceTreeError) in try inner.facts(of: device) }
  }
  func grants(for device: PCIAddress) throws(DeviceTreeError) -> DeviceGrants {
    try ask(.grants, "\(device)") { () throws(DeviceTreeError) in try inner.grants(for: device) }
  }
  func reset(_ device: PCIAddress) throws(DeviceTreeError) -> ResetOutcome {
    try ask(.reset, "\(device)", lost: .failed) { () throws(DeviceTreeError) in try inner.reset(device) }
  }
  func setPermissive(_ device: PCIAddress) throws(DeviceTreeError) {
    try ask(.permissive, "\(device)", lost: ()) { () throws(DeviceTreeError) in try inner.setPermissive(device) }
  }
  func hasBackEndObject(for domain: DomainID) throws(DeviceTreeError) -> Bool {
    try ask(.object, "\(domain)") { () throws(DeviceTreeError) in try inner.hasBackEndObject(for: domain) }
  }
  func listenForExports(sinceBoot: Bool) -> (any ExportLog)? {
    guard line.next(.listen, "") == nil else { return nil }
    return inner.listenForExports(sinceBoot: sinceBoot).map { FaultyLog(inner: $0, line: line) }
  }
}

private struct FaultyLog: ExportLog {
  let inner: any ExportLog
  let line: FaultLine
  func exports() throws(DeviceTreeError) -> [ExportRecord]? {
    try line.pass(.exports, lost: .some(nil), mine) { () throws(DeviceTreeError) in try inner.exports() }
  }
}
