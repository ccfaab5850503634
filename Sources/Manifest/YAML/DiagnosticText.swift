extension Diagnostic: CustomStringConvertible {
  /// The message in the form that compilers use, with its source line and a caret: several lines, without a line end.
  package var description: String {
    var lines = ["\(mark.map { "\($0): " } ?? "")\(severity.rawValue): \(message)"]
    var rest = notes[...]
    if let mark, mark.line > 0 {
      let excerpt = Excerpt(mark)
      let gutter = String(repeating: " ", count: max(0, 5 - String(mark.line).count)) + String(mark.line)
      let blank = String(repeating: " ", count: gutter.count)
      lines.append("\(gutter) | \(excerpt.text)")
      let label = rest.popFirst().map { " " + $0.text(beside: mark) } ?? ""
      lines.append("\(blank) | \(String(repeating: " ", count: excerpt.caret))^\(label)")
    }
    for note in rest { lines.append("      = note: \(note.text(beside: mark))") }
    if let hint { lines.append("      = hint: \(hint)") }
    return lines.joined(separator: "\n")
  }
}

extension Diagnostic.Note {
  /// Returns the note with its location. If the location is in the same text as `other`, it is only the line.
  package func text(beside other: SourceMark?) -> String {
    if let other, other.source === mark.source, mark.line > 0 { return "\(message) at line \(mark.line)" }
    return "\(message) at \(mark)"
  }
}

/// The part of a line around a location, in a form that a terminal can show.
struct Excerpt {
  /// The number of scalars shown before the location, and after it.
  private static let reach = 60
  private static let tabWidth = 4

  let text: String
  /// The number of columns before the marked character.
  let caret: Int

  init(_ mark: SourceMark) {
    let line = mark.source.line(mark.line)
    // Only the window is decoded, because a line may be as long as the whole text.
    var starts: [Int] = []
    var scalar = 0
    var isCut = false
    for index in line.indices where !isUTF8Continuation(line[index]) || index == line.startIndex {
      scalar += 1
      if scalar + Self.reach < mark.column { continue }
      if scalar > mark.column + Self.reach { isCut = true; break }
      starts.append(index)
    }
    let first = max(1, mark.column - Self.reach)
    var shown = first > 1 ? "…" : ""
    var width = first > 1 ? 1 : 0
    var caret = width
    for (position, start) in starts.enumerated() {
      if first + position == mark.column { caret = width }
      let end = position + 1 < starts.count ? starts[position + 1] : Self.end(after: start, in: line)
      for character in String(decoding: line[start..<end], as: UTF8.self).unicodeScalars {
        if character == "\t" {
          let blanks = Self.tabWidth - width % Self.tabWidth
          shown += String(repeating: " ", count: blanks)
          width += blanks
        } else {
          let visible = isInvisible(character) ? "\u{FFFD}" : character
          shown.unicodeScalars.append(visible)
          width += columns(of: visible)
        }
      }
    }
    if mark.column >= first + starts.count { caret = width }
    text = isCut ? shown + "…" : shown
    self.caret = caret
  }

  private static func end(after start: Int, in line: ArraySlice<UInt8>) -> Int {
    var end = start + 1
    while end < line.endIndex, isUTF8Continuation(line[end]) { end += 1 }
    return end
  }
}

/// Returns an outside text in a form that is safe in a message: quoted, cut at 64 characters, without invisible
/// characters.
package func quoted(_ text: String) -> String {
  var result = "'"
  var count = 0
  for scalar in text.unicodeScalars {
    guard count < 64 else { result += "…"; break }
    count += 1
    if isInvisible(scalar) {
      result += "\\u{" + String(scalar.value, radix: 16) + "}"
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
  return result + "'"
}

/// Returns whether a terminal would execute or hide the scalar instead of showing it.
private func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: true
  default: false
  }
}

/// Returns the number of columns that a terminal uses for a scalar (Unicode's East Asian width, its large ranges).
private func columns(of scalar: Unicode.Scalar) -> Int {
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark: return 0
  default: break
  }
  switch scalar.value {
  case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
    0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE4F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
    0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
    return 2
  default: return 1
  }
}
