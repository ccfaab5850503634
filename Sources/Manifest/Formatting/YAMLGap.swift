/// What stands between two tokens of a text: blanks, ends of lines and comments.
struct YAMLGap {
  enum Line {
    case blank
    /// A comment with a line of its own, and its column.
    case comment(ArraySlice<UInt8>, column: Int)
  }

  /// The comment behind the token before; nil if there is none.
  private(set) var trailing: ArraySlice<UInt8>?
  /// The lines between the lines of the two tokens.
  private(set) var lines: [Line] = []
  /// Whether the second token begins a line.
  let beginsLine: Bool

  /// Reads what stands between two tokens. Returns nil if there is something else than blanks and comments.
  ///
  /// - Parameters:
  ///   - startsLine: whether the gap begins at the start of a line.
  ///   - isLast: whether the text ends behind the gap.
  init?(_ bytes: ArraySlice<UInt8>, startsLine: Bool, isLast: Bool) {
    var pieces = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
    beginsLine = startsLine || pieces.count > 1
    if !startsLine, let first = pieces.popFirst() {
      let rest = first.drop(while: isBlank)
      guard rest.first ?? 0x23 == 0x23 else { return nil }
      trailing = rest.isEmpty ? nil : rest
    }
    // Behind the last end of a line is the indentation of the next token.
    if !isLast, let indentation = pieces.popLast(), !indentation.allSatisfy(isBlank) { return nil }
    for piece in pieces {
      let rest = piece.drop(while: isBlank)
      guard rest.first ?? 0x23 == 0x23 else { return nil }
      lines.append(rest.isEmpty ? .blank : .comment(rest, column: rest.startIndex - piece.startIndex))
    }
  }
}

/// Returns whether a byte is a space or a tab.
func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

extension ArraySlice<UInt8> {
  /// The bytes without the blanks at their end.
  var withoutTrailingBlanks: ArraySlice<UInt8> {
    self[..<(lastIndex { !isBlank($0) }.map { $0 + 1 } ?? startIndex)]
  }

  /// The comment as it is written: one blank behind the signs, none at the end. More blanks stay, because lines of a
  /// manifest that became comments have their indentation there.
  var formattedComment: [UInt8] {
    let text = withoutTrailingBlanks
    let words = text.drop { $0 == UInt8(ascii: "#") }
    guard let first = words.first, !isBlank(first) else { return Array(text) }
    return Array(text[..<words.startIndex]) + [0x20] + words
  }
}
