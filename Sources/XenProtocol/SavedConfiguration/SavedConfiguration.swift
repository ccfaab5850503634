/// A domain's configuration as libxl saves it in its userdata file `libxl-json`. The list of PCI devices can be
/// changed.
///
/// Everything outside the list, and every unchanged element, keeps its bytes. (libxl itself drops unknown keys when it
/// rewrites the file.) New text has libxl's form (`libxl__object_to_json`, `libxl_device_pci_gen_json`, Xen 4.17, with
/// yajl 2).
package struct SavedConfiguration: Hashable, Sendable {
  /// The file's content, with its final NUL.
  package let bytes: [UInt8]
  /// The devices in `pcidevs`, in their order.
  package var devices: [SavedDevice] { elements.compactMap(\.line.device) }
  /// The other elements of `pcidevs`, in their order.
  package var otherLines: [OtherSavedLine] { elements.compactMap(\.line.other) }

  /// One element of `pcidevs`.
  struct Element: Hashable {
    var range: Range<Int>
    var line: SavedLine
  }

  /// A key at the top level, and its position.
  struct Place: Hashable {
    var name: String
    /// From the key's opening quotation mark to the end of its value.
    var range: Range<Int>
    var valueStart: Int
  }

  /// The keys at the top level, in their order.
  let members: [Place]
  let elements: [Element]

  static let listKey = "pcidevs"

  /// Reads a file's bytes. Throws if libxl could not read them, or would misread them.
  package init(_ bytes: [UInt8]) throws(SavedConfigurationError) {
    guard let last = bytes.last else { throw SavedConfigurationError("is empty") }
    // libxl parses the raw buffer as a C string, and would read past the end of a file without the NUL
    // (libxl__get_domain_configuration).
    guard last == 0 else { throw SavedConfigurationError("does not end in a NUL byte") }
    let text = bytes.dropLast()
    guard !text.contains(0) else { throw SavedConfigurationError("has a NUL byte before its end") }
    guard String(validating: text, as: UTF8.self) != nil else { throw SavedConfigurationError("is not valid UTF-8") }

    var members: [Place] = []
    var list: JSONScanner.Value?
    var scanner = JSONScanner(text)
    guard try scanner.skipValue().kind == .object else { throw SavedConfigurationError("is not a JSON object") }
    try scanner.expectEnd()
    scanner = JSONScanner(text, at: text.firstIndex(of: UInt8(ascii: "{")))
    try scanner.forEachMember { (member) throws(SavedConfigurationError) in
      members.append(
        Place(
          name: member.name, range: member.start..<member.value.range.upperBound,
          valueStart: member.value.range.lowerBound))
      guard member.name == Self.listKey else { return }
      if list != nil { throw SavedConfigurationError("has two lists of PCI devices") }
      guard member.value.kind == .array else { throw SavedConfigurationError("has `pcidevs` that is not a list") }
      list = member.value
    }

    var elements: [Element] = []
    if let list {
      var scanner = JSONScanner(text, at: list.range.lowerBound)
      try scanner.forEachElement { (value) throws(SavedConfigurationError) in
        let line = try SavedLine(value, in: text, name: "pcidevs[\(elements.count)]")
        elements.append(Element(range: value.range, line: line))
      }
    }
    (self.bytes, self.members, self.elements) = (bytes, members, elements)
  }

  /// Returns the word of a key at the top level; nil if there is none.
  package func word(_ key: String) -> String? {
    guard let member = members.first(where: { $0.name == key }) else { return nil }
    var scanner = JSONScanner(bytes.dropLast(), at: member.valueStart)
    // Any other kind of value is no word.
    do throws(SavedConfigurationError) { return try scanner.string() } catch { return nil }
  }
}

extension SavedLine {
  var device: SavedDevice? { if case .device(let device) = self { device } else { nil } }
  var other: OtherSavedLine? { if case .other(let line) = self { line } else { nil } }
}

/// Why a saved configuration cannot be read. The reason follows the file's name: "… does not end in a NUL byte".
package struct SavedConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  package let reason: String
  package var description: String { reason }
  package init(_ reason: String) { self.reason = reason }
}
