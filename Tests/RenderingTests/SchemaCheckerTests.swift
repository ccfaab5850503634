import TestSupport
import Testing

/// A schema with a document that conforms to it and one that does not.
struct KeywordCase: Sendable, CustomTestStringConvertible {
  let schema: String
  let right: String
  let wrong: String

  var testDescription: String { schema }

  static let all = [
    KeywordCase(schema: #"{"type": "integer"}"#, right: "1", wrong: "1.5"),
    KeywordCase(schema: #"{"type": "number"}"#, right: "1.5", wrong: "true"),
    KeywordCase(schema: #"{"type": "boolean"}"#, right: "false", wrong: "0"),
    KeywordCase(schema: #"{"type": "string"}"#, right: #""""#, wrong: "null"),
    KeywordCase(schema: #"{"type": "null"}"#, right: "null", wrong: "false"),
    KeywordCase(schema: #"{"type": "array"}"#, right: "[]", wrong: "{}"),
    KeywordCase(schema: #"{"type": "object"}"#, right: "{}", wrong: "[]"),
    KeywordCase(schema: #"{"const": "a"}"#, right: #""a""#, wrong: #""b""#),
    KeywordCase(schema: #"{"enum": ["a", 1]}"#, right: "1", wrong: "2"),
    KeywordCase(schema: #"{"pattern": "^a+$"}"#, right: #""aa""#, wrong: #""ab""#),
    KeywordCase(schema: #"{"minimum": 2}"#, right: "2", wrong: "1.5"),
    KeywordCase(schema: #"{"maximum": 2}"#, right: "2", wrong: "3"),
    KeywordCase(schema: #"{"minLength": 1}"#, right: #""a""#, wrong: #""""#),
    KeywordCase(schema: #"{"maxLength": 1}"#, right: #""a""#, wrong: #""ab""#),
    KeywordCase(schema: #"{"required": ["a"]}"#, right: #"{"a": 1}"#, wrong: #"{"b": 1}"#),
    KeywordCase(schema: #"{"items": {"type": "string"}}"#, right: #"["a"]"#, wrong: #"["a", 1]"#),
    KeywordCase(schema: #"{"properties": {"a": {"const": 1}}}"#, right: #"{"a": 1, "b": 2}"#, wrong: #"{"a": 2}"#),
    KeywordCase(
      schema: #"{"properties": {"a": true}, "additionalProperties": false}"#, right: #"{"a": 1}"#,
      wrong: #"{"a": 1, "b": 1}"#),
    KeywordCase(schema: #"{"additionalProperties": {"const": 1}}"#, right: #"{"a": 1}"#, wrong: #"{"a": 2}"#),
    KeywordCase(schema: #"{"propertyNames": {"pattern": "^a"}}"#, right: #"{"ab": 1}"#, wrong: #"{"b": 1}"#),
    KeywordCase(schema: #"{"not": {"const": 1}}"#, right: "2", wrong: "1"),
    KeywordCase(schema: #"{"anyOf": [{"const": 1}, {"minimum": 1}]}"#, right: "1", wrong: "0"),
    KeywordCase(schema: #"{"oneOf": [{"minimum": 1}, {"minimum": 2}]}"#, right: "1", wrong: "2"),
    KeywordCase(schema: ##"{"$ref": "#/$defs/one", "$defs": {"one": {"const": 1}}}"##, right: "1", wrong: "2"),
    KeywordCase(schema: #"{"$ref": "other"}"#, right: "1", wrong: "2"),
    KeywordCase(schema: ##"{"$ref": "other#/$defs/two"}"##, right: "3", wrong: "1"),
  ]
}

@Suite struct SchemaCheckerTests {
  /// A part of this schema refers to another part, so that the checker must look the part up in this schema.
  private static let other =
    ##"{"const": 1, "$defs": {"two": {"items": false, "$ref": "#/$defs/three"}, "three": {"const": 3}}}"##

  private func checker(_ schema: String) throws -> SchemaChecker {
    try SchemaChecker(["schema": JSON(text: schema), "other": JSON(text: Self.other)])
  }

  @Test(arguments: KeywordCase.all)
  func `every keyword accepts what it should, and nothing else`(_ sample: KeywordCase) throws {
    let checker = try checker(sample.schema)
    #expect(try checker.violations(of: JSON(text: sample.right), against: "schema") == [])
    #expect(try checker.violations(of: JSON(text: sample.wrong), against: "schema").count == 1)
  }

  @Test(arguments: [
    #"{"uniqueItems": true}"#, #"{"items": {"format": "date"}}"#, #"{"$defs": {"a": {"if": true}}}"#,
    #"{"properties": {"a": {"patternProperties": {}}}}"#, #"{"anyOf": [{"minItems": 1}]}"#, #"{"not": {"allOf": []}}"#,
  ])
  func `an unknown keyword is an error in any place`(_ schema: String) {
    let error = #expect(throws: SchemaFailure.self) { _ = try checker(schema) }
    #expect(error?.description.hasSuffix("is a keyword that the checker does not know") == true, "\(error as Any)")
  }

  @Test(arguments: [
    #""text""#, #"{"type": "text"}"#, #"{"type": ["string"]}"#, #"{"enum": []}"#, #"{"enum": [1, 1]}"#,
    #"{"pattern": "("}"#, #"{"minimum": "1"}"#, #"{"required": "a"}"#, #"{"required": [1]}"#, #"{"properties": []}"#,
    #"{"items": 1}"#, #"{"anyOf": []}"#, ##"{"$ref": "#/$defs/none"}"##, #"{"$ref": "none"}"#,
    #"{"properties": {"a": true}, "required": ["b"]}"#,
  ])
  func `a schema that means nothing is an error`(_ schema: String) {
    #expect(throws: SchemaFailure.self) { _ = try checker(schema) }
  }

  @Test func `a violation names its place`() throws {
    let schema = try checker(#"{"properties": {"a": {"items": {"properties": {"b": {"type": "string"}}}}}}"#)
    let document = try JSON(text: #"{"a": [{"b": "x"}, {"b": 1}]}"#)
    #expect(try schema.violations(of: document, against: "schema") == ["$.a[1].b: is not of type string"])
  }
}
