import FoundationEssentials

/// A JSON value as a whole, for tests that look at what Berth writes.
package indirect enum JSON: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  /// A number that is no `Int`.
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// Reads JSON text. Throws what the decoder throws, if the text is not one JSON value.
  package init(text: String) throws {
    self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
  }

  /// Returns the value of an object's key; nil if the value is no object or lacks the key.
  package subscript(key: String) -> JSON? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  /// The text, if the value is a string.
  package var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The strings among the elements, if the value is an array.
  package var strings: [String]? { if case .array(let values) = self { values.compactMap(\.string) } else { nil } }

  /// The elements of an array; none of anything else.
  package var elements: [JSON] { if case .array(let values) = self { values } else { [] } }

  /// The members, if the value is an object.
  package var members: [String: JSON]? { if case .object(let members) = self { members } else { nil } }
}

extension JSON: Decodable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    func read<Value: Decodable>(_ type: Value.Type) -> Value? {
      do { return try container.decode(type) } catch { return nil }
    }
    if container.decodeNil() {
      self = .null
    } else if let value = read(Bool.self) {
      self = .bool(value)
    } else if let value = read(Int.self) {
      self = .integer(value)
    } else if let value = read(Double.self) {
      self = .number(value)
    } else if let value = read(String.self) {
      self = .string(value)
    } else if let values = read([JSON].self) {
      self = .array(values)
    } else {
      self = .object(try container.decode([String: JSON].self))
    }
  }
}
