/// A type of value: it defines in one place how a value is read from a node and how a JSON Schema describes it.
package struct ValueType<Value: Sendable>: Sendable {
  /// The JSON Schema of the value.
  package let schema: JSONValue
  /// Encodes a default for the schema; nil if the type has no defaults.
  let encode: (@Sendable (Value) -> JSONValue)?
  private let reader: @Sendable (YAMLNode, String, Diagnostics) -> Value?

  /// Creates a type.
  ///
  /// - Parameter read: takes the node, the value's name in messages (`'prune'`) and a report for errors. Returns nil
  ///   only after it has reported an error.
  package init(
    schema: JSONValue, encode: (@Sendable (Value) -> JSONValue)? = nil,
    read: @escaping @Sendable (YAMLNode, String, Diagnostics) -> Value?
  ) {
    self.schema = schema
    self.encode = encode
    self.reader = read
  }

  /// Reads a node; returns nil after it has reported an error.
  package func read(_ node: YAMLNode, as name: String, _ report: Diagnostics) -> Value? {
    reader(node, name, report)
  }

  /// The same type, with the location of the value.
  package var located: ValueType<Located<Value>> {
    var encodeLocated: (@Sendable (Located<Value>) -> JSONValue)?
    if let encode { encodeLocated = { encode($0.value) } }
    let reader = reader
    return ValueType<Located<Value>>(schema: schema, encode: encodeLocated) { node, name, report in
      guard let value = reader(node, name, report) else { return nil }
      return Located<Value>(value, at: node.mark)
    }
  }
}

/// A value and its location.
package struct Located<Value: Sendable>: Sendable {
  package var value: Value
  package var mark: SourceMark

  package init(_ value: Value, at mark: SourceMark) {
    self.value = value
    self.mark = mark
  }
}

extension ValueType where Value == YAMLNode {
  /// The type of any node, without reading it.
  package static var node: ValueType {
    ValueType(schema: .members([:])) { node, _, _ in node }
  }
}

extension ValueType {
  /// Returns the type of a value that is written as one scalar and read from its raw text. Quotes make no difference.
  ///
  /// - Parameters:
  ///   - expected: completes "must be": `a PCI address such as 0000:03:00.0`.
  ///   - explain: returns what is wrong with a refused text, if there is more to say than `expected`.
  ///   - parse: returns nil if the text is not such a value.
  package static func parsed(
    expected: String, schema: JSONValue, encode: (@Sendable (Value) -> JSONValue)? = nil,
    explain: @escaping @Sendable (String) -> (message: String, hint: String?)? = { _ in nil },
    parse: @escaping @Sendable (String) -> Value?
  ) -> ValueType {
    ValueType(schema: schema, encode: encode) { node, name, report in
      guard let scalar = scalar(node, name, expected: expected, report) else { return nil }
      if let value = parse(scalar.text) { return value }
      // Asked twice, but only for the errors that are shown.
      report.error(
        explain(scalar.text).map { "\(name): \($0.message)" } ?? "\(name) must be \(expected), not \(node.kind)",
        at: node.mark, hint: explain(scalar.text)?.hint)
      return nil
    }
  }

  /// Returns the scalar of a node; nil after an error if the node is no scalar or has no value.
  static func scalar(_ node: YAMLNode, _ name: String, expected: String, _ report: Diagnostics) -> YAMLScalar? {
    if reportTemplate(node, name, report) { return nil }
    guard let scalar = node.scalar, !scalar.isNull else {
      report.error("\(name) must be \(expected), not \(node.kind)", at: node.mark)
      return nil
    }
    if reportTypographicQuotes(scalar, name, at: node.mark, report) { return nil }
    return scalar
  }
}

extension ValueType where Value == String {
  /// A text that is not empty, as written: `no`, `0040` and `15e3` are texts.
  package static var text: ValueType {
    .parsed(
      expected: "a text", schema: .members(["type": .string("string"), "minLength": .number(1)]),
      encode: JSONValue.string
    ) { $0.isEmpty ? nil : $0 }
  }
}

extension ValueType where Value == Bool {
  /// `true` or `false`, unquoted. No other word is accepted.
  package static var boolean: ValueType {
    ValueType(schema: .members(["type": .string("boolean")]), encode: JSONValue.bool) { node, name, report in
      let expected = "true or false"
      guard let scalar = scalar(node, name, expected: expected, report) else { return nil }
      let meant: Bool? =
        switch scalar.text.lowercased() {
        case "true", "yes", "on", "y", "1": true
        case "false", "no", "off", "n", "0": false
        default: nil
        }
      if scalar.isPlain, let meant, scalar.text == String(meant) { return meant }
      report.error(
        "\(name) must be \(expected), not \(scalar.isPlain ? "" : "the text ")\(node.kind)", at: node.mark,
        hint: meant.map { "write \($0)\(scalar.isPlain ? "" : ", without quotes")" })
      return nil
    }
  }
}

