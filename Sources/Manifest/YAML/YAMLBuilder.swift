/// Reads every document of a text.
///
/// Errors are reported. If the syntax is wrong, the documents before the first fault are returned, so that the same run
/// can report their own errors. The document with the fault is not returned.
///
/// - Returns: the documents' roots, without the empty documents that superfluous `---` lines make.
package func parseYAML(
  _ source: SourceText, limits: YAMLLimits = .standard, report: Diagnostics
) -> [YAMLNode] {
  guard source.bytes.count <= limits.bytes else {
    report.error(
      "the text is larger than \(limits.bytes) bytes", at: SourceMark(wholeOf: source),
      hint: "split it into several files")
    return []
  }
  guard isYAMLText(source, report) else { return [] }
  var builder = YAMLBuilder(source: source, limits: limits, report: report)
  if let fault = forEachYAMLEvent(in: withoutBlankTabs(source.bytes), { builder.take($0, at: $1, anchor: $2, tag: $3) })
  {
    builder.note(fault)
  }
  return builder.documents.filter { !$0.isNull }
}

/// Builds nodes from events, within limits.
private struct YAMLBuilder {
  let source: SourceText
  let limits: YAMLLimits
  let report: Diagnostics
  var documents: [YAMLNode] = []

  /// A finished node with the cost of using it through an alias.
  private struct Measured {
    var node: YAMLNode
    var size: Int
    var height: Int
  }

  /// A sequence or mapping whose end has not come. The children of a mapping are its keys and values in turn.
  private struct Frame {
    var isMapping: Bool
    var mark: SourceMark
    var anchor: String?
    var children: [YAMLNode] = []
    var size = 1
    var height = 0
  }

  private var frames: [Frame] = []
  private var anchors: [String: Measured] = [:]
  private var nodeCount = 0

  init(source: SourceText, limits: YAMLLimits, report: Diagnostics) {
    self.source = source
    self.limits = limits
    self.report = report
  }

  /// Processes an event; returns whether to continue.
  mutating func take(_ event: YAMLEvent, at place: YAMLPlace, anchor: String?, tag: String?) -> Bool {
    let mark = SourceMark(place, in: source)
    let event = tagged(event, tag, at: mark)
    switch event {
    case .documentStart:
      anchors.removeAll()
      return true
    case .documentEnd:
      return true
    case .scalar(let scalar):
      // An alias to a long text is short, and whoever reads the text reads all of it each time.
      let size = 1 + scalar.text.utf8.count / 64
      guard count(size, at: mark) else { return false }
      return add(Measured(node: YAMLNode(.scalar(scalar), at: mark), size: size, height: 0), anchor: anchor)
    case .sequenceStart, .mappingStart:
      guard count(1, at: mark), hasDepth(for: 1, at: mark) else { return false }
      var isMapping = false
      if case .mappingStart = event { isMapping = true }
      frames.append(Frame(isMapping: isMapping, mark: mark, anchor: anchor))
      return true
    case .collectionEnd:
      guard let frame = frames.popLast() else { return false }
      let node = YAMLNode(frame.isMapping ? mapping(frame.children) : .sequence(frame.children), at: frame.mark)
      return add(Measured(node: node, size: frame.size, height: frame.height + 1), anchor: frame.anchor)
    case .alias(let name):
      return addAlias(name, at: mark)
    }
  }

  private mutating func addAlias(_ name: String, at mark: SourceMark) -> Bool {
    if let open = frames.first(where: { $0.anchor == name }) {
      report.error(
        "the alias *\(name) is inside the value that it repeats", at: mark,
        notes: [.init("&\(name) begins", at: open.mark)])
      return false
    }
    guard var target = anchors[name] else {
      report.error(
        "the alias *\(name) has no anchor: there is no &\(name) before it", at: mark,
        hint: didYouMean(name, among: anchors.keys.sorted()))
      return false
    }
    guard count(target.size, at: mark), hasDepth(for: target.height, at: mark) else { return false }
    target.node.mark = mark
    return add(target, anchor: nil)
  }

  private mutating func add(_ measured: Measured, anchor: String?) -> Bool {
    if let anchor { anchors[anchor] = measured }
    guard !frames.isEmpty else {
      documents.append(measured.node)
      return true
    }
    frames[frames.count - 1].children.append(measured.node)
    frames[frames.count - 1].size += measured.size
    frames[frames.count - 1].height = max(frames[frames.count - 1].height, measured.height)
    return true
  }

  private func mapping(_ children: [YAMLNode]) -> YAMLNode.Content {
    var pairs: [YAMLPair] = []
    pairs.reserveCapacity(children.count / 2)
    for index in stride(from: 0, to: children.count - 1, by: 2) {
      let key = children[index]
      if let scalar = key.scalar, scalar.isPlain, scalar.text == "<<" {
        report.error(
          "the merge key '<<' is not supported", at: key.mark, hint: "write the keys out where they are needed")
        continue
      }
      pairs.append(YAMLPair(key: key, value: children[index + 1]))
    }
    return .mapping(pairs)
  }

