/// Returns a text from outside in which a reader sees each character, and no program obeys any.
///
/// A character that steers a terminal, reorders or hides text, or looks like another one stands as its number:
/// `\u{1b}`. Tab, line feed and carriage return are `\t`, `\n` and `\r`, so the result is one line. What a CI system would
/// take for a command loses its first sign: `::` at the start, and `##[` or `##vso[` anywhere
/// (actions/runner `src/Runner.Common/ActionCommand.cs`, v2.311: `TryParseV2` and `TryParse`).
///
/// A second call changes nothing.
package func visible(_ text: some StringProtocol) -> String {
  let scalars = text.unicodeScalars
  let start = scalars.firstIndex { $0 != " " } ?? scalars.endIndex
  let isObeyed = scalars[start...].starts(with: "::".unicodeScalars)
  // Most texts end here.
  let isPlain = text.utf8.allSatisfy { (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "#") }
  if isPlain, !isObeyed { return String(text) }
  var result = ""
  for index in scalars.indices {
    let scalar = scalars[index]
    if isObeyed && index == start || !scalar.isVisible || scalar == "#" && isCommand(scalars[index...]) {
      result += numbered(scalar)
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
  return result
}

/// Returns whether a text begins as a CI system's command: with `##`, letters and `[`.
func isCommand(_ scalars: some Collection<Unicode.Scalar>) -> Bool {
  guard scalars.starts(with: "##".unicodeScalars) else { return false }
  return scalars.dropFirst(2).prefix(16).first { !("a"..."z").contains($0) && !("A"..."Z").contains($0) } == "["
}

/// Returns the form in which a character is written that is not shown itself.
private func numbered(_ scalar: Unicode.Scalar) -> String {
  switch scalar {
  case "\t": "\\t"
  case "\n": "\\n"
  case "\r": "\\r"
  default: "\\u{\(String(scalar.value, radix: 16))}"
  }
}

extension Unicode.Scalar {
  /// Whether a reader sees this character, and can tell it from others.
  ///
  /// Control, format, private and unassigned characters are not visible, nor are separators and every blank but the
  /// space. The same holds for what Unicode lets a program ignore (UAX 44, `Default_Ignorable_Code_Point`), and for the
  /// empty braille pattern. The accents U+0300 to U+036F count as not visible: `e` with U+0301 looks like `é`, and has
  /// other bytes.
  package var isVisible: Bool {
    switch value {
    case 0x20..<0x7F: return true
    case 0..<0xA1, 0x300...0x36F, 0x2800: return false
    default: break
    }
    if properties.isDefaultIgnorableCodePoint { return false }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate, .unassigned, .privateUse:
      return false
    default: return true
    }
  }
}
