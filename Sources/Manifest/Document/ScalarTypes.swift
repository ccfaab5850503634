package import Model

extension ValueType where Value == PCIAddress {
  /// A PCI function's address; the segment is optional.
  package static var address: ValueType {
    .parsed(
      expected: "a PCI address such as 0000:03:00.0", schema: addressSchema, encode: { .string($0.description) },
      explain: explainAddress
    ) { PCIAddress($0) }
  }
}

extension ValueType where Value == DeviceID {
  /// A vendor and device id, four hexadecimal digits each.
  package static var deviceID: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"), "pattern": .string("^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$"),
      "not": .members(["pattern": .string("^([fF]{4}|0{4}):([fF]{4}|0{4})$")]),
    ])
    return .parsed(
      expected: "a vendor and device id such as 8086:1533", schema: schema, encode: { .string($0.description) },
      explain: explainID
    ) { DeviceID($0).flatMap { $0.isNoAnswer ? nil : $0 } }
  }
}

extension ValueType where Value == DomainUUID {
  /// A guest's UUID. The UUID of only zeros is refused, because it is the control domain's.
  package static var uuid: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"),
      "pattern": .string("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"),
      "not": .members(["const": .string("00000000-0000-0000-0000-000000000000")]),
    ])
    return .parsed(
      expected: "a UUID such as 6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11", schema: schema,
      encode: { .string($0.description) },
      explain: { text in
        DomainUUID(text) == nil ? nil : ("only the control domain has the UUID of zeros", nil)
      }
    ) { text in DomainUUID(text).flatMap { $0.bytes.allSatisfy { $0 == 0 } ? nil : $0 } }
  }
}

extension ValueType where Value == String {
  /// A guest's name: printable, at most 255 characters, no blank at either end. The control domain's name is refused.
  package static var domainName: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"), "minLength": .number(1), "maxLength": .number(255),
      "pattern": .string("^\\S(.*\\S)?$"), "not": .members(["const": .string("Domain-0")]),
    ])
    return .parsed(
      expected: "a domain's name of at most 255 printable characters", schema: schema, encode: JSONValue.string,
      explain: { $0 == "Domain-0" ? ("'Domain-0' is the control domain, which gets no devices", nil) : nil }
    ) { $0 != "Domain-0" && isPrintable($0, atMost: 255) ? $0 : nil }
  }

  /// A host's name, as `hostname` prints it.
  package static var hostName: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"), "minLength": .number(1), "maxLength": .number(255),
      "pattern": .string("^\\S(.*\\S)?$"),
    ])
    return .parsed(
      expected: "a host's name", schema: schema, encode: JSONValue.string,
      explain: { text in
        hasTemplateMark(text)
          ? ("\(quoted(text)) is a placeholder that no tool has filled in", Template.hint) : nil
      }
    ) { isPrintable($0, atMost: 255) && !hasTemplateMark($0) ? $0 : nil }
  }

  /// A name that the manifest gives to a device. It cannot be confused with an address, which begins with a digit or
  /// contains a colon.
  package static var deviceName: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"), "pattern": .string("^[A-Za-z][A-Za-z0-9._-]{0,62}$"),
    ])
    return .parsed(
      expected: "at most 63 letters, digits, '.', '_' and '-', the first a letter", schema: schema,
      encode: JSONValue.string
    ) { isDeviceName($0) ? $0 : nil }
  }
}

/// A reference in a domain's list: a device by its address, or one of the manifest's own names.
package enum DeviceReference: Sendable, Hashable {
  case address(PCIAddress)
  case name(String)
}

extension ValueType where Value == DeviceReference {
  /// An address or a device's name.
  package static var deviceReference: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"),
      "anyOf": .array([addressSchema, ValueType<String>.deviceName.schema]),
    ])
    return .parsed(
      expected: "a PCI address such as 0000:03:00.0, or a name from 'spec.devices'", schema: schema,
      explain: explainAddress
    ) { text in
      if let address = PCIAddress(text) { return .address(address) }
      return isDeviceName(text) ? .name(text) : nil
    }
  }
}

/// Returns whether a host's name has a character that marks a template's variable, such as `$HOST`, `%HOST%` or `<host>`.
/// No host's name has any of them (hostname(7)).
private func hasTemplateMark(_ text: String) -> Bool { text.contains { "$%<>{}@".contains($0) } }

/// The pattern of the texts that `PCIAddress.init(_:)` accepts.
private let addressSchema: JSONValue = .members([
  "type": .string("string"),
  "pattern": .string("^([0-9a-fA-F]{1,4}:)?[0-9a-fA-F]{1,2}:[01]?[0-9a-fA-F]\\.0?[0-7]$"),
])

func isDeviceName(_ text: String) -> Bool {
  guard let first = text.utf8.first, (1...63).contains(text.utf8.count), isLetter(first) else { return false }
  return text.utf8.allSatisfy { byte in
    isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(byte)
  }
}

private func isLetter(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
}

private func isPrintable(_ text: String, atMost limit: Int) -> Bool {
  let scalars = text.unicodeScalars
  guard let first = scalars.first, let last = scalars.last, scalars.count <= limit else { return false }
  guard !first.properties.isWhitespace, !last.properties.isWhitespace else { return false }
  return scalars.allSatisfy { scalar in
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: false
    default: true
    }
  }
}

/// Returns whether a manifest can have this name of a domain.
package func canBeDomainName(_ name: Name) -> Bool {
  name.text != "Domain-0" && isPrintable(name.text, atMost: 255) && !Template.isMarked(name.text)
}

/// Returns whether a manifest can be for a host of this name.
package func canBeHostName(_ name: String) -> Bool {
  isPrintable(name, atMost: 255) && !hasTemplateMark(name) && !Template.isMarked(name)
}
