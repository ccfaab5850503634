/// The collections that are open at a place of a text, with the columns that their lines begin at.
struct YAMLLevels {
  /// The columns by which each level is indented.
  static let step = 2

  /// A collection in block style.
  struct Level {
    var isSequence: Bool
    /// Whether the sequence begins at the column of the key above it, where libyaml reports no beginning of its own.
    var isIndentless = false
    /// The column of its lines in the text as it was.
    var original: Int
    /// The column of its lines in the formatted text.
    var column: Int
  }

  private(set) var open: [Level] = []
  /// The number of open brackets.
  private var brackets = 0
  /// Whether the next token with text begins a key.
  private var expectsKey = false

  /// The column of a value on a line of its own.
  private var valueColumn: Int { open.last.map { $0.column + Self.step } ?? 0 }

  /// The column of the further lines of a scalar. At column 0, a line could be taken for the end of a document.
  var continuationColumn: Int { max(Self.step, valueColumn + Self.step * brackets) }

  /// The column of a comment between brackets; nil if no bracket is open.
  var commentColumn: Int? { brackets > 0 ? valueColumn + Self.step * brackets : nil }

  /// Takes a token into account before its text is written.
  mutating func begin(_ token: YAMLToken) {
    switch token.kind {
    case .blockSequence, .blockMapping:
      open.append(
        Level(isSequence: token.kind == .blockSequence, original: token.column, column: valueColumn))
    case .blockEnd:
      endIndentless()
      _ = open.popLast()
    case .key:
      if brackets == 0 { endIndentless() }
      expectsKey = token.range.isEmpty
    case .value where brackets == 0: endIndentless()
    case .blockEntry:
      guard let top = open.last, !top.isSequence else { break }
      open.append(Level(isSequence: true, isIndentless: true, original: top.original, column: valueColumn))
    default: break
    }
  }

  /// Takes a token into account after its text was written.
  mutating func end(_ token: YAMLToken) {
    switch token.kind {
    case .flowStart: brackets += 1
    case .flowEnd: brackets = max(0, brackets - 1)
    default: break
    }
    if token.isVisible { expectsKey = false }
  }

  private mutating func endIndentless() {
    if open.last?.isIndentless == true { open.removeLast() }
  }

  /// Returns the column of a line that begins with this token.
  func column(of token: YAMLToken) -> Int {
    switch token.kind {
    case .directive, .documentStart, .documentEnd, .streamEnd: return 0
    case .flowEnd: return valueColumn + Self.step * max(0, brackets - 1)
    case _ where brackets > 0: return valueColumn + Self.step * brackets
    case .blockEntry, .key, .value: return open.last?.column ?? 0
    default: return expectsKey ? open.last?.column ?? 0 : valueColumn
    }
  }

  /// Returns the column of a comment's line between a collection that ends here and the line after it, which begins at
  /// column `next`. Nil if the comment is not indented more than that line: then it belongs to that line.
  func column(ofCommentAt column: Int, before next: Int) -> Int? {
    guard column > next else { return nil }
    return open.last { $0.original <= column && $0.original > next }?.column
  }
}
