import FoundationEssentials
import Model
import Planning
import TestSupport
import Testing

@testable import Rendering

/// The JSON documents among the golden files.
struct GoldenDocument: Sendable, CustomTestStringConvertible {
  /// The path below the repository.
  let path: String
  /// Whether the document is kept permanently as an example of its version.
  let isKept: Bool
  let text: String

  var testDescription: String { path }

  var name: DocumentSchemas.Name? {
    get throws { DocumentSchemas.Name(headOf: try JSON(text: text)) }
  }

  /// Every JSON file below the folders in which tests keep documents.
  static func all() throws -> [GoldenDocument] {
    try ["Tests/RenderingTests/Fixtures", "Tests/SandboxCommandsTests/Fixtures"].flatMap { folder in
      try FileManager.default.subpathsOfDirectory(atPath: "\(repositoryRoot)/\(folder)").sorted()
        .filter { $0.hasSuffix(".json") }
        .map { file in
          GoldenDocument(
            path: "\(folder)/\(file)", isKept: isKeptGolden(file), text: try repositoryFile("\(folder)/\(file)"))
        }
    }
  }
}

/// A change that makes a golden plan wrong, and the schema's finding.
struct BrokenPlan: Sendable, CustomTestStringConvertible {
  let old: String
  let new: String
  let violation: String

  var testDescription: String { new }

