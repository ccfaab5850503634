import Glibc
import Model

/// The words of a function's configuration space by which it is known: its head, and its two chains of capabilities.
///
/// Each word costs an access to the device, so no others are read (`read_configuration`, CLinux). Without CAP_SYS_ADMIN
/// only 64 bytes are readable (`pci_read_config`, Linux drivers/pci/pci-sysfs.c, 6.1).
struct ConfigurationSpace {
  private static let size = 4096
  private var words: [Int: UInt32] = [:]

  /// Takes pairs of an offset and a word.
  init(_ answer: [UInt8]) {
    unsafe answer.withUnsafeBytes { bytes in
      for place in stride(from: 0, to: bytes.count - 7, by: 8) {
        let offset = unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)
        let word = unsafe bytes.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self)
        words[Int(offset)] = UInt32(littleEndian: word)
      }
    }
  }

  /// Returns four bytes as a number, the lowest first; nil if the space ends before them.
  private func word(at offset: Int) -> UInt32? { words[offset] }

  /// Returns whether the function answers. One in D3cold does not: each of its bytes reads as ones.
  ///
  /// Class and revision are asked for. Vendor and device of a virtual function are ones on every host (Single Root I/O
  /// Virtualization and Sharing Specification 1.1, 3.4.1).
  func answers() -> Bool { word(at: 0x08).map { $0 != .max } ?? false }

  /// Returns the offset of an extended capability; nil if there is none.
  private func extendedCapability(_ number: UInt32) -> Int? {
    var offset = 0x100
    // Each capability has at least a header of four bytes, so a longer chain is a loop.
    for _ in 0..<Self.size / 4 {
      guard let header = word(at: offset), header != 0, header != .max else { return nil }
      if header & 0xFFFF == number { return offset }
      offset = Int(header >> 20 & 0xFFC)
      guard offset >= 0x100 else { return nil }
    }
    return nil
  }

  /// What is known of a serial number.
  enum Serial {
    /// The function has none if the text is nil.
    case known(String?)
    /// The extended space of a function of PCI Express does not answer, which is so on a host without MMCONFIG (EOPNOTSUPP)
    /// and for a reader without CAP_SYS_ADMIN (EPERM).
    case hidden(Int32)
  }

  /// Returns the serial number (`PCI_EXT_CAP_ID_DSN`, linux/pci_regs.h): two words, the lower first.
  func serial() -> Serial {
    guard let first = word(at: 0x100), first != .max else {
      switch express() {
      case .conventional?: return .known(nil)
      case .express?: return .hidden(EOPNOTSUPP)
      case nil: return .hidden(EPERM)
      }
    }
    return .known(serialNumber())
  }

  private func serialNumber() -> String? {
    guard let offset = extendedCapability(0x0003), let low = word(at: offset + 4),
      let high = word(at: offset + 8)
    else { return nil }
    let value = UInt64(high) << 32 | UInt64(low)
    // What is the same on every card identifies none.
    if value == 0 || value == .max { return nil }
    return (0..<8).map { hex(value >> (56 - 8 * UInt64($0)) & 0xFF, 2) }.joined(separator: "-")
  }

  /// Returns what the space shows about isolation; nil if the space ends before the function's capabilities, which is so for
  /// a reader without CAP_SYS_ADMIN.
  func isolation() -> IsolationFacts? {
    // The header type is the third byte of this word, and its highest bit means more functions
    // (`PCI_HEADER_TYPE`, linux/pci_regs.h).
    guard let types = word(at: 0x0C), let express = express() else { return nil }
    var control: IsolationFacts.AccessControl?
    // `PCI_EXT_CAP_ID_ACS`: capabilities and control, 16 bits each, behind the header.
    if let offset = extendedCapability(0x000D), let word = word(at: offset + 4) {
      control = IsolationFacts.AccessControl(
        capabilities: UInt16(truncatingIfNeeded: word), control: UInt16(truncatingIfNeeded: word >> 16))
    }
    let first = word(at: 0x100)
    return IsolationFacts(
      isMultiFunction: types >> 16 & 0x80 != 0,
      type: express.type, isExpress: express != .conventional, accessControl: control,
      hasExtendedSpace: first != nil && first != .max)
  }

  /// Whether a function is one of PCI Express.
  private enum Express: Equatable {
    case conventional
    /// The number of the function's type.
    case express(UInt8)

    var type: IsolationFacts.ExpressType? {
      if case .express(let number) = self { IsolationFacts.ExpressType(rawValue: number) } else { nil }
    }
  }

  /// Returns nil if the space ends before the capabilities.
  private func express() -> Express? {
    guard let status = word(at: 0x04), let start = word(at: 0x34) else { return nil }
    // `PCI_STATUS_CAP_LIST`: without it there are no capabilities.
    guard status >> 16 & 0x10 != 0 else { return .conventional }
    var offset = Int(start & 0xFC)
    // The kernel's own limit (`PCI_FIND_CAP_TTL`, drivers/pci/pci.h, 6.1).
    for _ in 0..<48 {
      guard offset >= 0x40 else { return .conventional }
      guard let header = word(at: offset) else { return nil }
      // `PCI_CAP_ID_EXP`: the type is in four bits of the flags.
      if header & 0xFF == 0x10 { return .express(UInt8(header >> 20 & 0xF)) }
      if header & 0xFF == 0xFF { return .conventional }
      offset = Int(header >> 8 & 0xFC)
    }
    return .conventional
  }
}
