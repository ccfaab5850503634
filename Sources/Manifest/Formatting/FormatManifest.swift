/// Returns the text of a manifest in the one style that docs/formatting.md describes. Returns nil after an error, which is
/// reported.
///
/// The text need not be a valid manifest, but it must say that it is Berth's, and `parseYAML` must take it. What is
/// returned is proven: libyaml reports the same events for it, and each comment stands between the same tokens.
package func formatted(_ source: SourceText, limits: YAMLLimits = .standard, report: Diagnostics) -> [UInt8]? {
  let errors = report.errorCount
  _ = parseDeclaration(
    source, kind: DocumentKind.hostAssignments.rawValue, name: "a manifest", report: report)
  guard report.errorCount == errors else { return nil }
  if let place = otherLineEnd(in: source.bytes) {
    report.error(
      "U+0085, U+2028 or U+2029 ends a line only for some readers of YAML", at: source.mark(atOffset: place),
      hint: "delete it, or write it as \\N, \\L or \\P in double quotes")
    return nil
  }
  let text = withoutCarriageReturns(source.bytes)
  do throws(YAMLPrinter.Refusal) {
    let before = try YAMLContent(text)
    let result = try YAMLPrinter.formatted(text, tokens: before.tokens, limit: limits.bytes)
    let after = try YAMLContent(result)
    if after == before { return result }
    report.error(
      "this text is not formatted: its values or its comments would not stay the same",
      at: SourceMark(wholeOf: source), hint: "write the unusual parts of the text in another way, and report this text")
  } catch {
    switch error {
    case .tooLarge:
      report.error(
        "the formatted text is larger than \(limits.bytes) bytes", at: SourceMark(wholeOf: source),
        hint: "split it into several files")
    case .marker(let offset):
      report.error(
        "a text that begins with '---' or '...' would be the mark of a document at the start of a line",
        at: SourceText(name: source.name, bytes: text, order: source.order).mark(atOffset: offset),
        hint: "put it into quotes")
    case .unknown(let offset):
      report.error(
        "this text is not formatted: what stands here is not understood",
        at: SourceText(name: source.name, bytes: text, order: source.order).mark(atOffset: offset),
        hint: "write it in another way, and report this text")
    }
  }
  return nil
}

/// What must stay the same when a text is formatted.
struct YAMLContent {
  /// One event of libyaml, with its anchor and its tag.
  private struct Event: Hashable {
    var event: YAMLEvent
    var anchor: String?
    var tag: String?
  }

  /// A comment, and how many tokens with text are before it.
  private struct Comment: Hashable {
    var text: [UInt8]
    var tokensBefore: Int
    /// Whether the comment stands behind the token, in the same line.
    var isTrailing: Bool
  }

  let tokens: [YAMLToken]
  private let events: [Event]
  private let comments: [Comment]
  /// The text without blanks and ends of lines. Comments inside tokens are in it.
  private let signs: [UInt8]

  /// Reads a text that has only `\n` as ends of lines.
  init(_ text: [UInt8]) throws(YAMLPrinter.Refusal) {
    let read = withoutBlankTabs(text)
    var events: [Event] = []
    let fault = forEachYAMLEvent(in: read) { event, _, anchor, tag in
      events.append(Event(event: event, anchor: anchor, tag: tag))
      return true
    }
    guard fault == nil, let tokens = yamlTokens(in: read) else { throw .unknown(offset: 0) }
    self.tokens = tokens
    self.events = events
    comments = try Self.comments(in: text, tokens)
    signs = text.filter { !isBlank($0) && $0 != 0x0A }
  }

  private static func comments(
    in text: [UInt8], _ tokens: [YAMLToken]
  ) throws(YAMLPrinter.Refusal) -> [Comment] {
    var comments: [Comment] = []
    var end = 0
    for (number, token) in tokens.filter(\.isVisible).enumerated() {
      guard
        end <= token.range.lowerBound,
        let gap = YAMLGap(
          text[end..<token.range.lowerBound], startsLine: end == 0 || text[end - 1] == 0x0A,
          isLast: token.kind == .streamEnd)
      else { throw .unknown(offset: end) }
      if let comment = gap.trailing {
        comments.append(Comment(text: comment.words, tokensBefore: number, isTrailing: true))
      }
      for case .comment(let comment, _) in gap.lines {
        comments.append(Comment(text: comment.words, tokensBefore: number, isTrailing: false))
      }
      end = token.range.upperBound
    }
    return comments
  }
}

extension YAMLContent: Equatable {
  static func == (left: Self, right: Self) -> Bool {
    left.events == right.events && left.comments == right.comments && left.signs == right.signs
  }
}

extension ArraySlice<UInt8> {
  /// The bytes of a comment that are not blanks.
  fileprivate var words: [UInt8] { filter { !isBlank($0) } }
}

/// Returns the offset of the first NEL, LS or PS. libyaml ends a line there, and YAML 1.2 does not (section 5.4).
private func otherLineEnd(in bytes: [UInt8]) -> Int? {
  bytes.indices.first { index in
    switch bytes[index] {
    case 0xC2: bytes[index...].starts(with: [0xC2, 0x85])
    case 0xE2: bytes[index...].starts(with: [0xE2, 0x80, 0xA8]) || bytes[index...].starts(with: [0xE2, 0x80, 0xA9])
    default: false
    }
  }
}

/// Returns the text with `\n` in place of `\r\n` and `\r`.
private func withoutCarriageReturns(_ bytes: [UInt8]) -> [UInt8] {
  guard bytes.contains(0x0D) else { return bytes }
  var result: [UInt8] = []
  result.reserveCapacity(bytes.count)
  for (index, byte) in bytes.enumerated() {
    switch byte {
    case 0x0D: result.append(0x0A)
    case 0x0A where index > 0 && bytes[index - 1] == 0x0D: continue
    default: result.append(byte)
    }
  }
  return result
}
