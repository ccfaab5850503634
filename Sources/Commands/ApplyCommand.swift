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
    help: ArgumentHelp("How long to wait for libxl's lock of a domain, such as 10s or 500ms.", valueName: "time"))
  var lockTimeout = DurationArgument(.seconds(10))

  @Option(
    name: .customLong("wait-timeout"),
    help: ArgumentHelp("How long a guest may take to answer.", valueName: "time"))
  var waitTimeout = DurationArgument(.seconds(10))

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
    if plan.refusal != nil || !plan.hasChanges && plan.bookkeeping.isEmpty {
      let status = exitStatus(of: ApplyOutcome(), plan: plan, requiresRunning: policy.requireRunning)
      try showResult(of: ApplyOutcome(), prepared, status: status, naming: naming, in: context)
      return status
    }
    // Berth's own records change without a question: nothing on the host does.
    if plan.hasChanges {
      showPlan(view, in: context)
      guard yes || isConfirmed(in: context) else { throw Failure(.failed, "not confirmed; nothing was changed") }
    }
    let progress = Progress(context: context, style: global.errorStyle(in: context))
    let outcome = prepared.session.apply(
      prepared.plan,
      ApplyOptions(lockTimeout: lockTimeout.duration, waitTimeout: waitTimeout.duration, audits: audit)
    ) { progress.report($0) }
    progress.end()
    let status = exitStatus(of: outcome, plan: prepared.plan, requiresRunning: policy.requireRunning)
    try showResult(of: outcome, prepared, status: status, naming: naming, in: context)
    return status
  }

  /// The plan belongs to the answer for people; for programs it is inside the document, and people see it where they
  /// are asked.
  private func showPlan(_ view: PlanView, in context: CommandContext) {
    switch global.output {
    case .table: context.standardOutput(view.text(global.style(in: context)) + "\n")
    case .json: if !yes { context.standardError(view.text(global.errorStyle(in: context)) + "\n") }
    }
  }

  private func showResult(
    of outcome: ApplyOutcome, _ prepared: PreparedPlan, status: ExitStatus, naming: @escaping DeviceNaming,
    in context: CommandContext
  ) throws(Failure) {
    // With nothing to change, people read the plan's own sentence.
    let isQuiet = outcome.domains.allSatisfy { $0.steps.isEmpty && $0.failure == nil }
    if global.output == .table, isQuiet, prepared.plan.refusal != nil || !prepared.plan.hasChanges {
      try show(prepared.view(naming: naming), in: context)
      return
    }
    try show(
      ApplyView(
        plan: prepared.plan, outcome: outcome, status: status, warnings: prepared.warnings, naming: naming),
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
