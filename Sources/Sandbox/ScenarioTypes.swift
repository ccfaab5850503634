import Glibc
import Manifest
import Model
import XenProtocol

/// The YAML forms of a scenario's values.
enum ScenarioTypes {
  static let locatedText = ValueType<String>.text.located

  static let address = ValueType<PCIAddress>.parsed(
    expected: "a PCI address such as 0000:03:00.0", schema: .members(["type": .string("string")])
  ) { PCIAddress($0) }

  static let identity = ValueType<DeviceID>.parsed(
    expected: "a vendor and device id such as 8086:1533", schema: .members(["type": .string("string")])
  ) { DeviceID($0) }

  static let uuid = ValueType<DomainUUID>.parsed(
    expected: "a UUID", schema: .members(["type": .string("string")])
  ) { DomainUUID($0) }

  /// A name that can be a folder's.
  static let fileName = ValueType<String>.parsed(
    expected: "a name of at most 64 letters, digits, '.', '_' and '-'", schema: .members(["type": .string("string")])
  ) { text in
    let isPlain = text.utf8.allSatisfy { byte in
      byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
        || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
    return isPlain && (1...64).contains(text.utf8.count) && !text.hasPrefix(".") ? text : nil
  }

  /// An absolute path.
  static let folder = ValueType<String>.parsed(
    expected: "an absolute path such as /srv", schema: .members(["type": .string("string")])
  ) { $0.hasPrefix("/") && !$0.contains("\n") && $0.utf8.count <= 1024 ? $0 : nil }

  /// `a0-36-9f-ff-ff-12-34-56`.
  static let serial = ValueType<UInt64>.parsed(
    expected: "a serial number of eight bytes such as a0-36-9f-ff-ff-12-34-56",
    schema: .members(["type": .string("string")])
  ) { serialNumber($0) }

  static let mac = ValueType<MACAddress>.parsed(
    expected: "a hardware address such as 52:54:00:12:34:56", schema: .members(["type": .string("string")])
  ) { MACAddress($0) }

  /// `0200` or `020000`: class and subclass, optionally with the programming interface.
  static let deviceClass = ValueType<UInt32>.parsed(
    expected: "a PCI class of 4 or 6 hexadecimal digits such as 0200", schema: .members(["type": .string("string")])
  ) { text in
    guard let value = hexadecimal(text, digits: 4...6), text.utf8.count != 5 else { return nil }
    return UInt32(text.utf8.count == 4 ? value << 8 : value)
  }

  /// `memory 0xf7a00000-0xf7a1ffff` or `ports 0xe000-0xe01f`, both ends included.
  static let resource = ValueType<DeviceResource>.parsed(
    expected: "a range such as 'memory 0xf7a00000-0xf7a1ffff' or 'ports 0xe000-0xe01f'",
    schema: .members(["type": .string("string")])
  ) { text in
    let words = text.split(separator: " ")
    guard words.count == 2, let space = DeviceResource.Space(rawValue: String(words[0])) else { return nil }
    let ends = words[1].split(separator: "-").map { $0.hasPrefix("0x") ? $0.dropFirst(2) : $0 }
    guard ends.count == 2, let first = hexadecimal(ends[0], digits: 1...16),
      let last = hexadecimal(ends[1], digits: 1...16), first > 0, first <= last, last < UInt64.max
    else { return nil }
    return DeviceResource(space: space, range: first...last)
  }

  /// `0x7b800000-0x7b9fffff`: whole 4 KiB frames of memory, both ends included.
  static let reservedMemory = ValueType<DeviceResource>.parsed(
    expected: "whole pages of memory such as '0x7b800000-0x7b9fffff'",
    schema: .members(["type": .string("string")])
  ) { text in
    guard let memory = DeviceResource(text: "memory " + text), memory.range.lowerBound & 0xFFF == 0,
      memory.range.upperBound & 0xFFF == 0xFFF
    else { return nil }
    return memory
  }

  static let errorNumber = ValueType<Int32>.parsed(
    expected: "an error's name such as EBUSY", schema: .members(["type": .string("string")])
  ) { ErrorNumber(name: $0)?.rawValue }

  /// An address alone, or a mapping with the options of the assignment.
  static let attached = ValueType<Located<SavedDevice>>(schema: .members([:])) { node, name, report in
    if node.scalar != nil {
      return address.read(node, as: name, report).map {
        Located(SavedDevice(address: $0, options: DeviceOptions()), at: node.mark)
      }
    }
    guard var reader = MappingReader(node, "an attached device", report) else { return nil }
    let place = reader.required("address", address)
    let options = DeviceOptions(
      permissive: reader.optional("permissive", .boolean) ?? false,
      msiTranslate: reader.optional("msiTranslate", .boolean) ?? false,
      powerManagement: reader.optional("powerManagement", .boolean) ?? false,
      rdmPolicy: reader.optional("rdmPolicy", .choice(RDMPolicy.self)) ?? .strict,
      virtualSlot: reader.optional("virtualSlot", .integer(1...31)).map { UInt8($0) })
    reader.finish()
    return place.map { Located(SavedDevice(address: $0, options: options), at: node.mark) }
  }
}
