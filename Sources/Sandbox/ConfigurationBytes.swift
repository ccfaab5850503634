import Model

/// A device's configuration space, as its file shows it.
///
/// A bridge is a root port of PCI Express that isolates what is behind it, and a device with a serial number is an
/// endpoint of PCI Express. Other devices are conventional PCI (offsets and numbers: include/uapi/linux/pci_regs.h, Linux
/// 6.1).
struct ConfigurationBytes {
  private(set) var bytes: [UInt8]

  init(_ device: ScenarioDevice, isMultiFunction: Bool) {
    // The extended part costs 4096 bytes, and most devices need none of it.
    let isExpress = device.serial != nil || device.isBridge
    bytes = [UInt8](repeating: 0, count: isExpress ? 4096 : 256)
    put(UInt32(device.id.device) << 16 | UInt32(device.id.vendor), at: 0)
    // `PCI_STATUS_CAP_LIST`.
    put(isExpress ? 0x0010_0000 : 0, at: 0x04)
    put(device.deviceClass << 8 | UInt32(device.revision), at: 0x08)
    put((isMultiFunction ? 0x80_0000 : 0) | (device.isBridge ? 0x01_0000 : 0), at: 0x0C)
    if let subsystem = device.subsystem, !device.isBridge {
      put(UInt32(subsystem.device) << 16 | UInt32(subsystem.vendor), at: 0x2C)
    }
    guard isExpress else { return }
    put(0x40, at: 0x34)
    // `PCI_CAP_ID_EXP`, version 2: a root port or an endpoint.
    put(device.isBridge ? 0x0042_0010 : 0x0002_0010, at: 0x40)
    if device.isBridge {
      // `PCI_EXT_CAP_ID_ACS`, with all services that isolate.
      put(0x0001_000D, at: 0x100)
      put(0x001D_001F, at: 0x104)
    } else if let serial = device.serial {
      // `PCI_EXT_CAP_ID_DSN`.
      put(0x0001_0003, at: 0x100)
      put(UInt32(truncatingIfNeeded: serial), at: 0x104)
      put(UInt32(truncatingIfNeeded: serial >> 32), at: 0x108)
    }
  }

  private mutating func put(_ word: UInt32, at offset: Int) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(index))) }
  }
}
