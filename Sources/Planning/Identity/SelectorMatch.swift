import Model

/// Whether a function is what a selector says.
enum SelectorMatch: Hashable {
  case yes
  case no(DeviceSelector.Key)
  /// The key could not be read, and no other key differs.
  case unknown(DeviceSelector.Key)
}

extension DeviceSelector {
  /// Returns whether a function is what the selector says in all keys but the address.
  func match(_ function: PCIFunction) -> SelectorMatch {
    var unknown: Key?
    for key in keys where key != .address {
      switch answer(key, function) {
      case .yes: break
      case .no: return .no(key)
      case .unknown: unknown = unknown ?? key
      }
    }
    return unknown.map { .unknown($0) } ?? .yes
  }

  private enum Answer { case yes, no, unknown }

  private func answer(_ key: Key, _ function: PCIFunction) -> Answer {
    func compare<Value: Equatable>(_ wanted: Value?, _ found: Value?) -> Answer {
      if let found { return found == wanted ? .yes : .no }
      return key.fact.map { function.unread[$0] != nil } == true ? .unknown : .no
    }
    switch key {
    case .address: return function.address == address ? .yes : .no
    case .id: return compare(id, function.id)
    case .subsystem: return compare(subsystem, function.subsystem)
    case .deviceClass: return compare(true, function.deviceClass.flatMap { deviceClass?.matches($0) })
    case .revision: return compare(revision, function.revision)
    case .path: return compare(path, function.path)
    case .slot: return compare(true, function.slots.isEmpty ? nil : function.slots.contains(slot ?? ""))
    case .serial: return compare(serial, function.serial)
    case .mac:
      if function.interfaces.contains(where: { $0.address == mac }) { return .yes }
      // Only the card's own driver shows its interfaces, and some drivers show them elsewhere.
      return function.interfaces.isEmpty && function.isPerhaps(0x02, 8) ? .unknown : compare(mac, nil)
    case .nvmeSerial:
      if function.nvme.contains(where: { $0.serial == nvmeSerial }) { return .yes }
      return function.nvme.isEmpty && function.isPerhaps(0x0108, 16) ? .unknown : compare(nvmeSerial, nil)
    }
  }
}

extension PCIFunction {
  /// Whether the class begins with these bits, or could not be read.
  fileprivate func isPerhaps(_ prefix: UInt32, _ bits: UInt32) -> Bool {
    deviceClass.map { $0 >> (24 - bits) == prefix } ?? true
  }

  /// Returns a key's value as a manifest spells it; nil if it is not known.
  func value(of key: DeviceSelector.Key) -> String? {
    switch key {
    case .address: address?.description
    case .id: id?.description
    case .subsystem: subsystem?.description
    case .deviceClass: deviceClass.map { hex(UInt64($0), 6) }
    case .revision: revision.map { hex(UInt64($0), 2) }
    case .path: path?.description
    case .slot: slots.first
    case .serial: serial
    case .mac: interfaces.lazy.compactMap(\.address).first?.description
    case .nvmeSerial: nvme.lazy.compactMap(\.serial).first
    }
  }
}
