import Model

/// A device as other tools write it: an address that is perhaps wrapped, loosely separated or incomplete, with options.
///
/// `bdf=06:00.0,vslot=1b`, `01:00.*@5`, `dom0:03_00.0`, `0/0000:03:00.0`.
struct WrittenDevice {
  /// The functions that the text names.
  enum Functions: Equatable {
    case one(PCIAddress)
    /// All functions of the slot of this function 0.
    case all(of: PCIAddress, isStar: Bool)
    /// Some functions of one slot, in order.
    case several([PCIAddress])
    /// The number is above what its bits hold.
    case tooLarge(String, hint: String?)
    /// Qubes' path through bridges.
    case path
  }

  let functions: Functions
  /// The text of the address alone.
  let core: String
  /// The text after `@`, or that of `vslot=`, without `0x`.
  private(set) var slot: String?
  /// The options that have a key, with their values as a manifest spells them.
  private(set) var options: [(key: String, value: String)] = []
  /// The options that have no key.
  private(set) var unknown: [String] = []

  /// Reads a text; nil if it is no device.
  init?(_ text: String) {
    let bare = Self.unwrapped(text)
    let head = bare.prefix { $0 != "," }
    let core = head.prefix { $0 != "@" }
    self.core = String(core)
    if head.count > core.count { slot = Self.withoutPrefix(head.dropFirst(core.count + 1)) }
    var more: [UInt8] = []
    for option in bare.dropFirst(head.count).split(separator: ",") {
      let parts = option.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
      let value = parts.count == 2 ? parts[1] : ""
      switch parts.first?.lowercased() ?? "" {
      case "vslot": slot = Self.withoutPrefix(value[...])
      case "permissive": options.append(("permissive", Self.truth(value)))
      case "msitranslate": options.append(("msiTranslate", Self.truth(value)))
      case "power_mgmt", "powermanagement": options.append(("powerManagement", Self.truth(value)))
      case "rdm_policy", "rdmpolicy": options.append(("rdmPolicy", value))
      case let name:
        if value.isEmpty, let number = hexadecimal(name, digits: 1...1), number < 8 {
          more.append(UInt8(number))
        } else if !name.isEmpty {
          unknown.append(name)
        }
      }
    }
    guard let functions = Self.functions(core, besides: more) else { return nil }
    self.functions = functions
  }

  /// The device as an entry of a list: its address alone, or a mapping with the options that the text has.
  ///
  /// xl reads the slot as hexadecimal (`parse_vslot`, tools/libs/util/libxlu_pci.c, Xen 4.17). A manifest has it in
  /// decimal.
  func entry(of address: String, hasSlot: Bool = true) -> String {
    var keys = options
    if hasSlot, let number = slotNumber { keys.append(("virtualSlot", "\(number)")) }
    guard !keys.isEmpty else { return address }
    return "{address: \"\(address)\", \(keys.map { "\($0.key): \($0.value)" }.joined(separator: ", "))}"
  }

  /// Returns an address as the text has it: without the segment if the text leaves it out.
  func shown(_ address: PCIAddress) -> String {
    let isShort = address.segment == 0 && core.count { $0 == ":" } == 1
    return isShort ? String(address.description.dropFirst(5)) : "\(address)"
  }

  /// Returns the entries of several functions: only the first can have the slot.
  func entries(of functions: [PCIAddress]) -> [String] {
    functions.enumerated().map { entry(of: shown($1), hasSlot: $0 == 0) }
  }

  /// Whether the text has more than an address.
  var hasMore: Bool { slot != nil || !options.isEmpty || !unknown.isEmpty }

  /// The slot as a number; nil if there is none, or if it is above 1f.
  private var slotNumber: UInt64? {
    slot.flatMap { hexadecimal($0, digits: 1...2) }.flatMap { (1...31).contains($0) ? $0 : nil }
  }

  /// What to say of the slot and of options without a key, to be added to a hint; empty if there is nothing to say.
  var remark: String {
    var remark = ""
    if let slot {
      if slotNumber == nil, slot != "0" {
        remark += "; the slot \(slot) is not one of 1 to 1f"
      } else if let number = slotNumber, slot != "\(number)" {
        remark += "; xl reads the slot \(slot) as hexadecimal"
      }
    }
    if !unknown.isEmpty { remark += "; no key is for \(unknown.prefix(4).joined(separator: " and "))" }
    return remark
  }

  // MARK: The parts of a text

