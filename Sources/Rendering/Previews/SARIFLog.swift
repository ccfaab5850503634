import Model
import Planning

/// Annotations as a log of SARIF 2.1.0.
struct SARIFLog: Encodable {
  /// How many results GitHub takes.
  static let most = 25_000

  private let schema = "https://json.schemastore.org/sarif-2.1.0.json"
  private let version = "2.1.0"
  private let runs: [Run]

  private enum CodingKeys: String, CodingKey {
    case schema = "$schema"
    case version, runs
  }

  init(_ annotations: [Annotation], directory: String?, release: String, most: Int = most) {
    runs = [Run(annotations, directory: directory, release: release, most: most)]
  }

  private struct Text: Encodable { let text: SARIFText }

  private struct Rule: Encodable {
    let id: String
    let shortDescription: Text
    let help: Text
    let helpUri: String

    init(_ rule: AnnotationRule) {
      id = rule.name
      shortDescription = Text(text: "\(rule.meaning)")
      help = Text(text: "\(rule.help)")
      helpUri = "urn:berth:explain:\(rule.name)"
    }
  }

  private struct Driver: Encodable {
    let name = "berth"
    let version: String
    let rules: [Rule]
  }

  private struct Tool: Encodable { let driver: Driver }

  private struct Artifact: Encodable { let uri: String }
  private struct Region: Encodable {
    let startLine: Int
    let startColumn: Int?
  }
  private struct PhysicalLocation: Encodable {
    let artifactLocation: Artifact
    let region: Region
  }
  private struct Location: Encodable { let physicalLocation: PhysicalLocation }

  private struct Entry: Encodable {
    let ruleId: String
    let ruleIndex: Int
    let level: String
    let message: Text
    let locations: [Location]
    let partialFingerprints: [String: String]

    init(_ keyed: KeyedAnnotation, ruleIndex: Int, directory: String?) {
      let annotation = keyed.annotation
      ruleId = annotation.rule.name
      self.ruleIndex = ruleIndex
      switch annotation.severity {
      case .error: level = "error"
      case .warning: level = "warning"
      case .note: level = "note"
      }
      let next: SARIFText = if let next = annotation.next { "\nNext: \(next)" } else { "" }
      message = Text(text: "\(annotation.sentence)\(next)")
      // GitHub refuses a log if one of its results has no location.
      let line = annotation.place?.line ?? 0
      locations = [
        Location(
          physicalLocation: PhysicalLocation(
            artifactLocation: Artifact(
              uri: annotation.place.map { ManifestPath($0.file, in: directory).uri } ?? "manifest"),
            region: Region(startLine: max(1, line), startColumn: line > 0 ? annotation.place?.column : nil)))
      ]
      partialFingerprints = ["primaryLocationLineHash": keyed.key]
    }
  }

  private struct Notification: Encodable {
    let level = "warning"
    let message: Text
  }

  private struct Invocation: Encodable {
    let executionSuccessful = true
    let toolExecutionNotifications: [Notification]?
  }

  private struct Run: Encodable {
    let tool: Tool
    /// The columns of a manifest count Unicode scalars.
    let columnKind = "unicodeCodePoints"
    let invocations: [Invocation]
    let results: [Entry]

    init(_ annotations: [Annotation], directory: String?, release: String, most: Int) {
      var rules: [AnnotationRule] = []
      var places: [AnnotationRule: Int] = [:]
      results = annotations.keyed.prefix(most).map { keyed in
        let rule = keyed.annotation.rule
        let index = places[rule] ?? rules.count
        if index == rules.count {
          rules.append(rule)
          places[rule] = index
        }
        return Entry(keyed, ruleIndex: index, directory: directory)
      }
      tool = Tool(driver: Driver(version: release, rules: rules.map(Rule.init)))
      let rest = annotations.count - results.count
      invocations = [
        Invocation(
          toolExecutionNotifications: rest == 0
            ? nil
            : [
              Notification(
                message: Text(
                  text: "\(rest) of \(annotations.count) results are left out, because GitHub takes \(most)."))
            ])
      ]
    }
  }
}
