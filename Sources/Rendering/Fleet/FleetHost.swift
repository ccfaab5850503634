import Model
package import Planning

/// What became of one host of a fleet: its plan, as far as the wanted form shows it, or why there is none.
///
/// It does not keep what the host looked like, and of the plan only what is shown: there can be thousands of hosts.
package struct FleetHost: Sendable {
  /// How a host stands, the worst first.
  package enum State: String, Sendable, CaseIterable {
    /// It could not be planned.
    case notPlanned
    /// An apply would refuse something.
    case blocked
    /// An apply would change something.
    case changing
    /// Something waits for a domain.
    case pending
    /// An apply would do nothing.
    case asDeclared
  }

  /// The host's name, as its snapshot has it; that of its file if no snapshot could be read.
  package let name: String
  /// The path of the snapshot; empty if there is none.
  package let source: String
  /// The same, from the fleet's directory on.
  package let place: String
  package let status: ExitStatus
  package let state: State
  /// What is said of the host in one line.
  let sentence: String
  /// Why the host could not be planned; nil if it could.
  package let failure: Failure?
  let domainCount: Int
  let deviceCount: Int
  let detail: Detail

  /// What one form of output shows of a plan beside the line.
  enum Detail: Sendable {
    case none
    case text(TerminalText)
    case document(WithHead<PlanDocument>)
    case lines(PlanLines, warnings: [String], fingerprint: String)
    case annotations([Annotation])
    case counts(ChangeCounts)
    case report(JUnitReport)
  }

  /// Makes a host that could not be planned.
  package init(name: String, source: String, place: String, failure: Failure) {
    self.name = name
    self.source = source
    self.place = place
    self.failure = failure
    status = failure.status
    state = .notPlanned
    sentence = failure.message
    (domainCount, deviceCount) = (0, 0)
    detail = .none
  }

  /// Makes a host of its plan, for one form of output.
  package init(
    source: String, place: String, view: PlanView, status: ExitStatus, format: OutputFormat, style: TextStyle
  ) {
    let plan = view.plan
    name = plan.host.name
    self.source = source
    self.place = place
    self.status = status
    failure = nil
    sentence = plan.refusal?.sentence ?? view.figures
    state =
      switch plan.verdict {
      case .refused, .applicable(leavesBlocked: true): .blocked
      case .applicable(leavesBlocked: false): .changing
      case .nothingToDo: plan.isBlocked ? .blocked : plan.count(.pending) > 0 ? .pending : .asDeclared
      }
    (domainCount, deviceCount) = (plan.domainCount, plan.deviceCount)
    detail = Detail(view, format, style)
  }
}

extension FleetHost.Detail {
  fileprivate init(_ view: PlanView, _ format: OutputFormat, _ style: TextStyle) {
    switch format {
    case .table, .wide: self = style.isVerbose ? .text(view.text(style)) : .none
    case .json, .jsonl: self = .document(WithHead(view.document))
    case .markdown, .html:
      let lines = PlanLines(view.plan, lock: view.lock, naming: view.naming).of(host: view.plan.host.name)
      self = .lines(
        lines, warnings: view.warnings, fingerprint: view.fingerprint ?? "")
    case .github, .sarif, .gitlab:
      self = .annotations(
        view.annotations.map { annotation in
          var annotation = annotation
          annotation.host = view.plan.host.name
          return annotation
        })
    case .gitlabSummary: self = .counts(ChangeCounts(view.plan))
    case .junit: self = .report(JUnitReport(view.plan, isOneOfMany: true))
    }
  }
}

extension FleetHost.State {
  /// The word for a number of hosts in this state.
  var words: String {
    switch self {
    case .notPlanned: "not planned"
    case .blocked: "blocked"
    case .changing: "with changes"
    case .pending: "pending"
    case .asDeclared: "as declared"
    }
  }

  var mark: Mark {
    switch self {
    case .notPlanned: .unsure
    case .blocked: .refuse
    case .changing: .change
    case .pending: .wait
    case .asDeclared: .same
    }
  }
}
