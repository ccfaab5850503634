import Model

/// Returns whether the bytes are text that YAML allows. If they are not, it reports one error with its location.
///
/// libyaml refuses the same bytes, but without line and column (`yaml_parser_update_buffer`, 0.2.5), and it would read
/// UTF-16.
func isYAMLText(_ source: SourceText, _ report: Diagnostics) -> Bool {
  let bytes = source.bytes
  if let encoding = otherEncoding(of: bytes) {
    report.error("the text is \(encoding)", at: source.mark(atOffset: 0), hint: "save it as UTF-8")
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
      report.error(
        "a NUL byte: this is not a text file", at: source.mark(atOffset: index), hint: "save it as UTF-8, not as UTF-16"
      )
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
  return !hasConflict(source, report) && !hasOddBlank(source, report) && !hasManyDirectives(source, report)
}

/// Returns the encoding that a byte order mark shows, if it is not UTF-8; otherwise nil.
func otherEncoding(of bytes: [UInt8]) -> String? {
  if bytes.starts(with: [0xFF, 0xFE, 0, 0]) || bytes.starts(with: [0, 0, 0xFE, 0xFF]) { return "UTF-32" }
  return bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) ? "UTF-16" : nil
}

/// Reports lines that begin with `%`, if they are many or long; returns whether they are.
///
/// libyaml compares each `%TAG` with all before it, and copies its text into every tag that uses it
/// (`yaml_parser_process_directives` and `yaml_parser_parse_node`, src/parser.c, 0.2.5). No manifest needs one.
private func hasManyDirectives(_ source: SourceText, _ report: Diagnostics) -> Bool {
  var count = 0
  for number in 1...source.lineCount {
    let line = source.line(number)
    guard line.first == UInt8(ascii: "%") else { continue }
    count += 1
    guard count > YAMLLimits.directives || line.count > YAMLLimits.directiveBytes else { continue }
    report.error(
      "more than \(YAMLLimits.directives) lines begin with '%', or one of them is longer than "
        + "\(YAMLLimits.directiveBytes) bytes",
      at: SourceMark(source: source, line: number, column: 1), hint: "delete the directives; no manifest needs them")
    return true
  }
  return false
}

/// Reports the first line that git leaves for a conflict; returns whether there is one.
private func hasConflict(_ source: SourceText, _ report: Diagnostics) -> Bool {
  for number in 1...source.lineCount {
    let line = source.line(number)
    guard let first = line.first, [0x3C, 0x3D, 0x3E, 0x7C].contains(first), line.prefix(7).count == 7,
      line.prefix(7).allSatisfy({ $0 == first }), line.count == 7 || line[line.startIndex + 7] == 0x20
    else { continue }
    report.error(
      "a merge conflict is left in the text", at: SourceMark(source: source, line: number, column: 1),
      hint: "keep one side, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>")
    return true
  }
  return false
}

/// Reports the first blank that YAML does not take for one, outside quotes and comments; returns whether there is one.
///
/// Such blanks come from web pages and word processors. They look like spaces, and belong to the text beside them.
private func hasOddBlank(_ source: SourceText, _ report: Diagnostics) -> Bool {
  // Most texts have only ASCII.
  guard source.bytes.contains(where: { $0 >= 0x80 }) else { return false }
  for number in 1...source.lineCount {
    let line = String(decoding: source.line(number), as: UTF8.self).unicodeScalars
    var quote: Unicode.Scalar?
    var isStart = true
    var isIndentation = true
    for (offset, scalar) in line.enumerated() {
      if let open = quote {
        if scalar == open { quote = nil }
        continue
      }
      if isStart, scalar == "#" { break }
      if scalar.value >= 0x80, scalar.properties.generalCategory == .spaceSeparator {
        let name = scalar.value == 0xA0 || scalar.value == 0x202F ? "no-break space" : "blank"
        report.error(
          "the \(name) U+\(hex(UInt64(scalar.value), 4).uppercased()) \(isIndentation ? "is used for indentation" : "is no space to YAML")",
          at: SourceMark(source: source, line: number, column: offset + 1),
          hint: "write a plain space; a name that contains this character needs quotes")
        return true
      }
      if isStart, scalar == "'" || scalar == "\"" { quote = scalar }
      isStart = " \t,[{:-".unicodeScalars.contains(scalar)
      if scalar != " " { isIndentation = false }
    }
  }
  return false
}

/// Returns the text with spaces in place of tabs in lines that have only blanks, or a comment after them. YAML allows
/// tabs there (1.2.2, rule 78, `l-comment`); libyaml does not.
func withoutBlankTabs(_ bytes: [UInt8]) -> [UInt8] {
  guard bytes.contains(0x09) else { return bytes }
  var result = bytes
  var start = 0
  while start < result.count {
    let end = result[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? result.count
    let text = result[start..<end].firstIndex { $0 != 0x20 && $0 != 0x09 } ?? end
    if text == end || result[text] == 0x23 {
      for index in start..<text where result[index] == 0x09 { result[index] = 0x20 }
    }
    start = end + 1
  }
  return result
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
