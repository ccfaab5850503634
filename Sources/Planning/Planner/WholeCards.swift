import Model

/// Cards of which the manifest takes all functions: a guest gets all of them, or none more.
///
/// If one function is blocked, the others that the guest does not have yet are blocked with it, and stay where they are. A
/// function that the guest has stays.
enum WholeCards {
  /// Returns the steps of one domain's declared devices, in their order.
  static func steps(_ declared: [DeviceStep]) -> [DeviceStep] {
    var stops: [PCIAddress: DeviceStep] = [:]
    for step in declared {
      guard let card = step.card, case .blocked = step.kind, stops[card] == nil else { continue }
      stops[card] = step
    }
    guard !stops.isEmpty else { return declared }
    return declared.map { step in
      guard let stop = step.card.flatMap({ stops[$0] }), step.givesDevice else { return step }
      return step.blocked(.cardBlocked, words(for: stop.device, [stop.kind.name, stop.evidence]))
    }
  }

  /// Returns, for each card, what keeps its first function that is blocked from being given to pciback.
  static func blocks(of devices: [DesiredDevice], _ block: (PCIAddress) -> Need?) -> [PCIAddress: String] {
    var blocks: [PCIAddress: String] = [:]
    for device in devices {
      guard let card = device.card, blocks[card] == nil, let need = block(device.address) else { continue }
      blocks[card] = words(for: device.address, [need.evidence])
    }
    return blocks
  }

  private static func words(for device: PCIAddress, _ causes: [String?]) -> String {
    "all functions of the card are declared, and \(device) is blocked: "
      + causes.compactMap(\.self).joined(separator: ": ")
  }
}
