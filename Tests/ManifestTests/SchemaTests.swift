import Glibc
import Model
import TestSupport
import Testing

@testable import Manifest

/// A document that has one key of the schema, and as few other keys as possible.
struct SchemaCase: Sendable, CustomTestStringConvertible {
  var path: String
  var isSupported: Bool
  var document: JSONValue
  /// The same document with a list of lists as the key's value, which no key accepts.
  var wrong: JSONValue

  var testDescription: String { path }

  static let all: [SchemaCase] = {
    var cases: [SchemaCase] = []
    collect(ValueType<ManifestDocument>.document.schema, path: "", into: &cases) { $0 }
    return cases
  }()

  /// Adds a case for every property below a schema; `wrap` puts a property's value into a whole document.
  private static func collect(
    _ schema: JSONValue, path: String, into cases: inout [SchemaCase], wrap: (JSONValue) -> JSONValue
  ) {
    if case .object(let properties)? = schema["properties"] {
      for property in properties {
        let name = "\(path).\(property.key)"
        let isSupported = property.value["not"] != .members([:])
        let value = isSupported ? sample(property.value) : .string("x")
        cases.append(
          SchemaCase(
            path: name, isSupported: isSupported, document: wrap(instance(of: schema, with: property.key, value)),
            wrong: wrap(instance(of: schema, with: property.key, .array([.array([])])))))
        guard isSupported else { continue }
        collect(property.value, path: name, into: &cases) { wrap(instance(of: schema, with: property.key, $0)) }
      }
    }
    if let items = schema["items"] {
      collect(items, path: "\(path)[]", into: &cases) { wrap(.array([$0])) }
    }
    if let element = schema["additionalProperties"], case .object = element {
      let key = text(schema["propertyNames"] ?? .null)
      collect(element, path: "\(path).*", into: &cases) { wrap(.object([.init(key: key, value: $0)])) }
    }
    if case .array(let choices)? = schema["anyOf"] {
      for choice in choices { collect(choice, path: path, into: &cases, wrap: wrap) }
    }
  }

  /// Returns an object with one property, the required ones, and the first of a choice of required ones.
  private static func instance(of schema: JSONValue, with key: String, _ value: JSONValue) -> JSONValue {
    var names = strings(schema["required"])
    for word in ["oneOf", "anyOf"] {
      guard case .array(let choices)? = schema[word] else { continue }
      if !choices.contains(where: { strings($0["required"]).contains(key) }) {
        names += strings(choices.first?["required"])
      }
    }
    var members = names.filter { $0 != key }.map {
      JSONValue.Member(key: $0, value: sample(schema["properties"]?[$0] ?? .null))
    }
    members.append(.init(key: key, value: value))
    return .object(members)
  }

  /// Returns a value that the schema allows.
  static func sample(_ schema: JSONValue) -> JSONValue {
    if case .array(let words)? = schema["enum"] { return words.last ?? .null }
    switch schema["type"] {
    case .string("boolean"): return schema["default"] == .bool(true) ? .bool(false) : .bool(true)
    case .string("integer"): return schema["maximum"] ?? .null
    case .string("array"): return .array([])
    case .string("object"):
      return .object(
        strings(schema["required"]).map { .init(key: $0, value: sample(schema["properties"]?[$0] ?? .null)) })
    default: return .string(text(schema))
    }
  }

  private static func text(_ schema: JSONValue) -> String {
    guard case .string(let pattern)? = schema["pattern"] ?? first(schema["anyOf"])?["pattern"] else { return "text" }
    let samples = [
      "0000:03:00.0", "8086:1533", "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11", "a0-36-9f-ff-ff-12-34-56",
      "a0:36:9f:12:34:56", "00_1c.4-00_00.0", "0200", "03", "lan0",
    ]
    return samples.first { matches($0, pattern) } ?? "none matches \(pattern)"
  }

  private static func first(_ value: JSONValue?) -> JSONValue? {
    if case .array(let values)? = value { values.first } else { nil }
  }

  private static func strings(_ value: JSONValue?) -> [String] {
    guard case .array(let values)? = value else { return [] }
    return values.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }
}

/// Returns whether a text matches a schema's pattern.
func matches(_ text: String, _ pattern: String) -> Bool {
  do { return try Regex(pattern).firstMatch(in: text) != nil } catch { return false }
}

@Suite struct SchemaTests {
  @Test func `the file that editors read is the schema of this release`() throws {
    let path = "config/schemas/HostAssignments-v1alpha1.schema.json"
    if unsafe getenv("RECORD") != nil {
      try write(manifestSchema(), to: "\(repositoryRoot)/\(path)")
      Issue.record("recorded \(path)")
    }
    #expect(try contents(of: "\(repositoryRoot)/\(path)") == manifestSchema(), "RECORD=1 rewrites \(path)")
  }

