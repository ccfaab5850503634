/// Writes the tokens of a text again, in one style. No text of a token changes but the indentation of its further lines.
struct YAMLPrinter {
  /// Why a text is not written.
  enum Refusal: Error {
    /// Something stands between tokens that is neither blank nor comment, from this offset on.
    case unknown(offset: Int)
    /// A text begins with `---` or `...`, and would be the mark of a document at the start of a line.
    case marker(offset: Int)
    case tooLarge
  }

  private let text: [UInt8]
  private let limit: Int
  private var output: [UInt8] = []
  private var levels = YAMLLevels()
  /// The collections at the end of the token before. libyaml reports their ends behind the comments that follow.
  private var levelsBefore = YAMLLevels()
  private var previous: YAMLToken?

  /// Returns the text in the style; `tokens` are its tokens.
  static func formatted(
    _ text: [UInt8], tokens: [YAMLToken], limit: Int
  ) throws(Refusal) -> [UInt8] {
    var printer = YAMLPrinter(text: text, limit: limit)
    for token in tokens { try printer.take(token) }
    return printer.output
  }

  private init(text: [UInt8], limit: Int) { (self.text, self.limit) = (text, limit) }

  private mutating func take(_ token: YAMLToken) throws(Refusal) {
    levels.begin(token)
    guard token.isVisible else { return }
    try writeGap(before: token)
    if token.kind != .streamEnd { write(token) }
    levels.end(token)
    levelsBefore = levels
    guard output.count <= limit else { throw .tooLarge }
  }

  // MARK: Between tokens

  private mutating func writeGap(before token: YAMLToken) throws(Refusal) {
    let start = previous?.range.upperBound ?? 0
    let isLast = token.kind == .streamEnd
    let startsLine = start == 0 || text[start - 1] == UInt8(ascii: "\n")
    guard
      start <= token.range.lowerBound,
      let gap = YAMLGap(text[start..<token.range.lowerBound], startsLine: startsLine, isLast: isLast)
    else { throw .unknown(offset: start) }
    if let comment = gap.trailing { output += [0x20] + comment.formattedComment }
    guard gap.beginsLine else {
      if isLast {
        // Without its end of line, the last line of a block scalar has another value.
        if previous?.isBlockScalar == false { endLine() }
      } else if let previous, needsBlank(previous, token) {
        output.append(0x20)
      }
      return
    }
    endLine()
    writeLines(gap.lines, before: token)
    guard !isLast else { return }
    let column = levels.column(of: token)
    if column == 0, case .scalar = token.kind, isMarker(text[token.range]) {
      throw .marker(offset: token.range.lowerBound)
    }
    indent(to: column)
  }

  /// Returns whether a line that begins with this text begins or ends a document.
  private func isMarker(_ text: ArraySlice<UInt8>) -> Bool {
    guard text.starts(with: "---".utf8) || text.starts(with: "...".utf8) else { return false }
    let next = text.dropFirst(3).first
    return next.map { isBlank($0) || $0 == 0x0A } ?? true
  }

  private mutating func writeLines(_ lines: [YAMLGap.Line], before token: YAMLToken) {
    let next = token.kind == .streamEnd ? 0 : token.column
    var isBlank = false
    for line in lines {
      guard case .comment(let comment, let column) = line else {
        isBlank = true
        continue
      }
      if isBlank, !output.isEmpty { output.append(0x0A) }
      isBlank = false
      let isHeading = output.isEmpty && comment.starts(with: "#!".utf8)
      indent(
        to: levels.commentColumn ?? levelsBefore.column(ofCommentAt: column, before: next)
          ?? levels.column(of: token))
      output += isHeading ? Array(comment.withoutTrailingBlanks) : comment.formattedComment
      output.append(0x0A)
    }
    if isBlank, !output.isEmpty, token.kind != .streamEnd { output.append(0x0A) }
  }

  private mutating func endLine() {
    if let last = output.last, last != 0x0A { output.append(0x0A) }
  }

  private mutating func indent(to column: Int) { output += [UInt8](repeating: 0x20, count: column) }

  /// Returns whether a blank is between two tokens of one line.
  private func needsBlank(_ left: YAMLToken, _ right: YAMLToken) -> Bool {
    switch (left.kind, right.kind) {
    // A tag or an anchor would go on with what follows, in some readers.
    case (.value, _), (.tag, _), (.anchor, _), (.alias, .value): true
    case (.flowStart, _), (_, .flowEnd), (_, .flowEntry): false
    case (.flowEntry, _), (.blockEntry, _), (.key, _): true
    case (_, .value): false
    default: true
    }
  }

  // MARK: Tokens

  private mutating func write(_ token: YAMLToken) {
    previous = token
    let bytes = text[token.range]
    guard case .scalar(let style) = token.kind else {
      output += bytes.withoutTrailingBlanks
      return
    }
    switch style {
    case .literal, .folded:
      let scalar = BlockScalar(bytes, parent: levels.open.last?.original ?? 0)
      output += scalar.formatted(parent: levels.open.last?.column ?? 0, column: levels.continuationColumn)
      // The blank lines behind it are lines of the text again.
      previous?.range = token.range.lowerBound..<scalar.end
    case .plain, .singleQuoted, .doubleQuoted:
      writeLines(of: bytes, isDoubleQuoted: style == .doubleQuoted)
    }
  }

  /// Writes a scalar whose reader drops the blanks at both ends of its lines.
  private mutating func writeLines(of bytes: ArraySlice<UInt8>, isDoubleQuoted: Bool) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (number, line) in lines.enumerated() {
      var line = line
      if number < lines.count - 1 {
        let whole = line
        line = line.withoutTrailingBlanks
        // An escaped blank belongs to the text.
        let slashes = line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count
        if isDoubleQuoted, slashes % 2 == 1, line.endIndex < whole.endIndex { line = whole[...line.endIndex] }
      }
      if number > 0 {
        output.append(0x0A)
        line = line.drop(while: isBlank)
        if !line.isEmpty { indent(to: levels.continuationColumn) }
      }
      output += line
    }
  }
}

extension YAMLToken {
  fileprivate var isBlockScalar: Bool { kind == .scalar(.literal) || kind == .scalar(.folded) }
}
