package import Model
package import Planning
import Ports

/// What is wrong with a host, for people and for programs.
package struct DoctorView: View {
  package var examination: Examination
  package var findings: [Finding]
  private let place: HostPlace

  /// `place` gives failures of ports their words.
  package init(examination: Examination, findings: [Finding], place: HostPlace) {
    self.examination = examination
    self.findings = findings
    self.place = place
  }

  package var document: DoctorDocument {
    DoctorDocument(
      host: examination.hostName, checks: checks, findings: findings.map(words),
      reboot: RebootRequired(examination, findings).map(RebootDocument.init))
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    columns.heading("Asked")
    for check in checks { columns.row(check.isAnswered ? .same : .refuse, check.name, "", check.answer) }
    if !findings.isEmpty {
      columns.heading("Findings")
      for finding in findings.map(words) {
        let about = finding.subject.isEmpty ? "" : "\(finding.subject): "
        columns.row(
          finding.isNote ? .same : .refuse, finding.name, "", about + finding.meaning,
          notes: ["seen: \(finding.evidence)"] + Words.lines("cause: \(finding.cause)")
            + Words.lines(finding.next.map { "next: \($0)" } ?? ""))
      }
    }
    let problems = findings.count { !$0.isNote }
    let notes = findings.count - problems
    let summary =
      (problems == 0 ? "No problem found" : Words.count(problems, "problem"))
      + (notes == 0 ? "." : ", " + Words.count(notes, "note") + ".")
    if let reboot = RebootRequired(examination, findings) {
      columns.heading("Restart required")
      columns.row(.wait, reboot.reasons.map(\.rawValue).joined(separator: ", "), "", reboot.words)
    }
    let name = style.printable(examination.hostName)
    return "\(name)\n\n\(columns.rendered())\n\(style.printable(summary))\n"
  }

  /// One place that was asked, and what it said.
  struct Check: Encodable, Sendable {
    var name: String
    var isAnswered: Bool
    var answer: String
  }

  private var checks: [Check] {
    func check<Value>(_ name: String, _ result: Result<Value, HostError>?, _ answer: (Value) -> String) -> Check {
      switch result {
      case .success(let value)?: Check(name: name, isAnswered: true, answer: answer(value))
      case .failure(let error)?: Check(name: name, isAnswered: false, answer: place.failure(for: error).message)
      case nil: Check(name: name, isAnswered: false, answer: "not read, because a place that it needs did not answer")
      }
    }
    return [
      check("hypervisor", examination.hypervisor) {
        "Xen \($0.version), \($0.hasIOMMU ? "with" : "without") IOMMU"
          + ($0.library.map { "; berth was built for Xen \($0)" } ?? "")
      },
      check("xenstored", examination.store) { "answers, \(Words.count($0.count, "error node"))" },
      check("pciback", examination.pciback) {
        $0.isLoaded ? "loaded, \(Words.count($0.deviceCount, "device"))" : "not loaded"
      },
      check("records", examination.records) { Words.count($0, "domain") + damage(.record) },
      check("intents", examination.intents) { Words.count($0.count, "intent") + damage(.intent) },
      check("libxl's locks", examination.locks) { Words.count($0.count, "lock file") },
      check("devices", examination.observation) {
        "\(Words.count($0.devices.count, "device")), \(Words.count($0.domains.count, "domain"))"
      },
    ]
  }

  /// Returns `, 1 damaged`; empty if no file of this kind is damaged.
  private func damage(_ kind: DamagedFile.Kind) -> String {
    let number = examination.damaged.count { $0.kind == kind }
    return number == 0 ? "" : ", \(number) damaged"
  }

  /// The port's own hint knows the place: whether this is a sandbox, and who asks.
  private func nextStep(_ ailment: Ailment, _ failure: Failure?) -> String? {
    let remedy = ailment.explanation.remedy?.text()
    return switch ailment {
    case .recordUnreadable where failure?.status != .notPermitted: remedy
    case .intentUnreadable where failure?.status != .notPermitted: remedy
    default: failure?.hint ?? remedy
    }
  }

  private func words(_ finding: Finding) -> FindingDocument {
    switch finding.kind {
    case .drift(let drift):
      return FindingDocument(
        name: drift.name.rawValue,
        subject: [finding.subject, drift.domain.map(Words.holder) ?? ""].filter { !$0.isEmpty }
          .joined(separator: ", "),
        meaning: drift.name.explanation.meaning, evidence: drift.evidence, cause: drift.name.explanation.cause,
        next: drift.outcome.isRepaired
          ? "`berth apply` with a manifest repairs it"
          : drift.remedy ?? drift.name.explanation.remedy?.text(device: drift.device, in: drift.domain)
            ?? "`berth status --drift` with a manifest shows what an apply does about it",
        isNote: finding.isNote)
    case .ailment(let ailment):
      let failure = finding.error.map { place.failure(for: $0) }
      return FindingDocument(
        name: ailment.rawValue, subject: finding.subject, meaning: ailment.explanation.meaning,
        evidence: failure?.message ?? finding.evidence, cause: ailment.explanation.cause,
        next: finding.isNote && ailment != .lockHeld ? nil : nextStep(ailment, failure), isNote: finding.isNote)
    }
  }
}

/// What is wrong with a host for programs: `{"formatVersion": 1, "kind": "Diagnosis", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct DoctorDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "Diagnosis", formatVersion: 1)
  let host: String
  /// Whether there is a finding that is more than a note.
  let hasProblems: Bool
  let checks: [DoctorView.Check]
  package let findings: [FindingDocument]
  /// Nil if no restart is required.
  let rebootRequired: RebootDocument?

  init(host: String, checks: [DoctorView.Check], findings: [FindingDocument], reboot: RebootDocument? = nil) {
    rebootRequired = reboot
    self.host = host
    self.checks = checks
    self.findings = findings
    hasProblems = findings.contains { !$0.isNote }
  }
}

package struct FindingDocument: Encodable, Sendable {
  package let name: String
  let subject: String
  let meaning: String
  let evidence: String
  let cause: String
  package let next: String?
  let isNote: Bool
}

extension RebootRequired {
  var words: String {
    "what is configured for the start of the host is not in force" + (bootID.map { "; this start is \($0)" } ?? "")
  }
}

/// That the host has to be started again.
struct RebootDocument: Encodable, Sendable {
  let bootId: String?
  let reasons: [String]

  init(_ reboot: RebootRequired) {
    bootId = reboot.bootID
    reasons = reboot.reasons.map(\.rawValue)
  }
}
