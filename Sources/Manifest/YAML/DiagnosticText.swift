package import Model

extension Diagnostic: CustomStringConvertible {
  /// The text as it is written.
  package var description: String { text.description }

  /// The message in the form that compilers use, with its source line and a caret: several lines, without a line end.
  package var text: TerminalText {
    let place: TerminalText = if let mark { "\(mark): " } else { "" }
    var lines: [TerminalText] = ["\(place)\(severity.rawValue): \(message)"]
    var rest = notes[...]
    if let mark, mark.line > 0, showsLine {
      let excerpt = Excerpt(mark)
      let number = String(mark.line)
      let gutter: TerminalText = "\(.blanks(5 - number.count))\(number)"
      let label: TerminalText = if let note = rest.popFirst() { " \(note.text(beside: mark))" } else { "" }
      lines.append("\(gutter) | \(excerpt.text)")
      lines.append("\(.blanks(gutter.columns)) | \(.blanks(excerpt.caret))^\(label)")
    }
    for note in rest { lines.append("      = note: \(note.text(beside: mark))") }
    if let hint { lines.append("      = hint: \(hint)") }
    return lines.joined("\n")
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
    let source = mark.source
    let line = source.line(mark.line)
    // Only the window is decoded, because a line may be as long as the whole text.
    let first = max(1, mark.column - Self.reach)
    let start = source.offset(line: mark.line, column: first)
    let middle = source.offset(line: mark.line, column: mark.column)
    let end = source.offset(line: mark.line, column: mark.column + Self.reach + 1)
    var shown = first > 1 ? "…" : ""
    Self.append(line[start..<middle], to: &shown)
    caret = columns(of: shown)
    Self.append(line[middle..<end], to: &shown)
    text = end < line.endIndex ? shown + "…" : shown
  }

  /// Adds a part of a line, with blanks in place of tabs.
  private static func append(_ part: ArraySlice<UInt8>, to shown: inout String) {
    for (number, piece) in String(decoding: part, as: UTF8.self).split(
      separator: "\t", omittingEmptySubsequences: false
    ).enumerated() {
      if number > 0 {
        // Blanks up to the next stop of the tabulator.
        let width = columns(of: shown)
        shown += String(repeating: " ", count: tabWidth - width % tabWidth)
      }
      shown += visible(piece)
    }
  }
}

/// Returns a name in a form that is safe in a message.
package func quoted(_ name: Name) -> String { quoted(name.text) }

/// Returns an outside text in a form that is safe in a message: quoted, cut at 64 characters, all of them visible.
package func quoted(_ text: String) -> String {
  let scalars = text.unicodeScalars
  let isLong = !scalars.dropFirst(64).isEmpty
  return "'" + visible(String(String.UnicodeScalarView(scalars.prefix(64)))) + (isLong ? "…'" : "'")
}
