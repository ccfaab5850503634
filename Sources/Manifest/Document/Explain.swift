import Model

/// Returns why a text is not a PCI address; nil if there is no more to say than that.
func explainAddress(_ text: String) -> (message: String, hint: String?)? {
  if NumberTrap.isNumber(text) {
    let likely = NumberTrap.likelyAddress(of: text)
    return (
      "\(quoted(text)) is a number, not a PCI address: another tool has read the address as a number",
      likely.map { "it was probably \($0); put addresses in quotes if that tool reads them" }
        ?? "put addresses in quotes if that tool reads them"
    )
  }
  if DeviceID(text) != nil {
    return ("\(quoted(text)) is a device's id, not its address", "give the address, and the id under 'id'")
  }
  if text.hasPrefix("name=") {
    return (
      "\(quoted(text)) is a name that xl gave to a device, not its address",
      "give the address that xl pci-assignable-list -n shows for it"
    )
  }
  let words = text.split { ",; ".contains($0) }
  let addresses = words.filter { PCIAddress($0) != nil }
  if addresses.count > 1, addresses.count == words.count {
    let list = addresses.prefix(8)
    return (
      "\(quoted(text)) contains several addresses",
      "make an entry of each: \(list.joined(separator: ", "))\(list.count < addresses.count ? ", …" : "")"
    )
  }
  // lspci prints the address first, and then what the device is.
  if text.contains(" "), addresses.count == 1, let first = words.first, first == addresses[0], words.count > 1 {
    return ("\(quoted(text)) contains more than an address", "write only \(first)")
  }
  guard let written = WrittenDevice(text) else { return nil }
  switch written.functions {
  case .tooLarge(let what, let hint):
    return ("\(what) \(quoted(text)) is above \(limit(of: what))", hint)
  case .path:
    return (
      "\(quoted(text)) is Qubes' path through bridges, not an address",
      "give the device a name in 'spec.devices' that has the key 'path', and use the name here"
    )
  case .all(let first, let isStar):
    let slot = written.shown(first).dropLast(2)
    let entry = written.entry(of: written.shown(first))
    let hasKeys = entry.hasPrefix("{")
    let more = !hasKeys ? "" : written.slot == nil ? ", each as \(entry)" : "; only one can have the slot: \(entry)"
    return (
      "\(quoted(text)) \(isStar ? "names all functions" : "is a slot, and lacks the function")",
      "give the slot a name in 'spec.devices' with functions: all; or list \(isStar ? "them one by one, .0 to .7" : "its functions one by one, as lspci -s \(slot) prints them")"
        + more + written.remark
    )
  case .several(let functions):
    let list = written.entries(of: functions)
    let head = list.dropLast().joined(separator: ", ")
    return (
      "\(quoted(text)) names several functions",
      "list \(head.isEmpty ? "" : head + " and ")\(list.last ?? "")\(written.remark)"
    )
  case .one(let address):
    let isExact = PCIAddress(written.core) != nil
    let entry = written.entry(of: isExact ? written.core : "\(address)")
    guard written.hasMore else {
      return ("\(quoted(text)) is not written as a PCI address", "did you mean \(address)?")
    }
    return (
      "\(quoted(text)) contains more than an address",
      (entry.hasPrefix("{") ? "options are keys of their own: \(entry)" : "write only \(entry)") + written.remark
    )
  }
}

/// Returns the largest value of a part of an address.
private func limit(of part: String) -> String {
  if part.contains("segment") { return "ffff" }
  return part.contains("device") ? "1f" : "7"
}

/// Returns why a text is not a device id; nil if there is no more to say than that.
func explainID(_ text: String) -> (message: String, hint: String?)? {
  if NumberTrap.isNumber(text) {
    let likely = NumberTrap.likelyExponent(of: text).map { " (\($0), perhaps)" } ?? ""
    return (
      "\(quoted(text)) is a number, not a device id: half an id, or one that another tool has read as a number\(likely)",
      "write vendor and device, such as 8086:1533, in quotes if another tool reads it"
    )
  }
  if PCIAddress(text) != nil {
    return ("\(quoted(text)) is a device's address, not its id", "an id is vendor and device, such as 8086:1533")
  }
  if let id = DeviceID(text), id.isNoAnswer {
    return (
      "\(quoted(text)) is what a device that does not answer reads as, not an id",
      "give the id that lspci -n prints when the device answers; a device that is gone or off does not"
    )
  }
  // lspci prints `[8086:1533]` with -nn, and `(rev 03)` behind an id.
  let ids = text.split { " []()".contains($0) }.compactMap { DeviceID($0) }
  if ids.count == 1, let id = ids.first {
    return ("\(quoted(text)) contains more than an id", "write only \"\(id)\"")
  }
  let bare = text.hasPrefix("0x") ? text.dropFirst(2) : text[...]
  let halves = bare.split(separator: ":", omittingEmptySubsequences: false).map {
    $0.hasPrefix("0x") ? $0.dropFirst(2) : $0
  }
  guard halves.count == 2 else { return nil }
  let padded = halves.map { String(repeating: "0", count: max(0, 4 - $0.count)) + $0 }.joined(separator: ":")
  return DeviceID(padded).map {
    ("\(quoted(text)) must have four hexadecimal digits on each side", "did you mean \($0)?")
  }
}

extension DeviceID {
  /// Whether these are the numbers that are read if no device answers. Linux takes none of them for a device
  /// (`pci_bus_generic_read_dev_vendor_id`, drivers/pci/probe.c, 6.1).
  var isNoAnswer: Bool { [vendor, device].allSatisfy { $0 == 0 || $0 == 0xFFFF } }
}
