import ArgumentParser
import Core
import Reconciling
import Rendering

/// `berth apply`: makes the host as declared.
struct ApplyCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply",
    abstract: "Make the host as the manifest declares it.",
    discussion: """
      Shows the plan and asks before it changes anything; without a terminal --yes must say so beforehand.
      The first Ctrl-C ends the waits and begins nothing new, the second ends the program at once.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var policy: PolicyOptions
  @OptionGroup var global: GlobalOptions

  @Flag(name: [.customShort("y"), .long], help: "Do not ask.")
  var yes = false

  @Flag(name: .customLong("dry-run"), help: "Only show the plan, as `berth plan` does.")
  var dryRun = false

  @Option(
    name: .customLong("lock-timeout"),
    help: ArgumentHelp(
      "How long to wait for another run of Berth, and for libxl's lock, per domain, such as 10s or 500ms.",
      valueName: "time"))
  var lockTimeout = DurationArgument(ApplyOptions().lockTimeout)

  @Option(
    name: .customLong("wait-timeout"),
    help: ArgumentHelp("How long a guest may take to answer.", valueName: "time"))
  var waitTimeout = DurationArgument(ApplyOptions().waitTimeout)

  @Flag(help: "Look again after another toolstack's longest wait, also where none was seen at work.")
  var audit = false

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    if !dryRun && !yes && !context.isInputTerminal {
      throw Failure(
        .usage, "apply asks before it changes anything, and there is no terminal to ask on",
        hint: "run `berth plan` first, then `berth apply --yes`")
    }
    let prepared = try prepare(manifests, policy, in: context)
    let naming = context.naming(prepared.plan.steps.map(\.deviceID))
    let view = prepared.view(naming: naming)
    if dryRun {
      try show(view, in: context)
      return exitStatus(of: prepared.plan, isDetailed: false, requiresRunning: policy.requireRunning)
    }
    let plan = prepared.plan
    guard plan.refusal == nil else {
      let applied = AppliedPlan(plan: plan, outcome: ApplyOutcome())
      let status = exitStatus(of: applied.outcome, plan: plan, requiresRunning: policy.requireRunning)
      try showResult(of: applied, prepared.warnings, status: status, naming: naming, in: context)
      return status
    }
    // Berth's own records change without a question: nothing on the host does.
    if plan.hasChanges {
      showPlan(view, in: context)
      guard yes || isConfirmed(in: context) else { throw Failure(.failed, "not confirmed; nothing was changed") }
    }
    let progress = Progress(context: context, style: global.errorStyle(in: context))
    defer { progress.end() }
    let options = ApplyOptions(lockTimeout: lockTimeout.duration, waitTimeout: waitTimeout.duration, audits: audit)
    let applied = try asking(context) { () throws(HostError) in
      try prepared.session.apply(prepared.shown, options) { progress.report($0) }
    }
    progress.end()
    let status = exitStatus(of: applied.outcome, plan: applied.plan, requiresRunning: policy.requireRunning)
    try showResult(of: applied, prepared.warnings, status: status, naming: naming, in: context)
    return status
  }

  /// The plan belongs to the answer for people; for programs it is inside the document, and people see it where they
  /// are asked.
  private func showPlan(_ view: PlanView, in context: CommandContext) {
    switch global.output {
    case .table: context.standardOutput(view.text(global.style(in: context)) + "\n")
    case .json, .markdown: if !yes { context.standardError(view.text(global.errorStyle(in: context)) + "\n") }
    }
  }

  private func showResult(
    of applied: AppliedPlan, _ warnings: [String], status: ExitStatus, naming: @escaping DeviceNaming,
    in context: CommandContext
  ) throws(Failure) {
    let (plan, outcome) = (applied.plan, applied.outcome)
    // With nothing to change, people read the plan's own sentence.
    let isQuiet = outcome.domains.allSatisfy { $0.steps.isEmpty && $0.failure == nil } && outcome.notShown.isEmpty
    if global.output == .table, isQuiet, !outcome.wasInterrupted, plan.refusal != nil || !plan.hasChanges {
      try show(PlanView(plan: plan, warnings: warnings, naming: naming), in: context)
      return
    }
    try show(
      ApplyView(
        plan: plan, outcome: outcome, status: status,
        place: context.place(sandbox: global.sandboxDirectory(in: context)), warnings: warnings, naming: naming),
      in: context)
  }

  private func isConfirmed(in context: CommandContext) -> Bool {
    context.standardError("Apply this plan? [y/N] ")
    guard let answer = context.readLine() else {
      context.standardError("\n")
      return false
    }
    return ["y", "yes"].contains(answer.lowercased().filter { !$0.isWhitespace })
  }
}
