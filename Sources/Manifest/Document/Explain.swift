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
  if text.hasSuffix(".*") {
    return ("\(quoted(text)) names all functions, which is not supported yet", "list them one by one, .0 to .7")
  }
  if DeviceID(text) != nil {
    return ("\(quoted(text)) is a device's id, not its address", "give the address, and the id under 'id'")
  }
  if let end = text.firstIndex(where: { $0 == "," || $0 == "@" || $0 == "=" }) {
    guard PCIAddress(text[..<end]) != nil else { return nil }
    return (
      "\(quoted(text)) contains more than an address",
      "options are keys of their own: {address: \(text[..<end]), virtualSlot: 5, permissive: true}"
    )
  }
  let parts = text.split { ":._-".contains($0) }.filter { $0 != "pci" }
  guard parts.count == 3 || parts.count == 4, parts.allSatisfy({ hexadecimal($0, digits: 1...4) != nil }) else {
    return nil
  }
  if let slot = hexadecimal(parts[parts.count - 2], digits: 1...2), slot > 31 {
    return ("the device number \(parts[parts.count - 2]) of \(quoted(text)) is above 1f", nil)
  }
  if let function = hexadecimal(parts[parts.count - 1], digits: 1...2), function > 7 {
    return ("the function number \(parts[parts.count - 1]) of \(quoted(text)) is above 7", nil)
  }
  guard let meant = PCIAddress(parts.dropLast().joined(separator: ":") + "." + parts[parts.count - 1]) else {
    return nil
  }
  return ("\(quoted(text)) is not written as a PCI address", "did you mean \(meant)?")
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
