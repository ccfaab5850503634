import ArgumentParser
import Model
import Planning
import Ports
import Reconciling
import Rendering

/// `berth apply`: changes the host to what is declared.
struct ApplyCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply",
    abstract: "Change the host to what the manifest declares.",
    discussion: """
      Shows the plan and asks before it changes anything. Without a terminal, --yes must be given instead.
      A file that `berth plan --out` wrote is applied without a question, and only if a fresh plan is the same.
      The first Ctrl-C ends the waits and begins nothing new. The second ends the program immediately.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var policy: PolicyOptions
  @OptionGroup var lock: LockOptions
  @OptionGroup var source: LiveHostOnly
  @OptionGroup var global: GlobalOptions

  @Flag(name: [.customShort("y"), .long], help: "Do not ask before the changes.")
  var yes = false

  @Flag(name: .customLong("dry-run"), help: "Only show the plan, as `berth plan` does.")
  var dryRun = false

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

  @Option(
    help: ArgumentHelp(
      "Apply only if the plan has this fingerprint, which `berth plan -o json` and `berth plan --out` say. Nothing is asked then.",
      valueName: "fingerprint"))
  var expect: String?

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    try source.requireHost("apply")
    let saved = try savedPlan(at: try manifests.resolved(in: context))
    let agreed = try checkConsent(saved, in: context)
    var prepared =
      if let saved { try prepare(saved, in: context) } else { try prepare(manifests, policy, lock, in: context) }
    let requiresRunning = saved?.options.requiresRunning ?? policy.requireRunning
    // Nobody agreed to other repairs of what belongs to no living domain.
    if let agreed { prepared.shown.plan = prepared.plan.keepingHostRepairs(agreedIn: agreed.consent) }
    if let agreed, let stale = staleness(of: prepared, agreed) {
      // A plan that was applied already is no stale one.
      guard stale.isOnlyDone, saved?.consent.isCarriedOut(in: prepared.plan) == true else {
        try show(stale, in: context)
        return .stalePlan
      }
    }
    if agreed != nil { prepared.shown.isExact = true }
    return try apply(prepared, isAgreed: agreed != nil, requiresRunning: requiresRunning, in: context)
  }

  /// Returns what was agreed to before; nil if nothing was. Throws if the options do not fit together.
  private func checkConsent(_ saved: SavedPlan?, in context: CommandContext) throws(Failure) -> Agreed? {
    if let expect, !PlanConsent.isFingerprint(expect) {
      throw Failure(
        .usage, "'\(expect)' is no fingerprint: that is sha256: and 64 hexadecimal digits",
        hint: "`berth plan -o json` has it as fingerprint")
    }
    if let saved {
      guard !policy.isGiven, lock.file == nil else {
        throw Failure(
          .usage, "a saved plan has the options with which it was made, and takes no others",
          hint: "save it again with `berth plan --out` and these options")
      }
      guard expect == nil || expect == saved.consent.fingerprint else {
        throw Failure(.stalePlan, "the saved plan has another fingerprint: \(saved.consent.fingerprint)")
      }
      return .plan(saved)
    }
    if let expect { return .fingerprint(expect) }
    if !dryRun && !yes && !context.isInputTerminal {
      throw Failure(
        .usage, "apply asks before it changes anything, but there is no terminal for the question",
        hint: "run `berth plan` first, then `berth apply --yes`; or save the plan with `berth plan --out`")
    }
    return nil
  }

  /// Shows the plan, asks unless it is agreed to, and carries it out.
  private func apply(
    _ prepared: PreparedPlan, isAgreed: Bool, requiresRunning: Bool, in context: CommandContext
  ) throws(Failure) -> ExitStatus {
    let yes = yes || isAgreed
    let naming = context.naming(
      prepared.plan.steps.map(\.deviceID) + prepared.plan.driverSteps.map(\.deviceID))
    let view = prepared.view(naming: naming)
    if dryRun {
      try show(view, in: context)
      return exitStatus(of: prepared.plan, isDetailed: false, requiresRunning: requiresRunning)
    }
    let plan = prepared.plan
    guard plan.refusal == nil else {
      let applied = AppliedPlan(plan: plan, outcome: ApplyOutcome())
      let status = exitStatus(of: applied.outcome, plan: plan, requiresRunning: requiresRunning)
      try showResult(of: applied, prepared, status: status, naming: naming, in: context)
      return status
    }
    // Berth's own records change without a question, because nothing else on the host changes.
    if plan.hasChanges {
      showPlan(view, yes: yes, in: context)
      guard yes || isConfirmed(in: context) else { throw Failure(.failed, "not confirmed; nothing was changed") }
    }
    let progress = Progress(context: context, style: global.errorStyle(in: context))
    defer { progress.end() }
    let lines = global.output == .jsonl ? EventLines(context: context, place: place(in: context)) : nil
    let options = ApplyOptions(lockTimeout: lockTimeout.duration, waitTimeout: waitTimeout.duration, audits: audit)
    let applied = try asking(context) { () throws(HostError) in
      try prepared.session.apply(prepared.shown, options) { event in
        progress.report(event)
        lines?.report(event)
      }
    }
    progress.end()
    let status = place(in: context).exitStatus(
      of: applied.outcome,
      exitStatus(of: applied.outcome, plan: applied.plan, requiresRunning: requiresRunning))
    try showResult(of: applied, prepared, status: status, naming: naming, in: context)
    return status
  }

  private func showResult(
    of applied: AppliedPlan, _ prepared: PreparedPlan, status: ExitStatus, naming: @escaping DeviceNaming,
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
      try show(view, in: context)
      return
    }
    let view = ApplyView(
      plan: plan, outcome: outcome, status: status, place: place(in: context),
      warnings: prepared.warnings + (prepared.lock?.warnings ?? []), naming: naming)
    guard global.output == .jsonl else { return try show(view, in: context) }
    let last = RunEventDocument(end: view, run: applied.run.description, at: context.wallClock())
    try write(in: context) { try last.line() }
  }

  private func place(in context: CommandContext) -> HostPlace {
    context.place(sandbox: global.sandboxDirectory(in: context))
  }
}
