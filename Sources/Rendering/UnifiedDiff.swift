package import Model

/// The difference between a text and the same text in another style, as `diff -u` writes it.
///
/// Formatting neither joins nor divides lines, it only drops blank ones. So the texts are compared line by line, in one
/// pass, whatever their size is.
package struct UnifiedDiff: Sendable {
  /// How many unchanged lines are shown around a change.
  private static let context = 3

  fileprivate enum Sign { case same, removed, added }

  fileprivate struct Line {
    var sign: Sign
    var text: ArraySlice<UInt8>
    var hasEnd: Bool
  }

  private let path: String
  private let lines: [Line]

  package init(path: String, from old: [UInt8], to new: [UInt8]) {
    self.path = path
    var lines: [Line] = []
    var (olds, news) = (Self.lines(of: old)[...], Self.lines(of: new)[...])
    var added: [Line] = []
    while let first = olds.first {
      let wanted = news.first
      if let wanted, first.text == wanted.text, first.hasEnd == wanted.hasEnd {
        lines += added + [first]
        added = []
        _ = news.popFirst()
      } else {
        lines.append(Line(sign: .removed, text: first.text, hasEnd: first.hasEnd))
        // A blank line is dropped, or stays as it is; every other line is written again.
        if let wanted, !first.isBlank || wanted.isBlank {
          added.append(Line(sign: .added, text: wanted.text, hasEnd: wanted.hasEnd))
          _ = news.popFirst()
        }
      }
      _ = olds.popFirst()
    }
    self.lines = lines + added + news.map { Line(sign: .added, text: $0.text, hasEnd: $0.hasEnd) }
  }

  private static func lines(of text: [UInt8]) -> [Line] {
    var lines = text.split(separator: 0x0A, omittingEmptySubsequences: false).map {
      Line(sign: .same, text: $0, hasEnd: true)
    }
    if let last = lines.popLast(), !last.text.isEmpty {
      lines.append(Line(sign: .same, text: last.text, hasEnd: false))
    }
    return lines
  }

  /// The difference, made visible; empty if there is none.
  package func text(_ style: TextStyle) -> TerminalText {
    let changes = lines.indices.filter { lines[$0].sign != .same }
    guard !changes.isEmpty else { return "" }
    var result: TerminalText = "\(style.paint("--- \(path)", .heading))\n\(style.paint("+++ \(path)", .heading))\n"
    var hunk = 0..<0
    var (old, new, done) = (0, 0, 0)
    func write(_ hunk: Range<Int>) {
      guard !hunk.isEmpty else { return }
      for line in lines[done..<hunk.lowerBound] {
        if line.sign != .added { old += 1 }
        if line.sign != .removed { new += 1 }
      }
      let (olds, news) = (lines[hunk].count { $0.sign != .added }, lines[hunk].count { $0.sign != .removed })
      let place: TerminalText =
        "@@ -\(olds == 0 ? old : old + 1),\(olds) +\(news == 0 ? new : new + 1),\(news) @@"
      result += "\(style.paint(place, .waiting))\n"
      for line in lines[hunk] { result += line.written(style) }
      (old, new, done) = (old + olds, new + news, hunk.upperBound)
    }
    for change in changes {
      let range = max(0, change - Self.context)..<min(lines.count, change + Self.context + 1)
      if hunk.isEmpty {
        hunk = range
      } else if range.lowerBound <= hunk.upperBound {
        hunk = hunk.lowerBound..<range.upperBound
      } else {
        write(hunk)
        hunk = range
      }
    }
    write(hunk)
    return result
  }
}

extension UnifiedDiff.Line {
  fileprivate var isBlank: Bool { text.allSatisfy { [0x20, 0x09, 0x0D].contains($0) } }

  fileprivate func written(_ style: TextStyle) -> TerminalText {
    let text = style.printable(String(decoding: text, as: UTF8.self))
    let line: TerminalText =
      switch sign {
      case .same: " \(text)"
      case .removed: style.paint("-\(text)", .removed)
      case .added: style.paint("+\(text)", .added)
      }
    return hasEnd ? "\(line)\n" : "\(line)\n\\ No newline at end of file\n"
  }
}
