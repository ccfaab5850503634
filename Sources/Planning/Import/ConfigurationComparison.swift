package import Model

/// In what a configuration of xl differs from a domain of a manifest.
package enum ConfigurationDifference: Hashable, Sendable {
  case name(Name)
  case uuid(DomainUUID)
  /// The file does not have a declared device.
  case missing(PCIAddress)
  /// The file has a device that is not declared.
  case extra(PCIAddress, line: Int)
  /// The file has the device twice, of which libxl refuses the second.
  case repeated(PCIAddress, line: Int)
  /// The options that the file has in another way. The first of them is as the file has it, the second as declared.
  case options(PCIAddress, line: Int, DeviceOptions, DeviceOptions)
  /// Something that no manifest has.
  case remark(PCIAddress?, line: Int?, ConfigurationRemark)
}

extension DesiredDomain {
  /// Returns in what a configuration differs from this domain, whose devices must all have addresses.
  ///
  /// `functions` are those of the host, by which a whole slot is known; nil if they are not known.
  package func differences(
    from file: ConfiguredDomain, functions: Set<PCIAddress>?
  ) -> [ConfigurationDifference] {
    var differences: [ConfigurationDifference] = []
    if file.name != name { differences.append(.name(file.name)) }
    if let uuid, let other = file.uuid, uuid != other { differences.append(.uuid(other)) }
    differences += file.remarks.filter(\.concernsDevices).map { .remark(nil, line: nil, $0) }
    var open = Dictionary(devices.map { ($0.address, $0.options) }, uniquingKeysWith: { first, _ in first })
    var seen: Set<PCIAddress> = []
    for device in file.devices {
      differences += device.remarks.filter(\.concernsDevices).map { .remark(device.address, line: device.line, $0) }
      for address in device.meaning(open.keys, functions) {
        guard seen.insert(address).inserted else {
          differences.append(.repeated(address, line: device.line))
          continue
        }
        guard let wanted = open.removeValue(forKey: address) else {
          differences.append(.extra(address, line: device.line))
          continue
        }
        if !device.options.satisfies(wanted) {
          differences.append(.options(address, line: device.line, device.options, wanted))
        }
      }
    }
    return differences + open.keys.sorted().map { .missing($0) }
  }
}

extension ConfiguredDevice {
  /// The functions that the entry means. If those of the host are not known, a whole slot means what is declared of it.
  fileprivate func meaning(_ declared: some Sequence<PCIAddress>, _ functions: Set<PCIAddress>?) -> [PCIAddress] {
    guard takesAllFunctions else { return [address] }
    func isInSlot(_ other: PCIAddress) -> Bool { other.sbdf & ~7 == address.sbdf & ~7 }
    let found = functions?.filter(isInSlot).sorted() ?? declared.filter(isInSlot).sorted()
    return found.isEmpty ? [address] : found
  }
}

extension ConfigurationRemark {
  /// Whether the domain gets other devices, or in another way, because of what the remark says.
  fileprivate var concernsDevices: Bool {
    switch self {
    case .seize, .deviceName, .unknownKey, .notNumber, .domainPolicy, .managed, .interface: true
    // Each function is declared, and compared, by itself.
    case .wholeSlot, .otherDevice, .hypervisor: false
    }
  }
}