  @Test(arguments: SchemaCase.all)
  func `every key of the schema is read, and refused only if it says so`(_ sample: SchemaCase) {
    let report = Diagnostics()
    let nodes = parseYAML(SourceText(name: "t", text: sample.document.text), report: report)
    #expect(nodes.count == 1)
    let documents = nodes.compactMap { ValueType<ManifestDocument>.document.read($0, as: "the document", report) }
    _ = Assembly.desiredState(of: documents, report)
    let errors = report.sortedErrors.map(\.message)
    if sample.isSupported {
      #expect(errors.isEmpty, "\(sample.document.text)")
    } else {
      #expect(errors.contains { $0.hasSuffix("is not supported yet") }, "\(sample.document.text)")
    }
  }

  @Test func `the cases reach every table of keys`() {
    let paths = Set(SchemaCase.all.map(\.path))
    for path in [
      ".apiVersion", ".metadata.name", ".spec.policy.prune", ".spec.devices.*.address", ".spec.devices.*.serial",
      ".spec.domains.*.uuid", ".spec.domains.*.devices[].virtualSlot", ".spec.domains.*.devices[].match",
    ] { #expect(paths.contains(path), "\(path)") }
    let tables = [
      ManifestKeys.document, ManifestKeys.metadataTable, ManifestKeys.specTable, ManifestKeys.policyTable,
      ManifestKeys.definitionTable, ManifestKeys.domainTable, ManifestKeys.assignmentTable,
    ]
    #expect(paths.count == tables.map(\.count).reduce(0, +))
  }

  @Test(arguments: SchemaCase.all)
  func `a key that is not in the schema is refused`(_ sample: SchemaCase) {
    guard let name = sample.path.split(separator: ".").last else { return }
    let text = sample.document.text.replacing("\"\(name)\":", with: "\"\(name)Not\":")
    #expect(faults(of: text).contains { $0.contains("has no key '\(name)Not'") })
  }

  @Test(arguments: SchemaCase.all)
  func `a value of the wrong type is refused for every key`(_ sample: SchemaCase) {
    guard let name = sample.path.split(separator: ".").last, sample.isSupported else { return }
    #expect(
      faults(of: sample.wrong.text).contains {
        $0.contains("'\(name)' must be") || $0.contains("an entry of 'devices' must be")
      })
  }

  @Test(arguments: SchemaCase.all)
  func `the schema accepts what the reader accepts, and refuses what the reader refuses`(_ sample: SchemaCase) throws {
    let checker = try SchemaChecker(["manifest": JSON(text: manifestSchema())])
    let violations = try checker.violations(of: JSON(text: sample.document.text), against: "manifest")
    #expect(violations.isEmpty == sample.isSupported, "\(sample.document.text): \(violations)")
    #expect(try !checker.violations(of: JSON(text: sample.wrong.text), against: "manifest").isEmpty)
  }

  @Test func `the schema is one JSON document with its version first`() throws {
    let schema = manifestSchema()
    #expect(schema.hasPrefix("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"))
    #expect(schema.hasSuffix("}\n"))
    // JSON is YAML, so the reader can check what the writer wrote.
    let report = Diagnostics()
    #expect(parseYAML(SourceText(name: "schema", text: schema), report: report).count == 1)
    #expect(report.sorted.isEmpty)
  }

  @Test func `defaults in the schema are those that the reader takes`() {
    let keys = ManifestKeys.assignmentTable
    func value(_ name: String) -> JSONValue? { keys.first { $0.name == name }?.defaultValue }
    #expect(value("permissive") == .bool(DeviceOptions().permissive))
    #expect(value("msiTranslate") == .bool(DeviceOptions().msiTranslate))
    #expect(value("powerManagement") == .bool(DeviceOptions().powerManagement))
    #expect(value("rdmPolicy") == .string(DeviceOptions().rdmPolicy.rawValue))
    #expect(value("required") == .bool(true))
    #expect(ManifestKeys.policyTable.first { $0.name == "prune" }?.defaultValue == .string("owned"))
  }

  private func faults(of text: String) -> [String] {
    let report = Diagnostics()
    for node in parseYAML(SourceText(name: "t", text: text), report: report) {
      _ = ValueType<ManifestDocument>.document.read(node, as: "the document", report)
    }
    return report.sortedErrors.map(\.message)
  }
}

@Suite struct PatternTests {
  /// Returns texts that are almost addresses: random combinations of parts of addresses.
  static func texts(seed: UInt64) -> [String] {
    var random = SeededGenerator(seed: seed)
    let pieces = ["0000", "0", "03", "1f", "20", "g", ":", ":", ".", ".", "7", "8", "00", "af", "00000", "-", ""]
    return (0..<200).map { _ in
      (0..<Int.random(in: 1...8, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    } + ["0000:03:00.0", "03:00.0", "1:2:3.4", "0000:00:1f.07", "8086:1533", "0000:03:00.00"]
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the schema's patterns accept what the reader accepts`(seed: UInt64) {
    for text in Self.texts(seed: seed) {
      #expect(matches(text, pattern(.address)) == (PCIAddress(text) != nil), "\(text)")
      #expect(matches(text, pattern(.deviceID)) == (DeviceID(text) != nil), "\(text)")
      #expect(matches(text, pattern(ValueType<String>.deviceName)) == isDeviceName(text), "\(text)")
    }
  }

  private func pattern<Value>(_ type: ValueType<Value>) -> String {
    if case .string(let pattern)? = type.schema["pattern"] { pattern } else { "(?!)" }
  }
}