extension ValueType where Value == Int {
  /// Returns the type of a decimal number in a range, unquoted and without prefixes: no octal, no hexadecimal, no
  /// `1_000`.
  ///
  /// - Parameter hint: what to write for a refused text, if there is more to say than about any number.
  package static func integer(
    _ range: ClosedRange<Int>, hint: @escaping @Sendable (String) -> String? = { _ in nil }
  ) -> ValueType {
    let schema: JSONValue = .members([
      "type": .string("integer"), "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound),
    ])
    return ValueType(schema: schema, encode: JSONValue.number) { node, name, report in
      let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
      guard let scalar = scalar(node, name, expected: expected, report) else { return nil }
      let number = Int(scalar.text)
      if scalar.isPlain, let number, String(number) == scalar.text, range.contains(number) { return number }
      let isQuoted = !scalar.isPlain && number != nil
      report.error(
        "\(name) must be \(expected), not \(isQuoted ? "the text " : "")\(node.kind)", at: node.mark,
        hint: isQuoted ? "write it without quotes" : hint(scalar.text) ?? numberHint(scalar.text, range))
      return nil
    }
  }
}

/// Returns what to write for a number in another notation: `0x10`, `0o20`, `5.0`, `+5`; nil if the notation has more than
/// one meaning, or the number is not in the range.
private func numberHint(_ text: String, _ range: ClosedRange<Int>) -> String? {
  let lower = text.lowercased()
  let number: Int? =
    if lower.hasPrefix("0x") {
      Int(lower.dropFirst(2), radix: 16)
    } else if lower.hasPrefix("0o") {
      Int(lower.dropFirst(2), radix: 8)
    } else if lower.hasSuffix(".0") {
      Int(lower.dropLast(2))
    } else if !lower.hasPrefix("0") {
      // A leading 0 is octal in YAML 1.1, and decimal in YAML 1.2.
      Int(lower)
    } else {
      nil
    }
  return number.flatMap { range.contains($0) ? "write \($0)" : nil }
}

extension ValueType where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  /// Returns the type of an enumeration's words.
  package static func choice(_ type: Value.Type = Value.self) -> ValueType {
    let words = Value.allCases.map(\.rawValue)
    let expected = words.count == 1 ? words.joined() : "one of " + words.joined(separator: ", ")
    let schema: JSONValue = .members(["enum": .array(words.map(JSONValue.string))])
    return ValueType(schema: schema, encode: { .string($0.rawValue) }) { node, name, report in
      guard let scalar = scalar(node, name, expected: expected, report) else { return nil }
      if let value = Value(rawValue: scalar.text) { return value }
      report.error(
        "\(name) must be \(expected), not \(node.kind)", at: node.mark, hint: didYouMean(scalar.text, among: words))
      return nil
    }
  }
}

extension ValueType where Value == Duration {
  /// A number with its unit: `500ms`, `10s`, `2m`, `1h`.
  package static var duration: ValueType {
    let schema: JSONValue = .members([
      "type": .string("string"), "pattern": .string("^[0-9]{1,9}(ms|s|m|h)$"),
    ])
    return .parsed(expected: "a duration such as 500ms, 10s or 2m", schema: schema) { text in
      let digits = text.prefix { $0.isASCII && $0.isNumber }
      guard (1...9).contains(digits.utf8.count), let number = Int(digits) else { return nil }
      switch text.dropFirst(digits.count) {
      case "ms": return .milliseconds(number)
      case "s": return .seconds(number)
      case "m": return .seconds(number * 60)
      case "h": return .seconds(number * 3600)
      default: return nil
      }
    }
  }
}

extension ValueType {
  /// Returns the type of a list. Elements with errors are reported and left out.
  package static func list<Element: Sendable>(of element: ValueType<Element>) -> ValueType
  where Value == [Element] {
    ValueType(schema: .members(["type": .string("array"), "items": element.schema])) { node, name, report in
      guard case .sequence(let nodes) = node.content else {
        if reportTemplate(node, name, report) { return nil }
        report.error(
          "\(name) must be a list, not \(node.kind)", at: node.mark,
          hint: node.isNull ? "write [] for an empty list" : entryHint(node))
        return nil
      }
      return nodes.compactMap { element.read($0, as: "an entry of \(name)", report) }
    }
  }
}

/// Returns the hint for a text in the place of a list, if the text begins with a `-` that has no space behind it, or with
/// a dash or a dot of a word processor.
private func entryHint(_ node: YAMLNode) -> String? {
  guard let scalar = node.scalar, scalar.isPlain, let first = scalar.text.first else { return nil }
  if first == "-" { return "a space is missing after '-'" }
  return "–—−•‐‑".contains(first) ? "begin each entry with a plain '-' and a space, not with '\(first)'" : nil
}
