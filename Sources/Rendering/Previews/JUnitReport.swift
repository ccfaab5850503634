import Model
import Planning

/// The declared devices of a plan as the cases of a test report.
struct JUnitReport: Sendable {
  private enum Result: Int {
    case passed, pending, blocked
  }

  private struct Case {
    let domain: String
    let name: String
    var result: Result
    var message = ""
    var text = ""
  }

  /// The most bytes of a report that GitLab reads.
  static let longest = 30_000_000
  /// The room for what stands around the suites, and for the case that says what is left out.
  private static let reserve = 1_000

  private let host: String
  private var cases: [Case] = []
  /// Where each case is: one device of one domain can have several steps.
  private var places: [String: Int] = [:]

  /// Makes the report of a host that could not be planned: one case, which failed.
  init(host: String, failure: String) {
    self.host = host
    add(Case(domain: host, name: "plan", result: .blocked, message: "host-not-planned", text: failure))
  }

  /// Makes the report of a plan. In a report of many hosts, each domain is named with its host: GitLab shows no other
  /// name of a suite.
  init(_ plan: Plan, isOneOfMany: Bool = false) {
    host = plan.host.name
    let prefix = isOneOfMany ? "\(plan.host.name): " : ""
    if let refusal = plan.refusal {
      add(Case(domain: host, name: "plan", result: .blocked, message: refusal.name.rawValue, text: refusal.sentence))
    }
    for domain in plan.domains {
      let holder = prefix + Words.holder(domain.holder)
      for step in domain.steps {
        let result: Result
        switch step.kind {
        case .blocked: result = .blocked
        case .pending: result = .pending
        case .unchanged, .change(.attach, _), .change(.reattach, _), .change(.move, _), .change(.adopt, _):
          result = .passed
        case .change(.detach, _), .change(.repair, _), .kept, .foreign, .drift:
          if step.after == nil { continue }
          result = .passed
        }
        let next = result == .passed ? nil : step.nextStep(in: domain.holder)
        add(
          Case(
            domain: holder, name: [step.device.description, step.label].compactMap(\.self).joined(separator: " "),
            result: result, message: step.reason.name,
            text: PlanView.words(for: step) + (next.map { "; next: \($0)" } ?? "")))
      }
      for step in domain.unresolved {
        add(
          Case(
            domain: holder, name: "\(step.label) (\(step.selector))", result: .blocked,
            message: step.obstacle.rawValue, text: step.evidence + (step.nextStep.map { "; next: \($0)" } ?? "")))
      }
    }
  }

  /// Adds a case. Of several steps of a device, the worst counts.
  private mutating func add(_ new: Case) {
    let key = "\(new.domain)\u{0}\(new.name)"
    guard let place = places[key] else {
      places[key] = cases.count
      cases.append(new)
      return
    }
    if cases[place].result.rawValue < new.result.rawValue { cases[place] = new }
  }

  /// Returns the report, ended by a newline.
  func text() -> MarkupText { Self.text(of: [self]) }

  /// Returns one report with a suite per host, ended by a newline, of at most `longest` bytes. Cases that pass are left out
  /// first, and then those that are skipped; a host without any case left has no suite. One more case says how many are
  /// left out, and has failed if one of them has.
  static func text(of reports: [JUnitReport], longest: Int = longest) -> MarkupText {
    for least in [Result.passed, .pending] {
      let text = text(of: reports) { $0.result.rawValue >= least.rawValue }
      if text.description.utf8.count <= longest { return text }
    }
    var room = longest - reserve
    var suites: Set<String> = []
    return text(of: reports) { host, one in
      guard one.result == .blocked else { return false }
      let isNew = suites.insert(host).inserted
      room -= text(of: one).description.utf8.count + (isNew ? suite(host, []).description.utf8.count + 20 : 0)
      return room > 0
    }
  }

  private static func text(of reports: [JUnitReport], keeping isKept: (Case) -> Bool) -> MarkupText {
    text(of: reports) { _, one in isKept(one) }
  }

  private static func text(of reports: [JUnitReport], keeping isKept: (String, Case) -> Bool) -> MarkupText {
    var all: [Case] = []
    var left: [Result: Int] = [:]
    var suites: MarkupText = ""
    for report in reports {
      var kept: [Case] = []
      for one in report.cases {
        if isKept(report.host, one) { kept.append(one) } else { left[one.result, default: 0] += 1 }
      }
      if kept.isEmpty, !report.cases.isEmpty { continue }
      all += kept
      suites += suite(report.host, kept)
    }
    let count = left.values.reduce(0, +)
    if count > 0 {
      let failed = left[.blocked, default: 0]
      let note = Case(
        domain: "berth", name: "\(count) cases are left out, because GitLab reads at most 30 MB",
        result: failed > 0 ? .blocked : .passed, message: "left-out", text: "\(failed) of them have failed")
      all.append(note)
      suites += suite("left out", [note])
    }
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <testsuites \(counts(of: all))>
      \(suites)</testsuites>

      """
  }

  private static func suite(_ name: String, _ cases: [Case]) -> MarkupText {
    """
    <testsuite name="\(name)" \(counts(of: cases))>
    \(cases.map(text).joined())</testsuite>

    """
  }

  private static func counts(of cases: [Case]) -> MarkupText {
    let failures = cases.count { $0.result == .blocked }
    let skipped = cases.count { $0.result == .pending }
    return "tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"0\" skipped=\"\(skipped)\""
  }

  private static func text(of one: Case) -> MarkupText {
    let head: MarkupText = "<testcase classname=\"\(one.domain)\" name=\"\(one.name)\" time=\"0\""
    switch one.result {
    case .passed: return "\(head)/>\n"
    case .pending: return "\(head)>\n<skipped message=\"\(one.message)\">\(one.text)</skipped>\n</testcase>\n"
    case .blocked: return "\(head)>\n<failure message=\"\(one.message)\">\(one.text)</failure>\n</testcase>\n"
    }
  }
}
