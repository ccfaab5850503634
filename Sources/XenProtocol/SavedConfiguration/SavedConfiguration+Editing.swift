package import Model

extension SavedConfiguration {
  /// Returns the configuration with these devices added, as libxl adds them (`device_add_domain_config`,
  /// libxl_device.c, 4.17).
  ///
  /// The last element of the same address is replaced; otherwise, one is appended. An element that already has the
  /// same meaning keeps its bytes. A device for which another element stands already is left out: libxl would attach the
  /// device twice. The result is read again; a failure to read it is thrown, and is a mistake in this
  /// program.
  package func adding(_ devices: [SavedDevice]) throws(SavedConfigurationError) -> SavedConfiguration {
    var positions: [PCIAddress: Int] = [:]
    for (position, element) in elements.enumerated() {
      if let device = element.line.device { positions[device.address] = position }
    }
    let others = otherLines
    var replaced: [Int: SavedDevice] = [:]
    var appended: [SavedDevice] = []
    for device in devices {
      if let position = positions[device.address] {
        replaced[position] = device
      } else if others.contains(where: { $0.covers(device.address) }) {
        continue
      } else if let position = appended.firstIndex(where: { $0.address == device.address }) {
        appended[position] = device
      } else {
        appended.append(device)
      }
    }
    var edits: [Edit] = []
    for (position, device) in replaced where device != elements[position].line.device {
      edits.append(Edit(elements[position].range, device.elementText))
    }
    if !appended.isEmpty { edits.append(insertion(of: appended)) }
    return try applying(edits)
  }

  /// Returns the configuration without any element that is one of these devices. The list itself is removed with its last
  /// element, because libxl leaves out empty lists.
  package func removing(_ addresses: Set<PCIAddress>) throws(SavedConfigurationError) -> SavedConfiguration {
    let keeps = elements.map { element in element.line.device.map { !addresses.contains($0.address) } ?? true }
    guard keeps.contains(false) else { return self }
    guard let firstKept = keeps.firstIndex(of: true) else { return try applying([removalOfList].compactMap(\.self)) }
    var edits: [Edit] = []
    for position in elements.indices where !keeps[position] {
      // The range includes the comma and the blanks before the element. Ahead of the first remaining element, it
      // includes those after it.
      let range =
        position < firstKept
        ? elements[position].range.lowerBound..<elements[position + 1].range.lowerBound
        : elements[position - 1].range.upperBound..<elements[position].range.upperBound
      edits.append(Edit(range, ""))
    }
    return try applying(edits)
  }

  // MARK: -

  /// New text that replaces a part of the old.
  private struct Edit {
    var range: Range<Int>
    var text: String
    init(_ range: Range<Int>, _ text: String) { (self.range, self.text) = (range, text) }
  }

  private func applying(_ edits: [Edit]) throws(SavedConfigurationError) -> SavedConfiguration {
    guard !edits.isEmpty else { return self }
    var result: [UInt8] = []
    var position = 0
    for edit in edits.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
      result += bytes[position..<edit.range.lowerBound]
      result += Array(edit.text.utf8)
      position = edit.range.upperBound
    }
    result += bytes[position...]
    return try SavedConfiguration(result)
  }

  private func insertion(of devices: [SavedDevice]) -> Edit {
    let texts = devices.map(\.elementText)
    if let last = elements.last {
      return Edit(last.range.upperBound..<last.range.upperBound, texts.map { ",\n        " + $0 }.joined())
    }
    let array = "[\n        " + texts.joined(separator: ",\n        ") + "\n    ]"
    if let list = members.first(where: { $0.name == Self.listKey }) {
      return Edit(list.valueStart..<list.range.upperBound, array)
    }
    let member = "\"\(Self.listKey)\": " + array
    // libxl writes the list after these four keys (libxl_domain_config, libxl_types.idl).
    let predecessors: Set = ["c_info", "b_info", "disks", "nics"]
    if let before = members.last(where: { predecessors.contains($0.name) }) {
      return Edit(before.range.upperBound..<before.range.upperBound, ",\n    " + member)
    }
    if let after = members.first {
      return Edit(after.range.lowerBound..<after.range.lowerBound, member + ",\n    ")
    }
    // An empty object: the text between its braces is removed.
    let open = (bytes.firstIndex(of: UInt8(ascii: "{")) ?? 0) + 1
    let close = bytes.lastIndex(of: UInt8(ascii: "}")) ?? open
    return Edit(open..<close, "\n    " + member + "\n")
  }

  private var removalOfList: Edit? {
    guard let position = members.firstIndex(where: { $0.name == Self.listKey }) else { return nil }
    let list = members[position].range
    if position > 0 { return Edit(members[position - 1].range.upperBound..<list.upperBound, "") }
    if members.count > 1 { return Edit(list.lowerBound..<members[1].range.lowerBound, "") }
    return Edit(list, "")
  }
}
