import Model
import Planning

/// One annotation as GitLab's report of code quality has it.
struct CodeQualityIssue: Encodable {
  private struct Lines: Encodable { let begin: Int }
  private struct Location: Encodable {
    let path: ValueText
    let lines: Lines
  }

  private let description: ValueText
  private let checkName: String
  private let fingerprint: String
  private let severity: String
  private let location: Location

  private enum CodingKeys: String, CodingKey {
    case description, fingerprint, severity, location
    case checkName = "check_name"
  }

  init(_ keyed: KeyedAnnotation, directory: String?) {
    let annotation = keyed.annotation
    let next: ValueText = if let next = annotation.next { "; next: \(next)" } else { "" }
    description = "\(annotation.sentence)\(next)"
    checkName = annotation.rule.name
    fingerprint = shortDigest(of: keyed.key)
    switch annotation.severity {
    case .error: severity = "critical"
    case .warning: severity = "minor"
    case .note: severity = "info"
    }
    let path = annotation.place.map { ManifestPath($0.file, in: directory).path }
    location = Location(path: "\(path ?? "manifest")", lines: Lines(begin: max(1, annotation.place?.line ?? 1)))
  }
}

/// The three numbers that GitLab shows of a plan.
struct ChangeCounts: Encodable, Hashable, Sendable {
  let create: Int
  let update: Int
  let delete: Int

  init(_ plan: Plan) {
    create = plan.count(.attach)
    update = plan.count(.reattach) + plan.count(.move) + plan.count(.repair) + plan.hostSteps.count { $0.isChange }
    delete = plan.count(.detach)
  }

  /// Adds up the numbers of many hosts.
  init(_ counts: [ChangeCounts]) {
    create = counts.reduce(0) { $0 + $1.create }
    update = counts.reduce(0) { $0 + $1.update }
    delete = counts.reduce(0) { $0 + $1.delete }
  }
}