  static let all = [
    BrokenPlan(old: #""hasChanges" :"#, new: #""hasChange" :"#, violation: "$: lacks 'hasChanges'"),
    BrokenPlan(
      old: #""hasChanges" :"#, new: #""more" : 1, "hasChanges" :"#, violation: "$.more: nothing is allowed here"),
    BrokenPlan(old: #""kind" : "Plan""#, new: #""kind" : "Plans""#, violation: "$: there is no schema Plans-v1"),
    BrokenPlan(
      old: #""formatVersion" : 1"#, new: #""formatVersion" : 99"#, violation: "$: there is no schema Plan-v99"),
    BrokenPlan(old: #""formatVersion" : 1"#, new: #""version" : 1"#, violation: "$: has no head"),
    BrokenPlan(
      old: #""isRefused" : false"#, new: #""isRefused" : 0"#, violation: "$.isRefused: is not of type boolean"),
    BrokenPlan(old: #""attach" : "#, new: #""attach" : -"#, violation: "$.summary.attach: is too small"),
    BrokenPlan(
      old: #""action" : "detach""#, new: #""action" : "remove""#, violation: ".action: is none of the values allowed"),
    BrokenPlan(
      old: #""reason" : "declared""#, new: #""reason" : "wished""#, violation: ".reason: is none of the values allowed"),
    BrokenPlan(
      old: #""address" : "0000:03:00.0""#, new: #""address" : "03:00.0""#, violation: ".address: does not match"),
    BrokenPlan(old: #""id" : "8086:1533""#, new: #""id" : "8086:15FF""#, violation: ".id: does not match"),
    BrokenPlan(old: #""uuid" : "2"#, new: #""uuid" : "Z"#, violation: ".uuid: does not match"),
    BrokenPlan(
      old: #""rdmPolicy" : "strict""#, new: #""rdmPolicy" : "lax""#, violation: ".rdmPolicy: is none of the values"),
  ]
}

@Suite struct DocumentSchemaTests {
  private let schemas: DocumentSchemas
  private let goldens: [GoldenDocument]

  init() throws {
    schemas = try DocumentSchemas()
    goldens = try GoldenDocument.all()
  }

  // MARK: Documents

  @Test func `every golden document conforms to the schema that its head names`() throws {
    #expect(goldens.count > 10)
    for golden in goldens {
      let violations = try schemas.violations(of: golden.text)
      #expect(violations.isEmpty, "\(golden.path): \(violations.joined(separator: "; "))")
    }
  }

  @Test func `every schema has a golden document of its version, which is kept`() throws {
    let kept = goldens.filter(\.isKept)
    #expect(Set(try kept.compactMap { try $0.name }) == schemas.names)
    for golden in kept {
      let name = try #require(try golden.name)
      #expect(golden.path == "Tests/RenderingTests/Fixtures/v\(name.version)/\(name.kind).json")
    }
  }

  @Test func `the newest schema of every kind has a golden document that is still written`() throws {
    let current = Set(try goldens.filter { !$0.isKept }.compactMap { try $0.name })
    let newest = Dictionary(grouping: schemas.names, by: \.kind).values.compactMap {
      $0.max { $0.version < $1.version }
    }
    #expect(current == Set(newest))
  }

  @Test func `a kept document is never written again`() throws {
    let folder = try TemporaryFolder()
    try folder.write("v1/Plan.json", "kept")
    let path = "\(folder.path)/v1/Plan.json"
    for text in ["other", "kept"] {
      for isRecording in [false, true] {
        let fault = try goldenFault(text, "v1/Plan.json", at: path, isRecording: isRecording)
        #expect(fault?.hasPrefix("v1/Plan.json is kept") == true)
      }
    }
    #expect(String(decoding: try folder.read("v1/Plan.json"), as: UTF8.self) == "kept")
    #expect(isKeptGolden("v12/Plan.json"))
    #expect(!isKeptGolden("everything/plan.json") && !isKeptGolden("verbose/plan.json"))
  }

  @Test func `a golden file that differs is a fault, and a recorded one too`() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/new/plan.txt"
    func fault(_ text: String, isRecording: Bool = false) throws -> String? {
      try goldenFault(text, "new/plan.txt", at: path, isRecording: isRecording)
    }
    #expect(try fault("one") == "there is no \(path)")
    #expect(try fault("one", isRecording: true)?.hasPrefix("recorded new/plan.txt") == true)
    #expect(try fault("one") == nil)
    #expect(try fault("two")?.hasPrefix("new/plan.txt differs") == true)
  }

  @Test(arguments: BrokenPlan.all)
  func `a broken plan is refused`(_ broken: BrokenPlan) throws {
    let golden = try repositoryFile("Tests/RenderingTests/Fixtures/v1/Plan.json")
    #expect(try schemas.violations(of: golden) == [])
    let text = golden.replacing(broken.old, with: broken.new)
    let violations = try schemas.violations(of: text)
    #expect(violations.contains { $0.contains(broken.violation) }, "\(violations)")
  }

  @Test func `the documents of random hosts conform`() throws {
    for seed in UInt64(0)..<20 {
      var random = SeededGenerator(seed: seed)
      let (desired, observation) = RandomHost.make(&random)
      let plan = makePlan(desired: desired, observation: observation)
      let status = HostStatus(index: ObservationIndex(observation), desired: desired, plan: plan)
      let matrix = makeDriftMatrix(desired: desired, observation: observation, plan: plan)
      let texts = [
        try rendered(PlanView(plan: plan, naming: Samples.naming), as: .json, style: TextStyle()),
        try rendered(StatusView(status: status, naming: Samples.naming), as: .json, style: TextStyle()),
        try rendered(DriftView(matrix: matrix, naming: Samples.naming), as: .json, style: TextStyle()),
      ]
      for text in texts {
        let violations = try schemas.violations(of: text)
        #expect(violations.isEmpty, "seed \(seed): \(violations.joined(separator: "; "))")
      }
    }
  }

  @Test func `every explanation conforms`() throws {
    let view = ExplanationView(entries: Catalogue.all, detail: .line)
    #expect(try schemas.violations(of: try rendered(view, as: .json, style: TextStyle())) == [])
  }

  // MARK: Schemas

  @Test func `every closed vocabulary of the code is the one of the schemas`() throws {
    let shared = try #require(schemas.all["shared-v1.schema.json"])
    let status = try #require(schemas.all["Status-v1.schema.json"])
    func words(_ schema: JSON?) throws -> Set<String> { Set(try #require(schema?["enum"]?.strings)) }
    for (part, expected) in [
      "action": StepAction.allCases.map(\.rawValue),
      "result": StepResult.allCases.map(\.rawValue),
      "reason": Reason.allCases.map(\.name),
      "driftName": Reason.allCases.filter(\.isDrift).map(\.name),
      "ailment": Ailment.allCases.map(\.rawValue),
      "interlock": InterlockName.allCases.map(\.rawValue),
      "domainKind": DomainKind.allCases.map(\.rawValue),
      "lifecycle": DomainLifecycle.allCases.map(\.rawValue),
      "assignment": HypervisorAssignment.allCases.map(\.rawValue),
    ] { #expect(try words(shared["$defs"]?[part]) == Set(expected), "\(part)") }
    #expect(
      try words(shared["$defs"]?["hostDrift"]?["properties"]?["kind"]) == [
        DriftName.staleClaim.rawValue, DriftName.leakedBackEnd.rawValue,
      ])
    #expect(
      try words(shared["$defs"]?["options"]?["properties"]?["rdmPolicy"]) == Set(RDMPolicy.allCases.map(\.rawValue)))
    let interlock = try #require(schemas.all["DeviceList-v1.schema.json"]?["$defs"]?["interlock"]?["properties"])
    #expect(try words(interlock["strength"]) == Set(InterlockStrength.allCases.map(\.rawValue)))
    #expect(
      try words(interlock["chain"]?["items"]?["properties"]?["what"])
        == Set(Interlock.Link.Kind.allCases.map(\.rawValue)))
    let event = try #require(schemas.all["RunEvent-v1.schema.json"])
    #expect(try words(event["properties"]?["event"]) == Set(RunEventDocument.Name.allCases.map(\.rawValue)))
    #expect(try words(event["properties"]?["phase"]) == Set(RunEvent.Phase.allCases.map(\.rawValue)))
    #expect(
      try words(status["$defs"]?["device"]?["properties"]?["attachment"]) == Set(Attachment.allCases.map(\.rawValue)))
  }

  @Test func `every schema is strict, and describes each key in one sentence`() throws {
    for (file, schema) in schemas.all {
      #expect(schema["$schema"] == .string("https://json-schema.org/draft/2020-12/schema"), "\(file)")
      for part in parts(of: schema) {
        guard let properties = part["properties"]?.members else { continue }
        #expect(part["type"] == .string("object"), "\(file): \(properties.keys.sorted())")
        #expect(part["additionalProperties"] == .bool(false), "\(file): \(properties.keys.sorted())")
        for (key, property) in properties {
          let sentence = try #require(property["description"]?.string, "\(file): \(key)")
          #expect(sentence.hasSuffix(".") && !sentence.dropLast().contains(". "), "\(file): \(key): \(sentence)")
          #expect(sentence.split(separator: " ").count <= 25, "\(file): \(key): \(sentence)")
        }
      }
    }
  }

  @Test func `every kind has a section with its schema's link, and the section's page names each key`() throws {
    let text = try repositoryFile("docs/output.md")
    for name in schemas.names {
      let section = try #require(text.components(after: "\n### \(name.kind)\n"), "\(name.kind) has no section")
      #expect(section.contains("(schemas/\(name))"), "the section of \(name.kind) lacks the link")
      // The contents of a sandbox's status follow the simulator: the page leaves them to the schema.
      guard name.kind != "SandboxStatus", let schema = schemas.all[name.description] else { continue }
      for key in parts(of: schema).flatMap({ ($0["properties"]?.members ?? [:]).keys }) {
        #expect(text.contains("`\(key)`"), "docs/output.md does not name '\(key)' of \(name.kind)")
      }
    }
  }

  /// The schema and every schema inside it.
  private func parts(of schema: JSON) -> [JSON] {
    guard let keywords = schema.members else { return [] }
    let inner = keywords.flatMap { keyword, value -> [JSON] in
      switch (keyword, value) {
      case ("properties", .object(let schemas)), ("$defs", .object(let schemas)): schemas.values.flatMap(parts)
      case ("anyOf", .array(let schemas)), ("oneOf", .array(let schemas)): schemas.flatMap(parts)
      case ("items", _), ("additionalProperties", _), ("propertyNames", _), ("not", _): parts(of: value)
      default: []
      }
    }
    return [schema] + inner
  }
}

extension String {
  /// The text between a heading and the next one; nil if the heading is not there.
  fileprivate func components(after heading: String) -> String? {
    guard let range = firstRange(of: heading) else { return nil }
    let rest = self[range.upperBound...]
    return String(rest[..<(rest.firstRange(of: "\n##")?.lowerBound ?? rest.endIndex)])
  }
}
