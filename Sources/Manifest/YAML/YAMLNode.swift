/// A part of a YAML document: its content and its location.
package struct YAMLNode: Sendable {
  package enum Content: Sendable {
    case scalar(YAMLScalar)
    case sequence([YAMLNode])
    /// The pairs in the order of the text, including duplicate keys.
    case mapping([YAMLPair])
  }

  package var content: Content
  /// The location where the node begins; for an alias, the location of the alias.
  package var mark: SourceMark

  package init(_ content: Content, at mark: SourceMark) {
    self.content = content
    self.mark = mark
  }

  /// The scalar; nil for sequences and mappings.
  package var scalar: YAMLScalar? { if case .scalar(let scalar) = content { scalar } else { nil } }

  /// Whether the node means "no value": empty, `~` or `null`, unquoted.
  package var isNull: Bool { scalar?.isNull ?? false }

  /// The node's kind, for messages: `a list`, `the text 'x'`.
  package var kind: String {
    switch content {
    case .scalar(let scalar): scalar.isNull ? "nothing" : quoted(scalar.text)
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}

/// A key and its value.
package struct YAMLPair: Sendable {
  package var key: YAMLNode
  package var value: YAMLNode

  package init(key: YAMLNode, value: YAMLNode) {
    self.key = key
    self.value = value
  }
}

/// A scalar as written in the text. It is never turned into a number, a date or a truth value.
package struct YAMLScalar: Sendable, Hashable {
  package enum Style: Sendable { case plain, singleQuoted, doubleQuoted, literal, folded }

  /// The text without quotes, with escapes resolved.
  package var text: String
  package var style: Style

  package init(_ text: String, style: Style = .plain) {
    self.text = text
    self.style = style
  }

  package var isPlain: Bool { style == .plain }

  /// Whether the scalar is empty, `~` or `null`, unquoted (YAML 1.2, core schema).
  package var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(text) }
}

/// Limits on what one text may demand of the reader.
package struct YAMLLimits: Sendable {
  package var bytes: Int
  /// The depth of nesting, including what aliases repeat.
  package var depth: Int
  /// The number of nodes of all documents. An alias counts each time it is used, and a long text once more for each 64
  /// bytes.
  package var nodes: Int
  /// The number of lines that begin with `%`, and the length of each.
  static let directives = 16
  static let directiveBytes = 256

  package init(bytes: Int = 1 << 20, depth: Int = 64, nodes: Int = 200_000) {
    self.bytes = bytes
    self.depth = depth
    self.nodes = nodes
  }

  package static let standard = YAMLLimits()
}
