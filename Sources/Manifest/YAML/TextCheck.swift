import Model

/// Returns whether the bytes are text that YAML allows. If they are not, it reports one error with its location.
///
/// libyaml refuses the same bytes, but without line and column (`yaml_parser_update_buffer`, 0.2.5), and it would read
/// UTF-16.
func isYAMLText(_ source: SourceText, _ report: Diagnostics) -> Bool {
  let bytes = source.bytes
  if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
    report.error("the text is UTF-16", at: source.mark(atOffset: 0), hint: "save it as UTF-8")
    return false
  }
  var index = 0
  while index < bytes.count {
    let byte = bytes[index]
    if byte >= 0x20 && byte < 0x7F || byte == 0x0A || byte == 0x09 || byte == 0x0D {
      index += 1
      continue
    }
    let length: Int
    if byte < 0x80 {
      length = 1
    } else if let found = scalarLength(bytes, at: index) {
      length = found
    } else {
      report.error(
        "byte 0x\(hex(UInt64(byte), 2)) is not UTF-8", at: source.mark(atOffset: index),
        hint: "save the file as UTF-8")
      return false
    }
    let value = scalarValue(bytes[index..<index + length])
    if value == 0 {
      report.error("a NUL byte: this is not a text file", at: source.mark(atOffset: index))
      return false
    }
    if value == 0xFEFF {
      report.error("a byte order mark (U+FEFF) inside the text", at: source.mark(atOffset: index), hint: "delete it")
      return false
    }
    if isControl(value) {
      report.error("the control character U+\(hex(UInt64(value), 4)) is not allowed", at: source.mark(atOffset: index))
      return false
    }
    index += length
  }
  return true
}

/// Returns the length of the well-formed multi-byte character at an index (Unicode 15, table 3-7); nil if there is
/// none.
private func scalarLength(_ bytes: [UInt8], at index: Int) -> Int? {
  let second: ClosedRange<UInt8>
  let length: Int
  switch bytes[index] {
  case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
  case 0xE0: (length, second) = (3, 0xA0...0xBF)
  case 0xED: (length, second) = (3, 0x80...0x9F)
  case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
  case 0xF0: (length, second) = (4, 0x90...0xBF)
  case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
  case 0xF4: (length, second) = (4, 0x80...0x8F)
  default: return nil
  }
  guard index + length <= bytes.count, second.contains(bytes[index + 1]) else { return nil }
  guard bytes[(index + 2)..<max(index + 2, index + length)].allSatisfy(isUTF8Continuation) else { return nil }
  return length
}

private func scalarValue(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  guard let first = bytes.first, bytes.count > 1 else { return bytes.first.map(UInt32.init) ?? 0 }
  let head = UInt32(first) & (0xFF >> UInt32(bytes.count + 1))
  return bytes.dropFirst().reduce(head) { $0 << 6 | UInt32($1 & 0x3F) }
}

private func isControl(_ value: UInt32) -> Bool {
  switch value {
  case 0x09, 0x0A, 0x0D, 0x85: false
  case 0...0x1F, 0x7F...0x9F, 0xFFFE, 0xFFFF: true
  default: false
  }
}
