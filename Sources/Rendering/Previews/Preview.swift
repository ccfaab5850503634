package import Model

/// The forms that programs beside a change of a manifest show.
package enum PreviewForm: Hashable, Sendable, CaseIterable {
  /// A comment in Markdown.
  case markdown
  /// A page of its own.
  case html
  /// Commands of GitHub's runner.
  case github
  /// A log of SARIF 2.1.0.
  case sarif
  /// GitLab's report of code quality.
  case gitlab
  /// The three numbers that GitLab shows of a plan.
  case gitlabSummary
  /// A report of tests.
  case junit
}

extension PlanView {
  package func preview(_ form: PreviewForm, release: String) throws -> TerminalText? {
    switch form {
    case .markdown: return markdownPage.output
    case .html: return htmlPage.output
    case .github:
      return WorkflowCommands(summary: summary, annotations: annotations, directory: declarations.directory).text()
        .output
    case .sarif:
      return try json(SARIFLog(annotations, directory: declarations.directory, release: release))
    case .gitlab:
      return try json(annotations.keyed.map { CodeQualityIssue($0, directory: declarations.directory) })
    case .gitlabSummary: return try json(ChangeCounts(plan), isIndented: false)
    case .junit: return JUnitReport(plan).text().output
    }
  }
}

extension ValidationView {
  package func preview(_ form: PreviewForm, release: String) throws -> TerminalText? {
    switch form {
    case .markdown: return markdownPage.output
    case .html: return htmlPage.output
    case .github:
      return WorkflowCommands(summary: verdict, annotations: annotations, directory: directory).text().output
    case .sarif: return try json(SARIFLog(annotations, directory: directory, release: release))
    case .gitlab: return try json(annotations.keyed.map { CodeQualityIssue($0, directory: directory) })
    case .gitlabSummary, .junit: return nil
    }
  }
}
