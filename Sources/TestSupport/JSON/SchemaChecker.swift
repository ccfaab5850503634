/// A schema that the checker cannot use, with the place in the schema.
package struct SchemaFailure: Error, Hashable, CustomStringConvertible {
  package let description: String
}

/// Checks JSON documents against JSON Schemas (draft 2020-12), with the keywords that Berth's schemas use.
///
/// An unknown keyword is an error: an ignored keyword would check nothing. A schema may refer to another one by its name.
package struct SchemaChecker: Sendable {
  private static let annotations: Set = ["$schema", "$id", "$comment", "title", "description", "default"]

  /// The schemas by name.
  private let schemas: [String: JSON]

  /// Takes schemas by name. Throws if one of them has an unknown keyword, a keyword with a value that the keyword does
  /// not take, or a reference to nothing.
  package init(_ schemas: [String: JSON]) throws(SchemaFailure) {
    self.schemas = schemas
    for (name, schema) in schemas.sorted(by: { $0.key < $1.key }) { try inspect(schema, at: Place(name, "")) }
  }

  /// Returns what of a document violates the schema of a name, each with its place; nothing if the document conforms.
  /// Throws if there is no such schema.
  package func violations(of document: JSON, against name: String) throws(SchemaFailure) -> [String] {
    guard let schema = schemas[name] else { throw SchemaFailure(description: "there is no schema \(name)") }
    var violations: [String] = []
    try check(document, against: schema, at: Place(name, "$"), into: &violations)
    return violations
  }

  /// A place in a document or a schema, and the schema in which references are looked up.
  private struct Place {
    let schema: String
    let path: String

    init(_ schema: String, _ path: String) { (self.schema, self.path) = (schema, path) }
    func member(_ key: String) -> Place { Place(schema, "\(path).\(key)") }
    func element(_ index: Int) -> Place { Place(schema, "\(path)[\(index)]") }
    func failure(_ text: String) -> SchemaFailure { SchemaFailure(description: "\(schema)\(path): \(text)") }
  }

  // MARK: Schemas

  private func inspect(_ schema: JSON, at place: Place) throws(SchemaFailure) {
    if case .bool = schema { return }
    guard let keywords = schema.members else { throw place.failure("a schema is an object or a boolean") }
    for (keyword, value) in keywords.sorted(by: { $0.key < $1.key }) {
      try inspect(keyword, value, at: place.member(keyword))
    }
    for name in keywords["required"]?.strings ?? [] where keywords["properties"]?[name] == nil {
      // A choice of required keys stands beside the properties that it chooses from.
      if keywords["properties"] != nil { throw place.failure("requires '\(name)', which it does not describe") }
    }
  }

  private func inspect(_ keyword: String, _ value: JSON, at place: Place) throws(SchemaFailure) {
    switch keyword {
    case _ where Self.annotations.contains(keyword), "const": return
    case "$ref": _ = try target(of: value, at: place)
    case "type":
      guard let type = value.string, Self.types.contains(type) else { throw place.failure("names no type") }
    case "enum":
      guard case .array(let values) = value, !values.isEmpty, Set(values).count == values.count else {
        throw place.failure("is a list of different values")
      }
    case "pattern":
      guard let pattern = value.string else { throw place.failure("is a text") }
      _ = try regex(pattern, at: place)
    case "minimum", "maximum", "minLength", "maxLength":
      guard case .integer = value else { throw place.failure("is an integer") }
    case "required":
      guard case .array(let values) = value, value.strings?.count == values.count else {
        throw place.failure("is a list of names")
      }
    case "properties", "$defs":
      guard let members = value.members else { throw place.failure("is an object") }
      for (key, schema) in members.sorted(by: { $0.key < $1.key }) { try inspect(schema, at: place.member(key)) }
    case "items", "additionalProperties", "propertyNames", "not": try inspect(value, at: place)
    case "anyOf", "oneOf":
      guard case .array(let choices) = value, !choices.isEmpty else { throw place.failure("is a list of schemas") }
      for (index, choice) in choices.enumerated() { try inspect(choice, at: place.element(index)) }
    default: throw place.failure("is a keyword that the checker does not know")
    }
  }

  /// Returns what a reference names, with the schema it lies in: `name`, `#/$defs/part` or `name#/$defs/part`.
  private func target(of reference: JSON, at place: Place) throws(SchemaFailure) -> (schema: String, part: JSON) {
    guard let text = reference.string else { throw place.failure("is a text") }
    let pieces = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let name = pieces[0].isEmpty ? place.schema : pieces[0]
    guard let schema = schemas[name] else { throw place.failure("refers to '\(name)', which is no schema") }
    guard pieces.count == 2 else { return (name, schema) }
    let prefix = "/$defs/"
    guard pieces[1].hasPrefix(prefix), let part = schema["$defs"]?[String(pieces[1].dropFirst(prefix.count))] else {
      throw place.failure("refers to '\(text)', which is not there")
    }
    return (name, part)
  }

  private func regex(_ pattern: String, at place: Place) throws(SchemaFailure) -> Regex<AnyRegexOutput> {
    do { return try Regex(pattern) } catch { throw place.failure("is no pattern: \(error)") }
  }

  // MARK: Documents

  private func check(
    _ value: JSON, against schema: JSON, at place: Place, into violations: inout [String]
  ) throws(SchemaFailure) {
    guard let keywords = schema.members else {
      if schema == .bool(false) { violations.append("\(place.path): nothing is allowed here") }
      return
    }
    for (keyword, argument) in keywords.sorted(by: { $0.key < $1.key }) {
      switch keyword {
      case "$ref":
        let (name, part) = try target(of: argument, at: place)
        try check(value, against: part, at: Place(name, place.path), into: &violations)
      case "anyOf", "oneOf":
        guard case .array(let choices) = argument else { continue }
        var fitting = 0
        for choice in choices where try conforms(value, to: choice, at: place) { fitting += 1 }
        if fitting == 0 { violations.append("\(place.path): fits no choice of \(keyword)") }
        if fitting > 1, keyword == "oneOf" { violations.append("\(place.path): fits \(fitting) choices of oneOf") }
      case "not":
        if try conforms(value, to: argument, at: place) { violations.append("\(place.path): is not allowed") }
      case "items":
        guard case .array(let elements) = value else { continue }
        for (index, element) in elements.enumerated() {
          try check(element, against: argument, at: place.element(index), into: &violations)
        }
      case "properties", "additionalProperties", "propertyNames":
        for (key, member) in (value.members ?? [:]).sorted(by: { $0.key < $1.key }) {
          let described = keywords["properties"]?[key]
          let inner = place.member(key)
          switch keyword {
          case "properties":
            if let described { try check(member, against: described, at: inner, into: &violations) }
          case "additionalProperties":
            if described == nil { try check(member, against: argument, at: inner, into: &violations) }
          default: try check(.string(key), against: argument, at: inner, into: &violations)
          }
        }
      default:
        if let fault = try fault(of: value, by: keyword, argument, at: place) {
          violations.append("\(place.path): \(fault)")
        }
      }
    }
  }

  private func conforms(_ value: JSON, to schema: JSON, at place: Place) throws(SchemaFailure) -> Bool {
    var violations: [String] = []
    try check(value, against: schema, at: place, into: &violations)
    return violations.isEmpty
  }

  /// Returns what a keyword without subschemas finds wrong with a value; nil if nothing is wrong.
  private func fault(
    of value: JSON, by keyword: String, _ argument: JSON, at place: Place
  ) throws(SchemaFailure) -> String? {
    switch (keyword, argument, value) {
    case ("type", .string(let type), _): return Self.isType(type, value) ? nil : "is not of type \(type)"
    case ("const", _, _): return value == argument ? nil : "is not the one value that is allowed"
    case ("enum", .array(let values), _): return values.contains(value) ? nil : "is none of the values allowed"
    case ("required", .array, .object(let members)):
      let missing = (argument.strings ?? []).filter { members[$0] == nil }
      return missing.isEmpty ? nil : "lacks \(missing.map { "'\($0)'" }.joined(separator: ", "))"
    case ("pattern", .string(let pattern), .string(let text)):
      let isMatch: Bool
      do { isMatch = try regex(pattern, at: place).firstMatch(in: text) != nil } catch {
        throw place.failure("\(error)")
      }
      return isMatch ? nil : "does not match \(pattern)"
    case ("minimum", .integer(let bound), _):
      return Self.size(of: value).map { $0 < Double(bound) } == true ? "is too small" : nil
    case ("maximum", .integer(let bound), _):
      return Self.size(of: value).map { $0 > Double(bound) } == true ? "is too large" : nil
    case ("minLength", .integer(let bound), .string(let text)):
      return text.unicodeScalars.count < bound ? "is too short" : nil
    case ("maxLength", .integer(let bound), .string(let text)):
      return text.unicodeScalars.count > bound ? "is too long" : nil
    default: return nil
    }
  }

  private static let types: Set = ["null", "boolean", "integer", "number", "string", "array", "object"]

  private static func isType(_ type: String, _ value: JSON) -> Bool {
    switch value {
    case .null: type == "null"
    case .bool: type == "boolean"
    case .integer: type == "integer" || type == "number"
    case .number: type == "number"
    case .string: type == "string"
    case .array: type == "array"
    case .object: type == "object"
    }
  }

  private static func size(of value: JSON) -> Double? {
    switch value {
    case .integer(let number): Double(number)
    case .number(let number): number
    default: nil
    }
  }
}
