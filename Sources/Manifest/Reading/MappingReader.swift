/// Reads a mapping key by key, and reports every key it was not asked for.
///
/// ```
/// guard var reader = MappingReader(node, "a domain", report) else { return nil }
/// let name = reader.required("name", .text)
/// let slot = reader.optional("slot", .integer(1...31))
/// reader.finish()
/// ```
package struct MappingReader {
  /// How messages name the mapping: `a domain`, `'policy'`.
  package let name: String
  package let node: YAMLNode
  package let report: Diagnostics
  private let entries: [MappingEntry]
  /// By key, so that a lookup does not depend on the mapping's size.
  private let values: [String: YAMLNode]
  private var asked: [String] = []
  /// The keys that will be asked for, where that is known beforehand.
  private let keys: [String]

  /// Begins to read a mapping, and reports its duplicate keys; nil after an error, where the node is none.
  ///
  /// - Parameter keys: the keys that will be asked for. Where they are given, a misspelt required key gets one error
  ///   and not two.
  package init?(_ node: YAMLNode, _ name: String, _ report: Diagnostics, keys: [String] = []) {
    self.keys = keys
    guard let entries = mappingEntries(node, name, report) else { return nil }
    self.name = name
    self.node = node
    self.report = report
    self.entries = entries
    values = Dictionary(entries.map { ($0.key, $0.value) }) { first, _ in first }
  }

  /// Whether the mapping has the key.
  package func has(_ key: String) -> Bool { values[key] != nil }

  /// Where a key's value stands; nil where there is none.
  package func mark(ofValueAt key: String) -> SourceMark? { values[key]?.mark }

  /// The value of a key that may be absent; nil where it is, or after an error.
  package mutating func optional<Value>(_ key: String, _ type: ValueType<Value>) -> Value? {
    asked.append(key)
    return values[key].flatMap { type.read($0, as: "'\(key)'", report) }
  }

  /// The value of a key that must be there; nil after an error.
  package mutating func required<Value>(_ key: String, _ type: ValueType<Value>) -> Value? {
    if !has(key), !isProbablyMisspelt([key]) {
      report.error("\(name) needs the key '\(key)'", at: node.mark)
    }
    return optional(key, type)
  }

  /// The value of a key from a table: its default where it is absent; nil after an error, or where it has no default.
  package mutating func value<Value>(_ key: Key<Value>) -> Value? {
    guard let node = values[key.name] else {
      if key.isRequired { return required(key.name, key.type) }
      asked.append(key.name)
      return key.defaultValue
    }
    let value = optional(key.name, key.type)
    if !key.isSupported {
      let place = entries.first { $0.key == key.name }?.mark ?? node.mark
      report.error("\(name): '\(key.name)' is not supported yet", at: place, hint: key.instead)
      return nil
    }
    return value
  }

  /// Reports the keys that were not asked for.
  ///
  /// - Parameter hints: for keys that belong elsewhere, where that is.
  package func finish(hints: [String: String] = [:]) {
    for entry in entries where !asked.contains(entry.key) {
      let free = asked.filter { !has($0) }
      report.error(
        "\(name) has no key \(quoted(entry.key))", at: entry.mark,
        hint: hints[entry.key] ?? didYouMean(entry.key, among: free)
          ?? "it may have " + (keys.isEmpty ? asked : keys).joined(separator: ", "))
    }
  }

  /// Whether each of the keys was asked for once, and no other.
  func hasAsked(exactly keys: [String]) -> Bool { asked.sorted() == keys.sorted() }

  /// Whether `finish()` will report an unknown key and suggest one of these in its place.
  package func isProbablyMisspelt(_ missing: [String]) -> Bool {
    guard !keys.isEmpty else { return false }
    let free = keys.filter { !has($0) }
    return entries.contains { entry in
      !keys.contains(entry.key) && closest(to: entry.key, among: free).map(missing.contains) ?? false
    }
  }
}

/// One entry of a mapping.
package struct MappingEntry: Sendable {
  package var key: String
  /// Of the key.
  package var mark: SourceMark
  package var value: YAMLNode
}

/// The entries of a mapping, in order; nil after an error, where the node is none.
///
/// Reported and left out: keys that are no plain text, and every key's second appearance.
///
/// - Parameter hint: what to write where nothing stands.
package func mappingEntries(
  _ node: YAMLNode, _ name: String, _ report: Diagnostics, hint: String? = nil
) -> [MappingEntry]? {
  guard case .mapping(let pairs) = node.content else {
    report.error(
      "\(name) must be a mapping of keys to values, not \(node.kind)", at: node.mark,
      hint: node.isNull ? hint : nil)
    return nil
  }
  var first: [String: SourceMark] = [:]
  var entries: [MappingEntry] = []
  entries.reserveCapacity(pairs.count)
  for pair in pairs {
    guard let scalar = pair.key.scalar, !scalar.text.isEmpty else {
      report.error("a key of \(name) must be a text, not \(pair.key.kind)", at: pair.key.mark)
      continue
    }
    if let earlier = first[scalar.text] {
      report.error(
        "\(name) has the key \(quoted(scalar.text)) twice", at: pair.key.mark, notes: [.init("first", at: earlier)])
      continue
    }
    first[scalar.text] = pair.key.mark
    entries.append(MappingEntry(key: scalar.text, mark: pair.key.mark, value: pair.value))
  }
  return entries
}
