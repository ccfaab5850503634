import Model
import Rendering

extension BerthCommand {
  /// Shows a plan before the question. For programs, the plan is part of the document.
  func showPlan(_ view: PlanView, yes: Bool, in context: CommandContext) {
    switch global.output {
    case .table: context.standardOutput(view.text(global.style(in: context)) + "\n")
    case .wide, .json, .jsonl, .markdown, .html, .github, .sarif, .gitlab, .gitlabSummary, .junit:
      if !yes { context.standardError(view.text(global.errorStyle(in: context)) + "\n") }
    }
  }

  /// Asks the person at the terminal; returns whether the answer is yes.
  func isConfirmed(in context: CommandContext) -> Bool {
    context.standardError("Apply this plan? [y/N] ")
    guard let answer = context.readLine() else {
      context.standardError("\n")
      return false
    }
    return ["y", "yes"].contains(answer.lowercased().filter { !$0.isWhitespace })
  }
}
