import Model

/// One entry of `pci` in an xl configuration (`xlu_pci_parse_spec_string`, tools/libs/util/libxlu_pci.c, Xen 4.17).
struct XlDevice {
  /// Nil if the entry finds its device by name.
  var place: Place?
  var options: DeviceOptions
  var name: String?
  var remarks: [ConfigurationRemark] = []

  struct Place {
    let address: PCIAddress
    let isWholeSlot: Bool
  }

  /// Why xl does not read an entry.
  struct Refusal: Error { let message: String }

  /// Reads an entry. `defaults` are the options of an entry that gives none.
  init(_ text: String, defaults: DeviceOptions, seizes: Bool) throws(Refusal) {
    options = defaults
    var seizes = seizes
    var rest = text[...]
    if let found = readAddress(&rest) {
      place = found
      if rest.first == "@" {
        rest.removeFirst()
        options.virtualSlot = try Self.slot(String(rest.prefix { $0 != "," }))
        rest = rest.drop { $0 != "," }
      }
      if rest.first == "," {
        rest.removeFirst()
      } else if !rest.isEmpty {
        throw Refusal(message: "\(quoted(String(rest))) is not expected after an address")
      }
    }
    while !rest.isEmpty {
      guard let equals = rest.firstIndex(of: "=") else {
        throw Refusal(message: "\(quoted(String(rest))) is neither an address nor a key with a value")
      }
      let key = String(rest[..<equals])
      let value = rest[rest.index(after: equals)...].prefix { $0 != "," }
      rest = rest[value.endIndex...].dropFirst()
      try read(key, String(value), &seizes)
    }
    guard (place == nil) != (name == nil) else {
      throw Refusal(message: "xl needs either an address or a name, and not both")
    }
    if seizes { remarks.append(.seize) }
    if place?.isWholeSlot == true { remarks.append(.wholeSlot) }
  }

  private mutating func read(_ key: String, _ value: String, _ seizes: inout Bool) throws(Refusal) {
    switch key {
    case "bdf":
      var rest = value[...]
      guard let found = readAddress(&rest) else {
        throw Refusal(message: "\(quoted(value)) is not an address")
      }
      place = found
    case "vslot": options.virtualSlot = try Self.slot(value)
    case "permissive": options.permissive = number(key, value)
    case "msitranslate": options.msiTranslate = number(key, value)
    case "power_mgmt": options.powerManagement = number(key, value)
    case "seize": seizes = number(key, value)
    case "rdm_policy":
      // `libxl__enum_from_string` compares without case. `invalid` is the value of no policy, which becomes strict.
      switch value.lowercased() {
      case "strict", "invalid": options.rdmPolicy = .strict
      case "relaxed": options.rdmPolicy = .relaxed
      default: throw Refusal(message: "rdm_policy is \(quoted(value)), and neither strict nor relaxed")
      }
    case "name": name = value
    default: remarks.append(.unknownKey(key))
    }
  }

  /// Returns whether a value is not 0, as atoi(3) reads it.
  private mutating func number(_ key: String, _ value: String) -> Bool {
    let text = value.drop { $0 == " " || $0 == "\t" }
    let digits = (text.first == "-" || text.first == "+" ? text.dropFirst() : text).prefix { ("0"..."9").contains($0) }
    if digits.isEmpty { remarks.append(.notNumber(key: key, value: value)) }
    return digits.contains { $0 != "0" }
  }

  /// Takes an address off a text; returns nil and takes nothing if the text does not begin with one.
  private func readAddress(_ rest: inout Substring) -> Place? {
    let head = rest.prefix { $0.isHexDigit || $0 == ":" }
    let fields = head.split(separator: ":", omittingEmptySubsequences: false)
    guard fields.count == 2 || fields.count == 3 else { return nil }
    var after = rest[head.endIndex...]
    // A period stands before the function, so that the device's digits end there.
    guard after.first == ".", !fields.contains(where: \.isEmpty) else { return nil }
    after.removeFirst()
    let numbers = fields.map { Self.hexadecimal($0) }
    guard let device = numbers[fields.count - 1], device <= 0x1F, let bus = numbers[fields.count - 2], bus <= 0xFF,
      let segment = fields.count == 3 ? numbers[0] : 0, segment <= 0xFFFF
    else { return nil }
    var function: UInt64 = 0
    let isWholeSlot = after.first == "*"
    if isWholeSlot {
      after.removeFirst()
    } else {
      let digits = after.prefix { $0.isHexDigit }
      guard let number = Self.hexadecimal(digits), number <= 7 else { return nil }
      function = number
      after = after[digits.endIndex...]
    }
    guard
      let address = PCIAddress(
        segment: UInt16(segment), bus: UInt8(bus), device: UInt8(device), function: UInt8(function))
    else { return nil }
    rest = after
    return Place(address: address, isWholeSlot: isWholeSlot)
  }

  /// Reads a slot, in hexadecimal with or without `0x`; nil for 0, with which Xen chooses.
  private static func slot(_ text: String) throws(Refusal) -> UInt8? {
    let digits = text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : text[...]
    guard let number = hexadecimal(digits), number <= 0x1F else {
      throw Refusal(message: "\(quoted(text)) is not a slot: xl reads hexadecimal numbers up to 1f")
    }
    return number == 0 ? nil : UInt8(number)
  }

  private static func hexadecimal(_ text: some StringProtocol) -> UInt64? {
    (1...8).contains(text.utf8.count) ? Model.hexadecimal(text, digits: 1...8) : nil
  }
}
