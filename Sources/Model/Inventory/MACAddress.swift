/// A network card's hardware address: `52:54:00:12:34:56`.
package struct MACAddress: Hashable, Sendable {
  /// Six bytes, the first one on the wire in the highest place.
  private let number: UInt64

  /// Reads six pairs of hexadecimal digits with colons between them.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 6 else { return nil }
    var number: UInt64 = 0
    for part in parts {
      guard let byte = hexadecimal(part, digits: 2...2) else { return nil }
      number = number << 8 | byte
    }
    self.number = number
  }

  /// Whether the address can be that of one card only: neither empty nor a group's
  /// (`is_valid_ether_addr`, Linux include/linux/etherdevice.h, 6.1).
  package var isIdentity: Bool { number != 0 && number >> 40 & 1 == 0 }
}

extension MACAddress: CustomStringConvertible {
  package var description: String {
    (0..<6).map { hex(number >> (40 - 8 * UInt64($0)) & 0xFF, 2) }.joined(separator: ":")
  }
}

extension MACAddress: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}
