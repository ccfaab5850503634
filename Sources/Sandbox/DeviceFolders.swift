import Model

/// Where the folder of each device is in the tree of all devices.
///
/// A device is below its bridge, as on a host: `sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0`. Without a bridge it is
/// on a root bus of its own number. The PCI bus has a link to each folder.
struct DeviceFolders {
  private var chains: [PCIAddress: [PCIAddress]] = [:]
  private(set) var behind: [PCIAddress: [PCIAddress]] = [:]

  init(_ devices: [ScenarioDevice] = []) {
    let bridges = Dictionary(devices.map { ($0.address, $0.bridge) }, uniquingKeysWith: { first, _ in first })
    for device in devices {
      var chain = [device.address]
      // The reader of scenarios refuses loops. No chain has more bridges than there are devices.
      while let bridge = bridges[chain[0]] ?? nil, chain.count <= devices.count { chain.insert(bridge, at: 0) }
      chains[device.address] = chain
      if let bridge = device.bridge { behind[bridge, default: []].append(device.address) }
    }
  }

  /// Returns a device's folder below `sys/devices`.
  func folder(of device: PCIAddress) -> String {
    let chain = chains[device] ?? [device]
    let root = "pci" + hex(UInt64(chain[0].segment), 4) + ":" + hex(UInt64(chain[0].bus), 2)
    return ([root] + chain.map(\.description)).joined(separator: "/")
  }

  /// Returns the way from a device's folder, or from `depth` folders below it, up to `sys`.
  func wayUp(from device: PCIAddress, depth: Int = 0) -> String {
    String(repeating: "../", count: (chains[device]?.count ?? 1) + 2 + depth)
  }
}
