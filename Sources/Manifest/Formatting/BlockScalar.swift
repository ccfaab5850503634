/// A scalar in the style of `|` or `>`: its first line says how its text is read, and its lines are its text.
struct BlockScalar {
  /// The signs of the first line: `|`, `>-`, `|2+`.
  private let signs: ArraySlice<UInt8>
  private let comment: ArraySlice<UInt8>
  /// The lines of the text, each with its end; the last one may lack it.
  private let lines: [ArraySlice<UInt8>]
  /// The columns of indentation that are no text.
  private let indentation: Int
  /// The offset behind the last line that is text.
  let end: Int

  /// - Parameter parent: the column of the collection that the scalar is in; 0 if it is in none.
  init(_ bytes: ArraySlice<UInt8>, parent: Int) {
    var all = bytes.splitAfterLineEnds[...]
    let head = (all.popFirst() ?? []).drop(while: isBlank)
    let signs = head.prefix { !isBlank($0) && $0 != 0x0A }
    self.signs = signs
    comment = head[signs.endIndex...].filter { $0 != 0x0A }[...].drop(while: isBlank)
    let given = signs.first { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
    let indentation: Int
    if let given {
      indentation = parent + Int(given - UInt8(ascii: "0"))
    } else {
      // The first line with a text decides (`yaml_parser_scan_block_scalar_breaks`, libyaml 0.2.5, src/scanner.c).
      let first = all.first { $0.contains { $0 != 0x20 && $0 != 0x0A } }
      indentation = first.map { $0.prefix { $0 == 0x20 }.count } ?? all.map(\.count).max() ?? 0
    }
    var text = Array(all)
    if !signs.contains(UInt8(ascii: "+")) {
      while let last = text.last, last.isEmptyLine(indentation) { text.removeLast() }
    }
    lines = text
    self.indentation = indentation
    end = text.last?.endIndex ?? head.endIndex
  }

  /// Returns the scalar with its lines at another column.
  ///
  /// - Parameters:
  ///   - parent: the column of the collection that the scalar is in.
  ///   - column: the column of the lines, unless the first line says how many columns they have behind `parent`.
  func formatted(parent: Int, column: Int) -> [UInt8] {
    let given = signs.first { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
    let column = given.map { parent + Int($0 - UInt8(ascii: "0")) } ?? column
    var result = Array(signs)
    if !comment.isEmpty { result += [0x20] + comment.formattedComment }
    result.append(0x0A)
    for line in lines {
      if line.isEmptyLine(indentation) {
        if line.last == 0x0A { result.append(0x0A) }
        continue
      }
      result += [UInt8](repeating: 0x20, count: column) + line.dropFirst(indentation)
    }
    return result
  }
}

extension ArraySlice<UInt8> {
  /// The lines, each with its end.
  fileprivate var splitAfterLineEnds: [ArraySlice<UInt8>] {
    var lines: [ArraySlice<UInt8>] = []
    var rest = self
    while let end = rest.firstIndex(of: 0x0A) {
      lines.append(rest[...end])
      rest = rest[(end + 1)...]
    }
    return rest.isEmpty ? lines : lines + [rest]
  }

  /// Returns whether the line has nothing but blanks, and none that is text.
  fileprivate func isEmptyLine(_ indentation: Int) -> Bool {
    let content = last == 0x0A ? dropLast() : self
    return content.count <= indentation && content.allSatisfy(isBlank)
  }
}
