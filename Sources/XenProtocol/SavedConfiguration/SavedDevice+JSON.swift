import Model

// The keys of libxl_device_pci, tools/libs/light/libxl_types.idl, Xen 4.17; the names are the same from 4.14 on.

/// One element of `pcidevs`.
enum SavedLine: Hashable {
  case device(SavedDevice)
  case other(OtherSavedLine)

  private static let addressKeys = ["func", "dev", "bus", "domain"]
  private static let knownKeys = Set(
    addressKeys + [
      "vdevfn", "vfunc_mask", "msitranslate", "power_mgmt", "permissive", "seize", "rdm_policy", "name",
    ])

  /// Reads one element. A missing key has libxl's default.
  init(_ value: JSONScanner.Value, in text: ArraySlice<UInt8>, name: String) throws(SavedConfigurationError) {
    guard value.kind == .object else { throw SavedConfigurationError("has \(name) that is not an object") }
    var fields = Fields(name: name, text: text)
    var scanner = JSONScanner(text, at: value.range.lowerBound)
    // The first of several equal keys counts (libxl__json_map_get).
    try scanner.forEachMember { (member) in
      if fields.values[member.name] == nil { fields.values[member.name] = member.value }
    }
    let function = try fields.number("func", atMost: 7)
    let device = try fields.number("dev", atMost: 31)
    let bus = try fields.number("bus", atMost: 0xFF)
    let segment = try fields.number("domain", atMost: 0xFFFF)
    guard
      let address = PCIAddress(
        segment: UInt16(segment), bus: UInt8(bus), device: UInt8(device), function: UInt8(function))
    else { throw SavedConfigurationError("has \(name) without a valid address") }

    let slot = try fields.number("vdevfn", atMost: 0xFFFF_FFFF) >> 3 & 31
    let options = DeviceOptions(
      permissive: try fields.boolean("permissive"), msiTranslate: try fields.boolean("msitranslate"),
      powerManagement: try fields.boolean("power_mgmt"), rdmPolicy: try fields.rdmPolicy(),
      virtualSlot: slot == 0 ? nil : UInt8(slot))
    guard let oddity = try Self.oddity(of: fields) else {
      self = .device(SavedDevice(address: address, options: options))
      return
    }
    let hasAddress = Self.addressKeys.contains { fields.values[$0] != nil }
    self = .other(
      OtherSavedLine(
        oddity: oddity, text: Self.oneLine(text[value.range]), address: hasAddress || !oddity.isName ? address : nil))
  }

  /// Returns what keeps an element from being one device by its address; nil if nothing does.
  private static func oddity(of fields: Fields) throws(SavedConfigurationError) -> OtherSavedLine.Oddity? {
    if let name = try fields.string("name"), !name.isEmpty { return .name(name) }
    switch try fields.number("vfunc_mask", atMost: 0xFFFF_FFFF) {
    // xl writes 1 for one function, whichever it is (`xlu_pci_parse_bdf`, libxlu_pci.c, Xen 4.17).
    case 0, 1: break
    case 0xFFFF_FFFF: return .wholeSlot
    default: return .mask
    }
    let unknown = fields.values.filter { !knownKeys.contains($0.key) && $0.value.kind != .null }.keys.min()
    return unknown.map { .unknownKey($0) }
  }

  /// Returns the text of an element without its line breaks and indentation.
  private static func oneLine(_ bytes: ArraySlice<UInt8>) -> String {
    // A JSON string contains no line break.
    bytes.split(separator: UInt8(ascii: "\n")).map { line in
      String(decoding: line.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }, as: UTF8.self)
    }.joined(separator: " ")
  }
}

extension OtherSavedLine.Oddity {
  fileprivate var isName: Bool { if case .name = self { true } else { false } }
}

extension SavedDevice {
  /// The element for this device as libxl writes it into the file, without the indentation of its first line. The keys
  /// are in libxl's order, defaults are omitted, and the mask of virtual functions is that of a single function.
  var elementText: String {
    var lines: [String] = []
    func add(_ key: String, _ value: some BinaryInteger) { if value != 0 { lines.append("\"\(key)\": \(value)") } }
    func add(_ key: String, _ value: Bool) { if value { lines.append("\"\(key)\": true") } }
    add("func", address.function)
    add("dev", address.device)
    add("bus", address.bus)
    add("domain", address.segment)
    add("vdevfn", UInt32(options.virtualSlot ?? 0) << 3)
    add("vfunc_mask", 1)
    add("msitranslate", options.msiTranslate)
    add("power_mgmt", options.powerManagement)
    add("permissive", options.permissive)
    lines.append("\"rdm_policy\": \"\(options.rdmPolicy.rawValue)\"")
    return "{\n            " + lines.joined(separator: ",\n            ") + "\n        }"
  }
}

/// The values of one element, by key.
private struct Fields {
  let name: String
  let text: ArraySlice<UInt8>
  var values: [String: JSONScanner.Value] = [:]

  func number(_ key: String, atMost most: UInt64) throws(SavedConfigurationError) -> UInt64 {
    guard let value = values[key], value.kind != .null else { return 0 }
    guard value.kind == .number, let number = UInt64(String(decoding: text[value.range], as: UTF8.self)), number <= most
    else { throw SavedConfigurationError("has \(name).\(key) that is not a number from 0 to \(most)") }
    return number
  }

  func string(_ key: String) throws(SavedConfigurationError) -> String? {
    guard let value = values[key], value.kind != .null else { return nil }
    guard value.kind == .string else { throw SavedConfigurationError("has \(name).\(key) that is not a text") }
    var scanner = JSONScanner(text, at: value.range.lowerBound)
    return try scanner.string()
  }

  func boolean(_ key: String) throws(SavedConfigurationError) -> Bool {
    guard let value = values[key], value.kind != .null else { return false }
    guard value.kind == .boolean else {
      throw SavedConfigurationError("has \(name).\(key) that is neither true nor false")
    }
    return text[value.range.lowerBound] == UInt8(ascii: "t")
  }

  /// Enumerations are matched in either case (`libxl__enum_from_string`); `invalid` is the value of no policy.
  func rdmPolicy() throws(SavedConfigurationError) -> RDMPolicy {
    guard let value = values["rdm_policy"], value.kind != .null else { return .strict }
    if value.kind == .string {
      var scanner = JSONScanner(text, at: value.range.lowerBound)
      let word = try scanner.string().lowercased()
      if let policy = RDMPolicy(rawValue: word) { return policy }
      if word == "invalid" { return .strict }
    }
    throw SavedConfigurationError("has \(name).rdm_policy that is neither strict nor relaxed")
  }
}
