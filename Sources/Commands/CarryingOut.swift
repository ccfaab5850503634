import ArgumentParser
import Planning
import Ports
import Reconciling
import Rendering

/// How long an apply waits.
struct WaitOptions: ParsableArguments {
  @Option(
    name: .customLong("lock-timeout"),
    help: ArgumentHelp(
      "How long to wait in all for other runs of Berth, and each time for a lock of libxl or of a record, such as 10s.",
      valueName: "time"),
    transform: DurationArgument.parse)
  var lockTimeout = DurationArgument(ApplyOptions().lockTimeout)

  @Option(
    name: .customLong("wait-timeout"),
    help: ArgumentHelp("How long a guest may take to answer.", valueName: "time"),
    transform: DurationArgument.parse)
  var waitTimeout = DurationArgument(ApplyOptions().waitTimeout)

  @Flag(help: "Look again after libxl's longest wait, even if no other toolstack was seen at work.")
  var audit = false

  var options: ApplyOptions {
    ApplyOptions(lockTimeout: lockTimeout.duration, waitTimeout: waitTimeout.duration, audits: audit)
  }
}

/// A plan that a command has made, and shows or carries out.
struct CarryingOut<Owner: BerthCommand> {
  let command: Owner
  let prepared: PreparedPlan
  let requiresRunning: Bool

  private var plan: Plan { prepared.plan }
  private var global: GlobalOptions { command.global }

  private func naming(in context: CommandContext) -> DeviceNaming {
    context.naming(plan.steps.map(\.deviceID) + plan.driverSteps.map(\.deviceID))
  }

  private func place(in context: CommandContext) -> HostPlace {
    context.place(sandbox: global.sandboxDirectory(in: context))
  }

  /// Shows the plan, and changes nothing.
  func show(in context: CommandContext) throws(Failure) -> ExitStatus {
    try command.show(prepared.view(naming: naming(in: context)), in: context)
    return exitStatus(of: plan, isDetailed: false, requiresRunning: requiresRunning)
  }

  /// Shows the plan, asks unless it is agreed to, and carries it out.
  func apply(isAgreed: Bool, _ waits: WaitOptions, in context: CommandContext) throws(Failure) -> ExitStatus {
    let naming = naming(in: context)
    guard plan.refusal == nil else {
      let applied = AppliedPlan(plan: plan, outcome: ApplyOutcome())
      let status = exitStatus(of: applied.outcome, plan: plan, requiresRunning: requiresRunning)
      try showResult(of: applied, status: status, naming: naming, in: context)
      return status
    }
    // Berth's own records change without a question, because nothing else on the host changes.
    if plan.hasChanges {
      command.showPlan(prepared.view(naming: naming), yes: isAgreed, in: context)
      guard isAgreed || command.isConfirmed(in: context) else {
        throw Failure(.failed, "not confirmed; nothing was changed")
      }
    }
    let progress = Progress(context: context, style: global.errorStyle(in: context))
    defer { progress.end() }
    let lines = global.output == .jsonl ? EventLines(context: context, place: place(in: context)) : nil
    let applied = try command.asking(context) { () throws(HostError) in
      try prepared.session.apply(prepared.shown, waits.options) { event in
        progress.report(event)
        lines?.report(event)
      }
    }
    progress.end()
    let status = place(in: context).exitStatus(
      of: applied.outcome,
      exitStatus(of: applied.outcome, plan: applied.plan, requiresRunning: requiresRunning))
    try showResult(of: applied, status: status, naming: naming, in: context)
    return status
  }

  private func showResult(
    of applied: AppliedPlan, status: ExitStatus, naming: @escaping DeviceNaming,
    in context: CommandContext
  ) throws(Failure) {
    let (plan, outcome) = (applied.plan, applied.outcome)
    // If nothing is to be changed, the plan's own sentence says so to people.
    let isQuiet =
      outcome.domains.allSatisfy { $0.steps.isEmpty && $0.failure == nil } && outcome.notShown.isEmpty
      && outcome.drivers.isEmpty && outcome.unshownDrivers.isEmpty && outcome.hostRepairs.isEmpty
      && outcome.hostFailures.isEmpty
    if global.output == .table, isQuiet, !outcome.wasInterrupted, plan.refusal != nil || !plan.hasChanges {
      let view = PlanView(plan: plan, warnings: prepared.warnings, lock: prepared.lock, naming: naming)
      try command.show(view, in: context)
      return
    }
    let view = ApplyView(
      plan: plan, outcome: outcome, status: status, place: place(in: context),
      warnings: prepared.warnings + (prepared.lock?.warnings ?? []), naming: naming)
    guard global.output == .jsonl else { return try command.show(view, in: context) }
    let last = RunEventDocument(end: view, run: applied.run.description, at: context.wallClock())
    try command.write(in: context) { try last.line() }
  }
}
