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

  @OptionGroup var waits: WaitOptions

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
    let work = CarryingOut(command: self, prepared: prepared, requiresRunning: requiresRunning)
    return dryRun
      ? try work.show(in: context) : try work.apply(isAgreed: yes || agreed != nil, waits, in: context)
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
}
