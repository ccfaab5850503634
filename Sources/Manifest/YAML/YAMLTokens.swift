import CYAML

/// A part of a text as libyaml's scanner sees it: an indicator, an anchor, a scalar. Blanks and comments are between tokens.
struct YAMLToken {
  enum Kind: Hashable {
    case directive, documentStart, documentEnd
    /// The beginning of a sequence or mapping in block style, which has no text of its own, and the end of one.
    case blockSequence, blockMapping, blockEnd
    /// `[` or `{`, and the end of either.
    case flowStart, flowEnd
    /// `-`, and the comma.
    case blockEntry, flowEntry
    /// `?`, or the beginning of a key without one.
    case key
    /// `:`.
    case value
    case alias, anchor, tag
    case scalar(YAMLScalar.Style)
    case streamEnd
  }

  var kind: Kind
  /// Where the token's text is; empty for a token without text.
  var range: Range<Int>
  /// The column where the token begins, from 0.
  var column: Int

  /// Whether the token has text, or ends the text as a whole.
  var isVisible: Bool { !range.isEmpty || kind == .streamEnd }
}

/// Returns the tokens of a text, with the end of the text as the last one. Returns nil if libyaml finds an error.
///
/// A reader within limits must have read the text, because this function has none.
func yamlTokens(in bytes: [UInt8]) -> [YAMLToken]? {
  guard let parser = LibYAML() else { return nil }
  return unsafe parser.withInput(bytes) { parser -> [YAMLToken]? in
    var tokens: [YAMLToken] = []
    var offsets = OffsetCounter(bytes)
    while true {
      var token = unsafe yaml_token_t()
      guard unsafe yaml_parser_scan(parser, &token) == 1 else { return nil }
      defer { unsafe yaml_token_delete(&token) }
      guard let kind = unsafe YAMLToken.Kind(token) else { continue }
      let start = unsafe offsets.offset(of: Int(clamping: token.start_mark.index))
      let end = unsafe kind.hasText ? offsets.offset(of: Int(clamping: token.end_mark.index)) : start
      guard start <= end else { return nil }
      let column = unsafe Int(clamping: token.start_mark.column)
      tokens.append(YAMLToken(kind: kind, range: start..<end, column: column))
      if kind == .streamEnd { return tokens }
    }
  }
}

extension YAMLToken.Kind {
  /// Whether the marks of such a token enclose its text. libyaml gives a beginning in block style the mark of what
  /// follows.
  fileprivate var hasText: Bool {
    switch self {
    case .blockSequence, .blockMapping, .blockEnd, .streamEnd: false
    default: true
    }
  }

  /// Makes the kind of a token; nil for the start of the text.
  fileprivate init?(_ token: yaml_token_t) {
    switch unsafe token.type {
    case YAML_VERSION_DIRECTIVE_TOKEN, YAML_TAG_DIRECTIVE_TOKEN: self = .directive
    case YAML_DOCUMENT_START_TOKEN: self = .documentStart
    case YAML_DOCUMENT_END_TOKEN: self = .documentEnd
    case YAML_BLOCK_SEQUENCE_START_TOKEN: self = .blockSequence
    case YAML_BLOCK_MAPPING_START_TOKEN: self = .blockMapping
    case YAML_BLOCK_END_TOKEN: self = .blockEnd
    case YAML_FLOW_SEQUENCE_START_TOKEN, YAML_FLOW_MAPPING_START_TOKEN: self = .flowStart
    case YAML_FLOW_SEQUENCE_END_TOKEN, YAML_FLOW_MAPPING_END_TOKEN: self = .flowEnd
    case YAML_BLOCK_ENTRY_TOKEN: self = .blockEntry
    case YAML_FLOW_ENTRY_TOKEN: self = .flowEntry
    case YAML_KEY_TOKEN: self = .key
    case YAML_VALUE_TOKEN: self = .value
    case YAML_ALIAS_TOKEN: self = .alias
    case YAML_ANCHOR_TOKEN: self = .anchor
    case YAML_TAG_TOKEN: self = .tag
    case YAML_SCALAR_TOKEN: self = unsafe .scalar(LibYAML.style(token.data.scalar.style))
    case YAML_STREAM_END_TOKEN: self = .streamEnd
    default: return nil
    }
  }
}

/// Finds the offsets of characters that are asked for almost in order.
private struct OffsetCounter {
  private let bytes: [UInt8]
  private var number = 0
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Returns the offset of a character, counted from 0; the text's end if there are fewer.
  mutating func offset(of wanted: Int) -> Int {
    while number < wanted, offset < bytes.count {
      repeat { offset += 1 } while offset < bytes.count && isUTF8Continuation(bytes[offset])
      number += 1
    }
    while number > wanted, offset > 0 {
      repeat { offset -= 1 } while offset > 0 && isUTF8Continuation(bytes[offset])
      number -= 1
    }
    return offset
  }
}
