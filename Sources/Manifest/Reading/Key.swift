/// One key of a mapping: what the reader accepts, and what the schema and the manual say about it.
package struct Key<Value: Sendable>: Sendable {
  package let name: String
  package let type: ValueType<Value>
  /// One sentence for people.
  package let summary: String
  package let isRequired: Bool
  package let defaultValue: Value?
  /// False for a key whose format is fixed but whose function does not exist yet: it is read, then refused.
  package let isSupported: Bool
  /// A suggestion to use instead of an unsupported key.
  package let instead: String?
  /// The release that introduced the key.
  package let since: String

  package init(
    _ name: String, _ type: ValueType<Value>, _ summary: String, isRequired: Bool = false, default value: Value? = nil,
    isSupported: Bool = true, instead: String? = nil, since: String = "0.1"
  ) {
    self.name = name
    self.type = type
    self.summary = summary
    self.isRequired = isRequired
    self.defaultValue = value
    self.isSupported = isSupported
    self.instead = instead
    self.since = since
  }

  /// The key without its value's Swift type.
  package var info: KeyInfo { info(default: defaultValue.flatMap { value in type.encode.map { $0(value) } }) }

  /// Returns the key without its value's Swift type, with a default that other code decides.
  package func info(default value: JSONValue?) -> KeyInfo {
    KeyInfo(
      name: name, summary: summary, schema: type.schema, isRequired: isRequired, defaultValue: value,
      isSupported: isSupported, since: since)
  }
}

/// The facts about a key that the schema and the manual need.
package struct KeyInfo: Sendable {
  package let name: String
  package let summary: String
  package let schema: JSONValue
  package let isRequired: Bool
  package let defaultValue: JSONValue?
  package let isSupported: Bool
  package let since: String
}

extension JSONValue {
  /// Returns the schema of a mapping that has these keys and no others.
  package static func schema(of keys: [KeyInfo], summary: String) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init(key: "type", value: .string("object")), .init(key: "description", value: .string(summary)),
      .init(key: "additionalProperties", value: .bool(false)),
    ]
    let required = keys.filter(\.isRequired).map { JSONValue.string($0.name) }
    if !required.isEmpty { members.append(.init(key: "required", value: .array(required))) }
    let properties = keys.map { JSONValue.Member(key: $0.name, value: $0.described) }
    members.append(.init(key: "properties", value: .object(properties)))
    return .object(members)
  }
}

extension KeyInfo {
  /// The value's schema with summary, default and release. As in the reader, an unsupported key accepts no value.
  fileprivate var described: JSONValue {
    guard isSupported else {
      return .members(["description": .string(summary + " Not supported yet."), "not": .members([:])])
    }
    var result = schema
    if result["description"] == nil { result = result.adding(["description": .string(summary)]) }
    if let defaultValue { result = result.adding(["default": defaultValue]) }
    return result.adding(["$comment": .string("since \(since)")])
  }
}
