/// Lines of text under headings, with columns that are aligned over all lines.
struct Columns {
  /// A line with a mark, two columns and a text, and notes below.
  private struct Row {
    var mark: Mark
    var first: String
    var second: String
    var text: String
    var notes: [String]
  }
  private enum Line {
    case heading(String, String)
    case row(Row)
    case text(String)
  }

  private let style: TextStyle
  private var lines: [Line] = []
  /// The width of the widest second column. A longer text is cut; the JSON form has all of it.
  static let widestName = 44

  init(style: TextStyle) { self.style = style }

  /// Adds a group's name, with a text about the group.
  mutating func heading(_ name: String, _ text: String = "") {
    lines.append(.heading(style.printable(name), style.printable(text)))
  }

  /// Adds a line of the group. Each of `notes` has its own line below, under the second column.
  mutating func row(_ mark: Mark, _ first: String, _ second: String, _ text: String, notes: [String] = []) {
    let name = style.printable(second)
    lines.append(
      .row(
        Row(
          mark: mark, first: style.printable(first),
          second: name.count > Self.widestName
            ? name.prefix(Self.widestName - 1) + style.printable("…") : name,
          text: style.printable(text), notes: notes.map(style.printable))))
  }

  /// Adds a line without columns.
  mutating func text(_ text: String) { lines.append(.text(style.printable(text))) }

  var isEmpty: Bool { lines.isEmpty }

  /// Returns the lines, each ended by a newline and without blanks before it.
  func rendered() -> String {
    var (nameWidth, firstWidth, secondWidth) = (0, 0, 0)
    for line in lines {
      switch line {
      case .heading(let name, let text): if !text.isEmpty { nameWidth = max(nameWidth, name.count) }
      case .row(let row):
        firstWidth = max(firstWidth, row.first.count)
        secondWidth = max(secondWidth, row.second.count)
      case .text: break
      }
    }
    var result = ""
    for line in lines {
      switch line {
      case .heading(let name, let text):
        result +=
          text.isEmpty ? style.paint(name, .heading) : style.paint(padded(name, nameWidth), .heading) + "  " + text
      case .row(let row):
        result += "  " + style.paint(style.printable(row.mark.rawValue), row.mark.tone) + " "
        let columns = padded(row.first, firstWidth) + "  " + padded(row.second, secondWidth) + "  "
        if row.text.isEmpty {
          result += trimmed(columns)
        } else {
          result += columns + style.paint(row.text, row.mark.tone == .quiet ? .quiet : .plain)
        }
        for note in row.notes { result += "\n" + String(repeating: " ", count: 4 + firstWidth + 2) + note }
      case .text(let text): result += text
      }
      result += "\n"
    }
    return result
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private func trimmed(_ text: String) -> String {
    var text = Substring(text)
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
