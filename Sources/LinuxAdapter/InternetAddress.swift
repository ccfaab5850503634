import Glibc
import Model

/// An address of the Internet protocol, of either family.
struct InternetAddress: Hashable {
  let family: DefaultRoute.Family
  /// Four bytes, or sixteen.
  let bytes: [UInt8]
  /// The name of the interface, for an address that means something on one link only.
  let scope: String?

  /// Returns nil unless there are four or sixteen bytes. An IPv4 address that is written as one of IPv6 becomes one of
  /// IPv4.
  init?(bytes: [UInt8], scope: String? = nil) {
    switch bytes.count {
    case 4: (family, self.bytes) = (.ipv4, bytes)
    case 16:
      let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
      (family, self.bytes) = isMapped ? (.ipv4, Array(bytes[12...])) : (.ipv6, bytes)
    default: return nil
    }
    self.scope = scope
  }

  /// Reads `10.0.0.1`, `fe80::1` or `fe80::1%eth0`.
  init?(_ text: String) {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let address = parts.first, address.utf8.count < 64 else { return nil }
    let isLong = address.contains(":")
    var bytes = [UInt8](repeating: 0, count: isLong ? 16 : 4)
    guard unsafe inet_pton(isLong ? AF_INET6 : AF_INET, address, &bytes) == 1 else { return nil }
    self.init(bytes: bytes, scope: parts.count == 2 ? parts[1] : nil)
  }

  /// The text without the scope.
  var text: String {
    var buffer = [CChar](repeating: 0, count: 64)
    guard
      unsafe inet_ntop(family == .ipv4 ? AF_INET : AF_INET6, bytes, &buffer, socklen_t(buffer.count)) != nil
    else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Whether it means something on one link only: `fe80::/10` (RFC 4291).
  var isOfOneLink: Bool { family == .ipv6 && bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }

  /// Whether it is the host's own: `127.0.0.0/8` or `::1`.
  var isOwn: Bool {
    family == .ipv4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
  }

  /// Whether the first bits of two addresses of one family are the same.
  func isIn(_ network: InternetAddress, bits: Int) -> Bool {
    guard network.family == family, bits <= bytes.count * 8 else { return false }
    let (whole, rest) = (bits / 8, bits % 8)
    guard bytes[..<whole] == network.bytes[..<whole] else { return false }
    return rest == 0 || (bytes[whole] ^ network.bytes[whole]) >> UInt8(8 - rest) == 0
  }
}
