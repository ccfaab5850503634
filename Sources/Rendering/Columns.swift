import Model

/// Lines of text under headings, with columns that are aligned over all lines.
struct Columns {
  /// A line with a mark, two columns and a text, and notes below.
  private struct Row {
    var mark: Mark
    var first: TerminalText
    var second: TerminalText
    var text: TerminalText
    var notes: [TerminalText]
  }
  private enum Line {
    case heading(TerminalText, TerminalText)
    case row(Row)
    case text(TerminalText)
  }

  private let style: TextStyle
  private var lines: [Line] = []
  /// The number of columns that a heading's name, or the text in a second column, uses at most. A longer one is cut; the
  /// JSON form has all of it.
  static let widestName = 44

  init(style: TextStyle) { self.style = style }

  /// Adds a group's name, with a text about the group.
  mutating func heading(_ name: String, _ text: String = "") {
    lines.append(.heading(cut(name), style.printable(text)))
  }

  /// Adds a line of the group. Each of `notes` has its own line below, under the second column.
  mutating func row(_ mark: Mark, _ first: String, _ second: String, _ text: String, notes: [String] = []) {
    lines.append(
      .row(
        Row(
          mark: mark, first: style.printable(first), second: cut(second), text: style.printable(text),
          notes: notes.map(style.printable))))
  }

  /// Adds a line without columns.
  mutating func text(_ text: String) { lines.append(.text(style.printable(text))) }

  var isEmpty: Bool { lines.isEmpty }

  /// Returns the lines, each ended by a newline and without blanks before it.
  func rendered() -> TerminalText {
    var (nameWidth, firstWidth, secondWidth) = (0, 0, 0)
    for line in lines {
      switch line {
      case .heading(let name, let text): if !text.isEmpty { nameWidth = max(nameWidth, name.columns) }
      case .row(let row):
        firstWidth = max(firstWidth, row.first.columns)
        secondWidth = max(secondWidth, row.second.columns)
      case .text: break
      }
    }
    var result: TerminalText = ""
    for line in lines {
      switch line {
      case .heading(let name, let text):
        result +=
          text.isEmpty
          ? style.paint(name, .heading) : "\(style.paint(name.padded(to: nameWidth), .heading))  \(text)"
      case .row(let row):
        result += "  \(style.paint(style.printable(row.mark.rawValue), row.mark.tone)) "
        let columns: TerminalText = "\(row.first.padded(to: firstWidth))  \(row.second.padded(to: secondWidth))  "
        if row.text.isEmpty {
          result += columns.trimmed
        } else {
          result += columns + style.paint(row.text, row.mark.tone == .quiet ? .quiet : .plain)
        }
        for note in row.notes { result += "\n\(.blanks(4 + firstWidth + 2))\(note)" }
      case .text(let text): result += text
      }
      result += "\n"
    }
    return result
  }

  private func cut(_ text: String) -> TerminalText {
    style.printable(text).cut(to: Self.widestName, ending: style.printable("…"))
  }
}