  /// Returns the event as its tag has it: `!!str true` is a text, and `!!int "4"` is not. Reports other tags, and tags of
  /// another kind of node; no code here reads them.
  private func tagged(_ event: YAMLEvent, _ tag: String?, at mark: SourceMark) -> YAMLEvent {
    guard let tag else { return event }
    let prefix = "tag:yaml.org,2002:"
    switch (event, tag.hasPrefix(prefix) ? String(tag.dropFirst(prefix.count)) : tag) {
    case (.scalar(var scalar), "str"), (.scalar(var scalar), "!"):
      if scalar.isPlain { scalar.style = .doubleQuoted }
      return .scalar(scalar)
    case (.scalar(var scalar), "int"), (.scalar(var scalar), "bool"), (.scalar(var scalar), "float"),
      (.scalar(var scalar), "null"):
      scalar.style = .plain
      return .scalar(scalar)
    case (.sequenceStart, "seq"), (.sequenceStart, "!"), (.mappingStart, "map"), (.mappingStart, "!"): return event
    case (_, "str"), (_, "int"), (_, "bool"), (_, "float"), (_, "null"), (_, "seq"), (_, "map"):
      report.error("the tag \(quoted(tag)) does not fit the value", at: mark, hint: "delete it")
    case (_, let name):
      let words = name.lowercased()
      let isSecret = ["vault", "crypt", "secret", "sops", "gpg"].contains { words.contains($0) }
      report.error(
        "the tag \(quoted(tag)) is not supported", at: mark,
        hint: isSecret
          ? "decrypt the value before Berth reads it; without the tag, the cipher text is left"
          : "write the value that the tag stands for")
    }
    return event
  }

  private mutating func count(_ more: Int, at mark: SourceMark) -> Bool {
    // Each number is at most the limit before the addition, so the sum cannot overflow.
    nodeCount += more
    guard nodeCount > limits.nodes else { return true }
    report.error(
      "more than \(limits.nodes) values; what an alias repeats counts each time", at: mark,
      hint: "split the text into several files, or use fewer aliases")
    return false
  }

  private func hasDepth(for height: Int, at mark: SourceMark) -> Bool {
    guard frames.count + height > limits.depth else { return true }
    report.error("values are nested more than \(limits.depth) levels deep", at: mark)
    return false
  }

  /// Reports libyaml's error, in words that lead to the cause.
  func note(_ fault: YAMLSyntaxError) {
    let mark = SourceMark(fault.place, in: source)
    var notes: [Diagnostic.Note] = []
    if let context = fault.context, fault.contextPlace.line != fault.place.line {
      notes.append(.init(context, at: SourceMark(fault.contextPlace, in: source)))
    }
    let character = source.character(at: mark)
    if let slip = Slip(fault.problem, at: mark, context: SourceMark(fault.contextPlace, in: source)) {
      report.error(slip.message, at: slip.mark, hint: slip.hint)
      return
    }
    switch fault.problem {
    case _ where character == "\t" && (fault.problem.contains("tab") || fault.problem.contains("cannot start")):
      report.error("a tab is used for indentation", at: mark, hint: "YAML allows only spaces here")
    case "found character that cannot start any token":
      report.error(
        "a value cannot begin with \(quoted(character.map(String.init) ?? ""))", at: mark,
        hint: "put the value in quotes")
    case "mapping values are not allowed in this context":
      report.error(
        "a key and its value are not allowed here", at: mark, notes: notes,
        hint: "check the indentation; a text that contains ': ' needs quotes")
    case "could not find expected ':'":
      report.error("a ':' is missing after this key", at: SourceMark(fault.contextPlace, in: source))
    case "did not find expected key", "did not find expected '-' indicator":
      report.error(
        "\(fault.problem)", at: mark, notes: notes, hint: "check the indentation, and brackets or quotes left open")
    case "did not find expected node content":
      report.error("a value was expected here", at: mark, notes: notes)
    case "did not find expected ',' or ']'", "did not find expected ',' or '}'":
      let wanted = fault.problem.hasSuffix("']'") ? "',' or ']'" : "',' or '}'"
      report.error("\(wanted) was expected here", at: mark, notes: notes)
    case "found unexpected end of stream" where fault.context == "while scanning a quoted scalar":
      report.error(
        "the text ends inside quotes", at: mark,
        notes: [.init("they begin", at: SourceMark(fault.contextPlace, in: source))])
    default:
      report.error(fault.problem, at: mark, notes: notes)
    }
  }
}

extension SourceMark {
  fileprivate init(_ place: YAMLPlace, in source: SourceText) {
    self.init(source: source, line: place.line + 1, column: place.column + 1)
  }
}
