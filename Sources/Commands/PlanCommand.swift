import ArgumentParser
import Manifest
package import Model
import Planning
import Ports
import Reconciling
import Rendering

/// `berth plan`: shows what would change, and changes nothing.
struct PlanCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Show what an apply would change; changes nothing.")

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var policy: PolicyOptions
  @OptionGroup var lock: LockOptions
  @OptionGroup var source: SnapshotOption
  @OptionGroup var fleet: FleetOption
  @OptionGroup var global: GlobalOptions

  // With --fleet, the option is refused before its file is read.
  var snapshotFile: String? { fleet.directory == nil ? source.host : nil }

  @Flag(name: .customLong("detailed-exitcode"), help: "Exit with 2 if there is something to change.")
  var detailedExitCode = false

  @Option(
    name: .customLong("out"),
    help: ArgumentHelp(
      "Also save the plan in this file. `berth apply FILE` then applies it, if a fresh plan is the same.",
      valueName: "file"))
  var out: String?

  var formats: [OutputFormat] {
    [.table, .json, .jsonl, .markdown, .html, .github, .sarif, .gitlab, .gitlabSummary, .junit]
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    if let directory = fleet.directory { return try planFleet(in: directory, context) }
    if let out { try checkPlace(out) }
    let prepared = try prepare(manifests, policy, lock, in: context)
    // The fingerprint needs one more answer of the host.
    let isNeeded = out != nil || global.verbose || global.output != .table
    let consent = isNeeded ? prepared.consent : nil
    try show(
      prepared.view(
        fingerprint: consent?.fingerprint, naming: context.naming(prepared.plan.steps.map(\.deviceID))), in: context)
    if let out, let consent { try save(prepared, consent, policy, to: out, in: context) }
    return exitStatus(
      of: prepared.plan, isDetailed: detailedExitCode, requiresRunning: policy.requireRunning)
  }
}

/// What is declared, what was observed, and the plan between the two.
struct PreparedPlan {
  var session: HostSession
  var shown: ShownPlan
  var warnings: [String]
  /// In what the host differs from its lock; nil if it has none.
  var lock: LockReport?
  /// The manifests as they were read.
  var texts: [ManifestText]
  /// The functions of dom0; nil if the plan needed none of them.
  var inventory: Inventory?
  var declarations = Declarations()

  var plan: Plan { shown.plan }

  /// What a person agrees to who sees the plan.
  var consent: PlanConsent { PlanConsent(to: plan, bootID: session.bootID()) }

  func view(fingerprint: String? = nil, naming: @escaping DeviceNaming) -> PlanView {
    PlanView(
      plan: plan, warnings: warnings, lock: lock, fingerprint: fingerprint, naming: naming, declarations: declarations)
  }
}

/// How a run deviates from the manifest's policy.
struct PolicyOptions: ParsableArguments {
  @Option(
    help: "What happens to undeclared devices, in place of the manifest's policy: never, owned, all.")
  var prune: Policy.Prune?

  @Flag(
    name: .customLong("allow-removals"),
    help: "Detach more devices than policy.maxRemovals allows, or all devices of what no manifest names.")
  var allowRemovals = false

  @Flag(name: .customLong("require-running"), help: "Fail if a declared domain cannot take its devices now.")
  var requireRunning = false

  @OptionGroup var modules: ModuleOptions

  @Option(
    name: .customLong("override"),
    help: ArgumentHelp(
      "Take this device from its driver although something stands on it, for a reason that is recorded. Can be repeated.",
      valueName: "address=reason"),
    transform: OverrideArgument.parse)
  var overrides: [OverrideArgument] = []

  /// Whether any option deviates from the manifest's policy.
  var isGiven: Bool {
    prune != nil || allowRemovals || requireRunning || !overrides.isEmpty || !modules.loadModules
  }

  /// Returns these options for a saved plan.
  func saved(in context: CommandContext) -> SavedPlan.Options {
    var given: [PCIAddress: InterlockOverride] = [:]
    for override in overrides {
      given[override.device] = InterlockOverride(reason: override.reason, user: context.userName)
    }
    return SavedPlan.Options(
      prune: prune, allowsRemovals: allowRemovals, requiresRunning: requireRunning, loadsModules: modules.loadModules,
      overrides: given)
  }

