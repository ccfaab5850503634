import CYAML

/// The events that libyaml reports while it reads a text.
enum YAMLEvent: Hashable {
  case documentStart
  case documentEnd
  case scalar(YAMLScalar)
  case sequenceStart
  case mappingStart
  /// The end of the innermost open sequence or mapping.
  case collectionEnd
  case alias(String)
}

/// A location as libyaml counts: from 0, the column in Unicode scalars.
struct YAMLPlace {
  var line: Int
  var column: Int
}

/// A syntax error that libyaml found.
struct YAMLSyntaxError {
  var problem: String
  var place: YAMLPlace
  /// What libyaml was reading when the error happened, and where that began.
  var context: String?
  var contextPlace: YAMLPlace
}

/// Calls `body` for each event of a text until `body` returns false. Returns the syntax error, if there is one.
///
/// - Parameter body: takes the event, its location, its anchor and its tag.
func forEachYAMLEvent(
  in bytes: [UInt8], _ body: (YAMLEvent, YAMLPlace, _ anchor: String?, _ tag: String?) -> Bool
) -> YAMLSyntaxError? {
  guard let parser = LibYAML() else {
    return YAMLSyntaxError(
      problem: "out of memory", place: YAMLPlace(line: 0, column: 0), contextPlace: YAMLPlace(line: 0, column: 0))
  }
  return parser.run(bytes, body)
}

/// Owns one libyaml parser, on the heap: the parser points into itself and must never move.
@safe struct LibYAML: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>

  /// Creates a parser; nil if memory ran out.
  init?() {
    let fresh = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    unsafe fresh.initialize(to: yaml_parser_t())
    guard unsafe yaml_parser_initialize(fresh) == 1 else {
      unsafe fresh.deallocate()
      return nil
    }
    unsafe parser = fresh
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  /// Reads the events. libyaml keeps the input's address, so everything happens while the bytes are lent.
  fileprivate consuming func run(
    _ bytes: [UInt8], _ body: (YAMLEvent, YAMLPlace, _ anchor: String?, _ tag: String?) -> Bool
  ) -> YAMLSyntaxError? {
    unsafe withInput(bytes) { parser -> YAMLSyntaxError? in
      while true {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) == 1 else { return unsafe Self.error(of: parser.pointee) }
        defer { unsafe yaml_event_delete(&event) }
        if unsafe event.type == YAML_STREAM_END_EVENT { return nil }
        guard let translated = unsafe Self.translate(event) else { continue }
        let place = unsafe YAMLPlace(event.start_mark)
        if !body(translated.event, place, translated.anchor, translated.tag) { return nil }
      }
    }
  }

  /// Lends the parser, with the bytes as its input.
  consuming func withInput<Result>(
    _ bytes: [UInt8], _ body: (UnsafeMutablePointer<yaml_parser_t>) -> Result
  ) -> Result {
    let parser = unsafe self.parser
    return unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
      unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
      return unsafe body(parser)
    }
  }

  /// Translates an event; returns nil for the start of the stream, which has no content.
  private static func translate(_ event: yaml_event_t) -> (event: YAMLEvent, anchor: String?, tag: String?)? {
    switch unsafe event.type {
    case YAML_DOCUMENT_START_EVENT: return (.documentStart, nil, nil)
    case YAML_DOCUMENT_END_EVENT: return (.documentEnd, nil, nil)
    case YAML_ALIAS_EVENT: return unsafe (.alias(text(event.data.alias.anchor) ?? ""), nil, nil)
    case YAML_SCALAR_EVENT:
      let data = unsafe event.data.scalar
      let bytes = unsafe UnsafeBufferPointer(start: data.value, count: data.length)
      let scalar = unsafe YAMLScalar(String(decoding: bytes, as: UTF8.self), style: style(data.style))
      return unsafe (.scalar(scalar), text(data.anchor), text(data.tag))
    case YAML_SEQUENCE_START_EVENT:
      let data = unsafe event.data.sequence_start
      return unsafe (.sequenceStart, text(data.anchor), text(data.tag))
    case YAML_MAPPING_START_EVENT:
      let data = unsafe event.data.mapping_start
      return unsafe (.mappingStart, text(data.anchor), text(data.tag))
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return (.collectionEnd, nil, nil)
    default: return nil
    }
  }

  static func style(_ style: yaml_scalar_style_t) -> YAMLScalar.Style {
    switch style {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
    case YAML_LITERAL_SCALAR_STYLE: .literal
    case YAML_FOLDED_SCALAR_STYLE: .folded
    default: .plain
    }
  }

  private static func error(of parser: yaml_parser_t) -> YAMLSyntaxError {
    unsafe YAMLSyntaxError(
      problem: parser.problem.map { unsafe String(cString: $0) } ?? "out of memory",
      place: YAMLPlace(parser.problem_mark),
      context: parser.context.map { unsafe String(cString: $0) },
      contextPlace: YAMLPlace(parser.context_mark))
  }

  private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
    unsafe pointer.map { unsafe String(cString: $0) }
  }
}

extension YAMLPlace {
  fileprivate init(_ mark: yaml_mark_t) {
    self.init(line: Int(clamping: mark.line), column: Int(clamping: mark.column))
  }
}