  /// Returns the text without brackets, quotes and prefixes of other tools.
  private static func unwrapped(_ text: String) -> Substring {
    var rest = text[...]
    let wraps: Set<Character> = ["(", ")", "[", "]", "<", ">", "\"", "'", " "]
    while let first = rest.first, wraps.contains(first) { rest = rest.dropFirst() }
    while let last = rest.last, wraps.contains(last) { rest = rest.dropLast() }
    for key in ["bdf=", "host="] {
      if let range = rest.firstRange(of: key) { return rest[range.upperBound...] }
    }
    // sysfs's path, and XAPI's number before an address: `0/0000:03:00.0`.
    if let slash = rest.lastIndex(of: "/") { rest = rest[rest.index(after: slash)...] }
    for prefix in ["dom0:", "pci_", "pci:", "pci-", "PCI:"] where rest.hasPrefix(prefix) {
      rest = rest.dropFirst(prefix.count)
    }
    return rest
  }

  /// Returns a slot without `0x`; nil if it is empty, which xl takes for none.
  private static func withoutPrefix(_ text: Substring) -> String? {
    let digits = text.hasPrefix("0x") ? text.dropFirst(2) : text
    return digits.isEmpty ? nil : String(digits)
  }

  private static func truth(_ value: String) -> String {
    switch value.lowercased() {
    case "0", "no", "off", "false": "false"
    default: "true"
    }
  }

  private static func functions(_ core: Substring, besides more: [UInt8]) -> Functions? {
    if core.hasSuffix(".*") { return slotAddress(core.dropLast(2)).map { .all(of: $0, isStar: true) } }
    if let dash = core.firstIndex(of: "-"), let first = PCIAddress(core[..<dash]) {
      let end = core[core.index(after: dash)...]
      let last = PCIAddress(end)?.function ?? hexadecimal(end, digits: 1...1).map { UInt8($0) }
      guard let last, last >= first.function else { return nil }
      guard last < 8 else { return .tooLarge("the function number \(last) of", hint: nil) }
      return .several((first.function...last).compactMap { first.sibling($0) })
    }
    if core.contains("-"), core.split(separator: "-").allSatisfy({ looseAddress($0) != nil }) { return .path }
    if let slot = slotAddress(core) { return .all(of: slot, isStar: false) }
    guard let found = looseAddress(core) else { return nil }
    guard case .one(let first) = found, !more.isEmpty else { return found }
    return .several(([first.function] + more).sorted().compactMap { first.sibling($0) })
  }

  /// Returns function 0 of a slot without a function: `01:00`, `0000:01:00`.
  private static func slotAddress(_ text: Substring) -> PCIAddress? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3 && parts[0].count == 4 else { return nil }
    return PCIAddress(text + ".0")
  }

  /// Returns the function of an address whose parts other characters separate.
  private static func looseAddress(_ text: Substring) -> Functions? {
    let parts = text.split(omittingEmptySubsequences: false) { ":._-".contains($0) }
    guard parts.count == 3 || parts.count == 4, parts.allSatisfy({ hexadecimal($0, digits: 1...8) != nil }) else {
      return nil
    }
    let (device, function) = (parts[parts.count - 2], parts[parts.count - 1])
    if parts.count == 4, let segment = hexadecimal(parts[0], digits: 5...8), segment > 0xFFFF {
      // Linux numbers the segments behind VMD from 10000 on (`vmd_find_free_domain`, drivers/pci/controller/vmd.c, 6.1).
      return .tooLarge(
        "the segment \(parts[0]) of",
        hint:
          "Xen's hypercalls and libxl have 16 bits for a segment. Such a device is behind Intel VMD: turn VMD off in "
          + "the firmware, or give the VMD controller to the domain")
    }
    if let slot = hexadecimal(device, digits: 1...2), slot > 31 {
      return .tooLarge("the device number \(device) of", hint: nil)
    }
    if let number = hexadecimal(function, digits: 1...3), number > 7 {
      return .tooLarge("the function number \(function) of", hint: ariHint(parts))
    }
    let shortened = parts.count == 4 ? parts[0].drop { $0 == "0" } : ""
    let segment = parts.count == 4 ? [shortened.isEmpty ? "0" : shortened] : []
    let bus = parts[parts.count - 3]
    return PCIAddress((segment + [bus, device]).joined(separator: ":") + "." + function).map { .one($0) }
  }

  /// Returns where lspci shows the function of an ARI device, whose function numbers have eight bits; nil if the text
  /// cannot be one.
  private static func ariHint(_ parts: [Substring]) -> String? {
    let (device, function) = (parts[parts.count - 2], parts[parts.count - 1])
    guard hexadecimal(device, digits: 1...2) == 0, let number = UInt8(function) else { return nil }
    let head = parts.dropLast(2).joined(separator: ":")
    return "function \(number) of an ARI device is \(head):\(hex(UInt64(number >> 3), 2)).\(number & 7) in lspci"
  }
}

extension PCIAddress {
  /// Returns another function of the same slot.
  fileprivate func sibling(_ function: UInt8) -> PCIAddress? {
    PCIAddress(segment: segment, bus: bus, device: device, function: function)
  }
}
