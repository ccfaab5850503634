/// What a manifest says of a device: every key that is given must hold.
package struct DeviceSelector: Hashable, Sendable {
  /// What a selector can say. The raw values are the manifest's keys.
  package enum Key: String, Hashable, Sendable, CaseIterable {
    case address, id, subsystem
    case deviceClass = "class"
    case revision, path, slot, serial, mac, nvmeSerial

    /// Whether one device at most has the value: it names a place, or it was given to one card only.
    package var isUnique: Bool {
      switch self {
      case .address, .path, .slot, .serial, .mac, .nvmeSerial: true
      case .id, .subsystem, .deviceClass, .revision: false
      }
    }

    /// Whether the value goes with the card if the card moves to another place.
    package var movesWithCard: Bool { [.serial, .mac, .nvmeSerial].contains(self) }

    /// The fact of the inventory that answers the key; nil for the address, which every function has.
    package var fact: FunctionFact? {
      switch self {
      case .address: nil
      case .id, .subsystem, .deviceClass: .ids
      case .revision: .revision
      case .path: .path
      case .slot: .slot
      case .serial: .serial
      case .mac: .interfaces
      case .nvmeSerial: .nvme
      }
    }
  }

  package var address: PCIAddress?
  package var id: DeviceID?
  /// The card's own vendor and device numbers.
  package var subsystem: DeviceID?
  package var deviceClass: ClassPrefix?
  package var revision: UInt8?
  package var path: PCIPath?
  /// The label of the slot.
  package var slot: String?
  package var serial: String?
  package var mac: MACAddress?
  package var nvmeSerial: String?
  /// Whether all functions of the slot are meant.
  package var takesAllFunctions = false
  /// Whether the device may be taken at another address than the one that is given.
  package var follows = false
  /// Whether pciback is to take the device when the host starts, before its own driver can.
  package var hidesAtBoot = false

  package init(address: PCIAddress? = nil, id: DeviceID? = nil) { (self.address, self.id) = (address, id) }

  /// The keys that are given, in the manifest's order.
  package var keys: [Key] { Key.allCases.filter { self.value(of: $0) != nil } }

  /// Whether the selector has only an address, and perhaps an id: then no inventory is needed.
  package var isPlain: Bool {
    address != nil && !takesAllFunctions && keys.allSatisfy { $0 == .address || $0 == .id }
  }

  /// Returns the value of a key as a manifest spells it; nil if the key is not given.
  package func value(of key: Key) -> String? {
    switch key {
    case .address: address?.description
    case .id: id?.description
    case .subsystem: subsystem?.description
    case .deviceClass: deviceClass?.description
    case .revision: revision.map { hex(UInt64($0), 2) }
    case .path: path?.description
    case .slot: slot
    case .serial: serial
    case .mac: mac?.description
    case .nvmeSerial: nvmeSerial
    }
  }
}

extension DeviceSelector: CustomStringConvertible {
  /// `id 8086:1533, serial a0-36-9f-ff-ff-12-34-56`.
  package var description: String {
    keys.compactMap { key in value(of: key).map { "\(key.rawValue) \($0)" } }.joined(separator: ", ")
  }
}

/// The beginning of a PCI class: class, class and subclass, or all three bytes.
package struct ClassPrefix: Hashable, Sendable {
  private let value: UInt32
  /// 2, 4 or 6 hexadecimal digits.
  private let digits: Int

  /// Reads 2, 4 or 6 hexadecimal digits: `02`, `0200`, `0c0330`.
  package init?(_ text: some StringProtocol) {
    guard [2, 4, 6].contains(text.utf8.count), let number = hexadecimal(text, digits: 2...6) else { return nil }
    (value, digits) = (UInt32(number), text.utf8.count)
  }

  /// Returns whether a class of 24 bits begins so.
  package func matches(_ deviceClass: UInt32) -> Bool { deviceClass >> UInt32(24 - 4 * digits) == value }
}

extension ClassPrefix: CustomStringConvertible {
  package var description: String { hex(UInt64(value), digits) }
}