  /// Returns the desired state with these options in place of its own policy.
  func applied(to desired: DesiredState, in context: CommandContext) -> DesiredState {
    saved(in: context).applied(to: desired)
  }
}

extension Policy.Prune: ExpressibleByArgument {}

/// A device and the reason to take it, as `--override` has them.
struct OverrideArgument: Hashable, Sendable {
  let device: PCIAddress
  let reason: String

  /// Reads `0000:04:00.0=the disk is a guest's`.
  static func parse(_ text: String) throws -> OverrideArgument {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, let device = PCIAddress(parts[0]), parts[1].contains(where: { !$0.isWhitespace }) else {
      throw ValidationError("'\(text)' is no device with a reason; write it as 0000:04:00.0='why it may be taken'")
    }
    guard parts[1].utf8.count <= 1000 else { throw ValidationError("the reason has more than 1000 bytes") }
    return OverrideArgument(device: device, reason: parts[1])
  }
}

extension CommandContext {
  /// The person who started the program, as far as its environment shows.
  var userName: String {
    let names: [Environment.Variable] = [.sudoUser, .loginName, .user]
    return names.lazy.compactMap(environment.text).first.map { String($0.prefix(64)) } ?? "user \(userID)"
  }
}

extension LoadedManifests {
  /// Returns where the manifests declare the devices of the host.
  func declarations(in context: CommandContext) -> Declarations {
    let marks = marks
    return Declarations(files: files, directory: context.directory) { domain, label, address in
      marks.mark(of: domain, label: label, address: address).map { mark in
        ManifestPlace(file: mark.source.name, line: mark.line, column: mark.column)
      }
    }
  }
}

extension CommandContext {
  /// The directory that the program was started in, as far as its environment shows.
  var directory: String? { environment[.workingDirectory] }

  /// Returns the names of these devices, looked up once.
  func naming(_ ids: [DeviceID?]) -> DeviceNaming {
    let names = names(Set(ids.compactMap(\.self)))
    return { names[$0] }
  }

  /// Returns the names of an inventory's devices and classes.
  func functionNames(of inventory: Inventory) -> FunctionNames {
    let classes = classNames(Set(inventory.functions.compactMap(\.deviceClass)))
    return FunctionNames(device: naming(inventory.functions.map(\.id)), deviceClass: { classes[$0] })
  }
}

extension BerthCommand {
  /// Reads the manifests, observes the host, and plans: the same for `plan` and for `apply`.
  func prepare(
    _ manifests: ManifestOptions, _ policy: PolicyOptions, _ lock: LockOptions, in context: CommandContext
  ) throws(Failure) -> PreparedPlan {
    let loaded = try load(try manifests.resolved(in: context), in: context)
    var prepared = try prepare(
      loaded, policy.applied(to: loaded.desired, in: context), requiresRunning: policy.requireRunning, in: context)
    let (paths, name) = (try manifests.resolved(in: context), try hostName(in: context))
    prepared.lock = try compareLock(
      desired: loaded.desired, inventory: prepared.inventory, of: prepared.session, in: context
    ) { () throws(ManifestFailure) in try loadLock(named: lock.file, besides: paths, hostName: name) }
    return prepared
  }

  /// Observes the host, and plans for what was read.
  func prepare(
    _ loaded: LoadedManifests, _ desired: DesiredState, requiresRunning: Bool, in context: CommandContext
  ) throws(Failure) -> PreparedPlan {
    let session = try openHost(in: context)
    let observation = try asking(context) { () throws(HostError) in try session.observe(desired) }
    var plan = session.plan(desired, ObservationIndex(observation))
    let unready = plan.unreadyCount
    if requiresRunning, unready > 0, plan.refusal == nil { plan.refusal = .notRunning(count: unready) }
    let shown = ShownPlan(plan: plan, desired: desired, runs: observation.runs)
    let warnings =
      loaded.warnings.map(\.message) + warn(of: observation.damaged, in: context)
      + plan.unusedOverrides(of: desired.policy).map { device in
        warn(
          "--override \(device) changes nothing: this plan does not take the device from a driver on which something stands",
          in: context)
      }
    return PreparedPlan(
      session: session, shown: shown, warnings: warnings, texts: loaded.texts, inventory: observation.inventory,
      declarations: loaded.declarations(in: context))
  }
}
