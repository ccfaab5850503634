package import Model

/// A value with the name that the text gives it, such as a domain.
package struct Named<Value: Sendable>: Sendable {
  package var name: Located<Name>
  package var value: Value

  package init(name: Located<Name>, value: Value) {
    self.name = name
    self.value = value
  }
}

extension ValueType {
  /// Returns the type of a mapping with a fixed table of keys, which schema and reader share.
  ///
  /// - Parameters:
  ///   - hints: for keys that people write here and that belong in another place, that place.
  ///   - also: additions to the schema.
  ///   - build: takes every key of the table from the reader, each once.
  package static func object(
    _ summary: String, keys: [KeyInfo], hints: [String: String] = [:], also: KeyValuePairs<String, JSONValue> = [:],
    build: @escaping @Sendable (inout MappingReader) -> Value?
  ) -> ValueType {
    ValueType(schema: JSONValue.schema(of: keys, summary: summary).adding(also)) { node, name, report in
      guard var reader = MappingReader(node, name, report, keys: keys.map(\.name)) else { return nil }
      let value = build(&reader)
      reader.finish(hints: hints)
      assert(reader.hasAsked(exactly: keys.map(\.name)), "the table of \(name) and its reader differ")
      return value
    }
  }

  /// Returns the type of a mapping whose keys are names that the text chooses. Entries with errors are reported and
  /// left out.
  ///
  /// - Parameters:
  ///   - what: the name of an entry in messages: `domain`.
  ///   - key: the type of a name.
  package static func map<Element: Sendable>(
    _ what: String, key: ValueType<String>, of element: ValueType<Element>
  ) -> ValueType where Value == [Named<Element>] {
    let schema: JSONValue = .members([
      "type": .string("object"), "propertyNames": key.schema, "additionalProperties": element.schema,
    ])
    return ValueType(schema: schema) { node, name, report in
      guard let entries = mappingEntries(node, name, report, hint: "write {} for none") else { return nil }
      return entries.compactMap { entry in
        // A key is a text, even `null`, as if it were quoted.
        let keyNode = YAMLNode(.scalar(YAMLScalar(entry.key, style: .doubleQuoted)), at: entry.mark)
        let read = key.read(keyNode, as: "the name of a \(what)", report)
        let value = element.read(entry.value, as: "\(what) \(quoted(entry.key))", report)
        guard let read, let value else { return nil }
        return Named(name: Located(Name(read), at: entry.mark), value: value)
      }
    }
  }
}
