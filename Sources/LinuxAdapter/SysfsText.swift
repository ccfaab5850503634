import Model

/// The content of `modalias` for a device: `pci:v00008086d00001533sv00008086sd00000000bc02sc00i00`, upper-case
/// hexadecimal (`modalias_show`, Linux drivers/pci/pci-sysfs.c).
struct ModuleAlias {
  let id: DeviceID
  /// Nil if the card has none: bridges have none, and PCI_SUBSYSTEM_VENDOR_ID may be 0.
  let subsystem: DeviceID?
  let deviceClass: UInt32

  init?(_ text: String) {
    var rest = (text.last == "\n" ? text.dropLast() : text[...]).utf8[...]
    /// Reads the number of `digits` digits that follows `mark`.
    func take(_ mark: String, _ digits: Int) -> UInt64? {
      guard rest.starts(with: mark.utf8), rest.count >= mark.utf8.count + digits else { return nil }
      rest = rest.dropFirst(mark.utf8.count)
      defer { rest = rest.dropFirst(digits) }
      return hexadecimal(Substring(rest.prefix(digits)), digits: digits...digits)
    }
    guard let vendor = take("pci:v", 8).flatMap({ UInt16(exactly: $0) }),
      let device = take("d", 8).flatMap({ UInt16(exactly: $0) }),
      let cardVendor = take("sv", 8).flatMap({ UInt16(exactly: $0) }),
      let card = take("sd", 8).flatMap({ UInt16(exactly: $0) }),
      let base = take("bc", 2), let sub = take("sc", 2), let interface = take("i", 2), rest.isEmpty
    else { return nil }
    id = DeviceID(vendor: vendor, device: device)
    subsystem = cardVendor == 0 && card == 0 ? nil : DeviceID(vendor: cardVendor, device: card)
    deviceClass = UInt32(base << 16 | sub << 8 | interface)
  }
}

/// Reads a number of `resource`: `0x` and up to sixteen digits.
private func hexadecimalWord(_ word: Substring) -> UInt64? {
  guard word.hasPrefix("0x") else { return nil }
  return hexadecimal(word.dropFirst(2), digits: 1...16)
}

extension DeviceResource {
  /// The ranges that are granted with a device: six base address registers and the ROM (`PROC_PCI_NUM_RESOURCES`,
  /// libxl_pci.c, Xen 4.17).
  private static let lines = 7

  /// Returns the used ranges in the content of a file `resource`; nil if the content is not understood.
  ///
  /// A line has the first byte, the last byte and flags: `0x00000000febc0000 0x00000000febdffff 0x0000000000040200`.
  static func list(_ text: String) -> [DeviceResource]? {
    var resources: [DeviceResource] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).prefix(lines) {
      let words = line.split(separator: " ")
      if words.isEmpty { continue }
      let numbers = words.compactMap { hexadecimalWord($0) }
      guard numbers.count == 3, words.count == 3 else { return nil }
      // An unused register is all zeros.
      if numbers[0] == 0 { continue }
      guard numbers[0] <= numbers[1] else { return nil }
      // IORESOURCE_IO is among the bits 8 and up; the lowest bit is the register's own (PCI_BASE_ADDRESS_SPACE_IO).
      let space: Space = numbers[2] & 1 != 0 ? .ports : .memory
      guard space == .memory || numbers[1] <= lastPort else { return nil }
      resources.append(DeviceResource(space: space, range: numbers[0]...numbers[1]))
    }
    return resources
  }
}
