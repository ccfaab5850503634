package import Model
import Planning

/// Where a manifest declares something.
package struct ManifestPlace: Hashable, Sendable {
  package let file: String
  /// From 1; 0 for the file as a whole.
  package let line: Int
  /// From 1, in Unicode scalars.
  package let column: Int

  package init(file: String, line: Int, column: Int) { (self.file, self.line, self.column) = (file, line, column) }
}

/// Where the manifests of a plan declare its devices.
package struct Declarations: Sendable {
  /// Returns where a domain has a device: under this name, or else at this address. If no entry has it, returns where the
  /// domain is declared; nil if it is not.
  package typealias Lookup = @Sendable (_ domain: Name, _ label: String?, _ address: PCIAddress?) -> ManifestPlace?

  /// The files that were read.
  let files: [String]
  /// The directory that paths are relative to; nil if it is not known.
  let directory: String?
  let place: Lookup

  package init(
    files: [String] = [], directory: String? = nil, place: @escaping Lookup = { _, _, _ in nil }
  ) {
    (self.files, self.directory, self.place) = (files, directory, place)
  }
}

/// Something that a program beside a change of a manifest shows at the manifest's lines.
struct Annotation: Hashable, Sendable {
  /// How much it matters; the most severe is the first.
  enum Severity: Int, Hashable, Sendable, CaseIterable, Comparable {
    case error, warning, note

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  }

  var rule: AnnotationRule
  var severity: Severity
  /// What was found, without the names of domain and device.
  var message: String
  /// What a person can do; nil if there is nothing to do.
  var next: String?
  var place: ManifestPlace?
  /// The domain and the device that it is about; empty if it is about no device.
  var domain = ""
  var device = ""
  /// The host that it is about; empty if the answer is about one host.
  var host = ""

  /// The host, the domain, the device, and what was found of them.
  var sentence: String {
    let subject = [device, domain].filter { !$0.isEmpty }.joined(separator: " for ")
    let place = [subject, host].filter { !$0.isEmpty }.joined(separator: " on ")
    return place.isEmpty ? message : "\(place): \(message)"
  }

  /// What tells the annotation from others, however the lines of a file move.
  fileprivate var identity: String {
    ([rule.name, place?.file ?? "", domain, device, device.isEmpty ? message : ""] + (host.isEmpty ? [] : [host]))
      .joined(separator: "\u{0}")
  }
}

/// The kind of an annotation.
struct AnnotationRule: Hashable, Sendable {
  let name: String
  let meaning: String
  let help: String

  init(name: String, meaning: String, help: String) { (self.name, self.meaning, self.help) = (name, meaning, help) }

  /// Makes the rule of a reason, with what the catalogue says of it.
  init(_ reason: Reason) {
    let texts = reason.explanation
    self.init(
      name: reason.name, meaning: texts.meaning,
      help: texts.cause + (texts.remedy.map { " Next: \($0.text())." } ?? ""))
  }

  static let manifestError = AnnotationRule(
    name: "manifest-error", meaning: "the manifest is not valid",
    help: "Nothing is applied while a manifest has an error. `berth schema` prints what a manifest can have.")
  static let hostNotPlanned = AnnotationRule(
    name: "host-not-planned", meaning: "a host of the fleet could not be planned",
    help: "Nobody knows what an apply would do there. The message names the cause.")
  static let manifestWarning = AnnotationRule(
    name: "manifest-warning", meaning: "the manifest is valid, but is perhaps not what is meant",
    help: "A warning does not keep a manifest from being applied.")
}

/// An annotation with what recognises it in the next run.
struct KeyedAnnotation {
  let annotation: Annotation
  /// Different for each annotation of one answer, and the same if only the lines of a file move.
  let key: String
}

extension [Annotation] {
  /// The most severe first; equal ones in their order.
  var bySeverity: [Annotation] {
    Annotation.Severity.allCases.flatMap { severity in filter { $0.severity == severity } }
  }

  /// Each annotation with its key. Findings of one identity are numbered.
  var keyed: [KeyedAnnotation] {
    var seen: [String: Int] = [:]
    return map { annotation in
      let identity = annotation.identity
      seen[identity, default: 0] += 1
      return KeyedAnnotation(annotation: annotation, key: "\(shortDigest(of: identity)):\(seen[identity, default: 1])")
    }
  }
}

extension PlanView {
  /// Why the plan, or a part of it, is not applied now: the most severe first.
  var annotations: [Annotation] {
    var annotations: [Annotation] = []
    let file = declarations.files.first.map { ManifestPlace(file: $0, line: 0, column: 0) }
    if let refusal = plan.refusal {
      annotations.append(
        Annotation(
          rule: AnnotationRule(.refusal(refusal.name)), severity: .error, message: refusal.sentence, place: file))
    }
    for domain in plan.domains {
      let holder = Words.holder(domain.holder)
      for step in domain.steps {
        let severity: Annotation.Severity
        switch step.kind {
        case .blocked: severity = step.countsAsBlocked ? .error : .warning
        case .pending: severity = .note
        case .change, .unchanged, .kept, .foreign, .drift: continue
        }
        annotations.append(
          Annotation(
            rule: AnnotationRule(step.reason), severity: severity, message: Self.words(for: step),
            next: step.nextStep(in: domain.holder),
            place: declarations.place(domain.name, step.label, step.device) ?? file, domain: holder,
            device: [step.device.description, step.label].compactMap(\.self).joined(separator: " ")))
      }
      for step in domain.unresolved {
        annotations.append(
          Annotation(
            rule: AnnotationRule(.obstacle(step.obstacle)), severity: step.countsAsBlocked ? .error : .warning,
            message: "blocked: \(step.obstacle.rawValue), \(step.evidence)" + (step.isRequired ? "" : " (optional)"),
            next: step.nextStep, place: declarations.place(domain.name, step.label, nil) ?? file, domain: holder,
            device: step.label))
      }
    }
    return annotations.bySeverity
  }
}

extension ValidationView {
  /// The remarks, errors first. A remark about no file stands at the first file that is known.
  var annotations: [Annotation] {
    let first = files.first ?? remarks.first { !$0.file.isEmpty }?.file
    return remarks.map { remark in
      Annotation(
        rule: remark.severity == .error ? .manifestError : .manifestWarning,
        severity: remark.severity == .error || isStrict ? .error : .warning, message: remark.message, next: remark.hint,
        place: remark.file.isEmpty
          ? first.map { ManifestPlace(file: $0, line: 0, column: 0) }
          : ManifestPlace(file: remark.file, line: remark.line, column: remark.column))
    }.bySeverity
  }
}
