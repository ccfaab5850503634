import Model

/// Reads a mapping key by key, and reports every key that no call asked for.
///
/// ```
/// guard var reader = MappingReader(node, "a domain", report) else { return nil }
/// let name = reader.required("name", .text)
/// let slot = reader.optional("slot", .integer(1...31))
/// reader.finish()
/// ```
package struct MappingReader {
  /// The mapping's name in messages: `a domain`, `'policy'`.
  package let name: String
  package let node: YAMLNode
  package let report: Diagnostics
  private let entries: [MappingEntry]
  /// The values by key, so that the time of a lookup does not depend on the mapping's size.
  private let values: [Name: YAMLNode]
  private var asked: [String] = []
  /// The keys that calls will ask for, if they are known beforehand.
  private let keys: [String]

  /// Creates a reader and reports duplicate keys. Returns nil after an error if the node is not a mapping.
  ///
  /// - Parameter keys: the keys that calls will ask for. If they are given, a misspelt required key causes one error
  ///   instead of two.
  package init?(_ node: YAMLNode, _ name: String, _ report: Diagnostics, keys: [String] = []) {
    self.keys = keys
    guard let entries = mappingEntries(node, name, report) else { return nil }
    self.name = name
    self.node = node
    self.report = report
    self.entries = entries
    values = Dictionary(entries.map { (Name($0.key), $0.value) }) { first, _ in first }
  }

  /// Returns whether the mapping has the key.
  package func has(_ key: String) -> Bool { values[Name(key)] != nil }

  /// Returns the location of a key's value; nil if there is none.
  package func mark(ofValueAt key: String) -> SourceMark? { values[Name(key)]?.mark }

  /// Returns the value of an optional key; nil if the key is absent, or after an error.
  package mutating func optional<Value>(_ key: String, _ type: ValueType<Value>) -> Value? {
    asked.append(key)
    return values[Name(key)].flatMap { type.read($0, as: "'\(key)'", report) }
  }

  /// Returns the value of a required key; nil after an error.
  package mutating func required<Value>(_ key: String, _ type: ValueType<Value>) -> Value? {
    if !has(key), !isProbablyMisspelt([key]) {
      report.error("\(name) needs the key '\(key)'", at: node.mark)
    }
    return optional(key, type)
  }

  /// Returns the value of a key from a table, or its default if the key is absent. Returns nil after an error, or if
  /// there is no default.
  package mutating func value<Value>(_ key: Key<Value>) -> Value? {
    guard let node = values[Name(key.name)] else {
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

  /// Reports the keys that no call asked for.
  ///
  /// - Parameter hints: for keys that belong in another place, that place.
  package func finish(hints: [String: String] = [:]) {
    let known = Set(asked.map { Name($0) })
    for entry in entries where !known.contains(Name(entry.key)) {
      report.error(
        "\(name) has no key \(quoted(entry.key))", at: entry.mark,
        hint: hints[entry.key] ?? didYouMean(entry.key, among: asked.filter { !has($0) })
          ?? "it may have " + (keys.isEmpty ? asked : keys).joined(separator: ", "))
    }
  }

  /// Returns whether calls asked for each of the keys once, and for no other key.
  func hasAsked(exactly keys: [String]) -> Bool { asked.sorted() == keys.sorted() }

  /// Returns whether `finish()` will show an unknown key and suggest one of these instead.
  ///
  /// Only the first unknown keys are shown, so only they are compared.
  package func isProbablyMisspelt(_ missing: [String]) -> Bool {
    guard !keys.isEmpty, report.composesErrors else { return false }
    let free = keys.filter { !has($0) }
    return entries.lazy.filter { entry in !keys.contains { Name($0) == Name(entry.key) } }.prefix(report.limit)
      .contains { closest(to: $0.key, among: free).map(missing.contains) ?? false }
  }
}

/// One entry of a mapping.
package struct MappingEntry: Sendable {
  package var key: String
  /// The key's location.
  package var mark: SourceMark
  package var value: YAMLNode
}

/// Returns the entries of a mapping, in order; nil after an error if the node is not a mapping.
///
/// Two kinds of keys are reported and left out: keys that are not plain text, and repeated keys.
///
/// - Parameter hint: what to write if the node is empty.
package func mappingEntries(
  _ node: YAMLNode, _ name: String, _ report: Diagnostics, hint: String? = nil
) -> [MappingEntry]? {
  if reportTemplate(node, name, report) { return nil }
  guard case .mapping(let pairs) = node.content else {
    report.error(
      "\(name) must be a mapping of keys to values, not \(node.kind)", at: node.mark,
      hint: node.isNull ? hint : nil)
    return nil
  }
  var first: [Name: SourceMark] = [:]
  var entries: [MappingEntry] = []
  entries.reserveCapacity(pairs.count)
  for pair in pairs {
    guard let scalar = pair.key.scalar, !scalar.text.isEmpty else {
      if reportTemplate(pair.key, "a key of \(name)", report) { continue }
      report.error("a key of \(name) must be a text, not \(pair.key.kind)", at: pair.key.mark)
      continue
    }
    if reportTypographicQuotes(scalar, "a key of \(name)", at: pair.key.mark, report) { continue }
    let key = Name(scalar.text)
    if let earlier = first[key] {
      report.error(
        "\(name) has the key \(quoted(scalar.text)) twice", at: pair.key.mark, notes: [.init("first", at: earlier)])
      continue
    }
    first[key] = pair.key.mark
    entries.append(MappingEntry(key: scalar.text, mark: pair.key.mark, value: pair.value))
  }
  return entries
}
