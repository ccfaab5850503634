/// What a device is: vendor and device id, `8086:1533`.
package struct DeviceID: Hashable, Sendable {
  package let vendor: UInt16
  package let device: UInt16

  package init(vendor: UInt16, device: UInt16) { (self.vendor, self.device) = (vendor, device) }

  /// Reads `vvvv:dddd`, four hexadecimal digits each.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let vendor = hexadecimal(parts[0], digits: 4...4),
      let device = hexadecimal(parts[1], digits: 4...4)
    else { return nil }
    self.init(vendor: UInt16(vendor), device: UInt16(device))
  }
}

extension DeviceID: CustomStringConvertible {
  package var description: String { hex(UInt64(vendor), 4) + ":" + hex(UInt64(device), 4) }
}

extension DeviceID: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}
