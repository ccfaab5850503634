/// The number of a running domain. It changes at every reboot, and Xen reuses it later.
package struct DomainID: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }
  package init(_ value: UInt32) { rawValue = value }

  /// The control domain.
  package static let zero = DomainID(0)
  /// The owner of quarantined devices, which can use none of them (`DOMID_IO`, xen/include/public/xen.h).
  package static let quarantine = DomainID(0x7FF1)
  /// The first number that no ordinary domain has (`DOMID_FIRST_RESERVED`, xen/include/public/xen.h).
  package static let firstReserved: UInt32 = 0x7FF0

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// A domain's UUID, which is the hypervisor's handle. It stays the same across reboots.
package struct DomainUUID: Hashable, Sendable, Comparable {
  private let high: UInt64
  private let low: UInt64

  /// Reads the sixteen bytes of a hypervisor handle, in their order; returns nil for any other number of bytes.
  package init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    var words: [UInt64] = [0, 0]
    for (position, byte) in bytes.enumerated() { words[position / 8] = words[position / 8] << 8 | UInt64(byte) }
    (high, low) = (words[0], words[1])
  }

  /// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    let widths = [8, 4, 4, 4, 12]
    guard parts.count == widths.count else { return nil }
    var numbers: [UInt64] = []
    for (part, width) in zip(parts, widths) {
      guard let number = hexadecimal(part, digits: width...width) else { return nil }
      numbers.append(number)
    }
    high = numbers[0] << 32 | numbers[1] << 16 | numbers[2]
    low = numbers[3] << 48 | numbers[4]
  }

  /// The sixteen bytes in the hypervisor's order.
  package var bytes: [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - ($0 % 8) * 8)) }
  }

  package static func < (left: Self, right: Self) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

extension DomainUUID: CustomStringConvertible {
  package var description: String {
    hex(high >> 32, 8) + "-" + hex(high >> 16 & 0xFFFF, 4) + "-" + hex(high & 0xFFFF, 4) + "-"
      + hex(low >> 48, 4) + "-" + hex(low & 0xFFFF_FFFF_FFFF, 12)
  }
}

extension DomainUUID: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}

/// One domain between two reboots: the pair by which libxl names its userdata files.
package struct DomainKey: Hashable, Sendable, Codable {
  package let id: DomainID
  package let uuid: DomainUUID
  package init(id: DomainID, uuid: DomainUUID) { (self.id, self.uuid) = (id, uuid) }
}

/// How a domain is virtualised.
package enum DomainKind: String, Sendable, Codable, CaseIterable {
  case pv, hvm, pvh
  /// `/libxl/<domid>/type` is missing or holds another word.
  case unknown
}

/// The phase of a domain's life, as far as dom0 can see it.
package enum DomainLifecycle: String, Sendable, CaseIterable {
  /// libxl is still creating it: there is no saved configuration yet.
  case building
  /// Built and never started: paused, no CPU time used. Devices are attached cold.
  case cold
  case running
  /// Paused after it has run. It cannot answer a round.
  case paused
  /// The shutdown flag is set: its toolstack is about to destroy or restart it.
  case shutdown
  /// The domain's xenstore home is being removed, while the hypervisor still lists the domain.
  case destroying
}
