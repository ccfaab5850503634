/// A piece of a YAML document: what it holds and where it stands.
package struct YAMLNode: Sendable {
  package enum Content: Sendable {
    case scalar(YAMLScalar)
    case sequence([YAMLNode])
    /// In the order of the text, duplicate keys included.
    case mapping([YAMLPair])
  }

  package var content: Content
  /// Where it begins; for an alias, where the alias stands.
  package var mark: SourceMark

  package init(_ content: Content, at mark: SourceMark) {
    self.content = content
    self.mark = mark
  }

  /// The scalar; nil for sequences and mappings.
  package var scalar: YAMLScalar? { if case .scalar(let scalar) = content { scalar } else { nil } }

  /// Whether it stands for "no value": nothing, `~` or `null`, unquoted.
  package var isNull: Bool { scalar?.isNull ?? false }

  /// What it is, for messages: `a list`, `the text 'x'`.
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

/// A scalar as it stands in the text: never turned into a number, a date or a truth value.
package struct YAMLScalar: Sendable, Hashable {
  package enum Style: Sendable { case plain, singleQuoted, doubleQuoted, literal, folded }

  /// Without quotes, escapes resolved.
  package var text: String
  package var style: Style

  package init(_ text: String, style: Style = .plain) {
    self.text = text
    self.style = style
  }

  package var isPlain: Bool { style == .plain }

  /// Nothing, `~` or `null`, unquoted (YAML 1.2, core schema).
  package var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(text) }
}

/// Bounds on what one text may ask of the reader.
package struct YAMLLimits: Sendable {
  package var bytes: Int
  /// Nesting, aliases followed.
  package var depth: Int
  /// Nodes of all documents, every alias counted as often as it is used.
  package var nodes: Int

  package init(bytes: Int = 1 << 20, depth: Int = 64, nodes: Int = 200_000) {
    self.bytes = bytes
    self.depth = depth
    self.nodes = nodes
  }

  package static let standard = YAMLLimits()
}
