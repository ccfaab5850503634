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
  @OptionGroup var global: GlobalOptions

  @Flag(name: .customLong("detailed-exitcode"), help: "Exit with 2 if there is something to change.")
  var detailedExitCode = false

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let prepared = try prepare(manifests, policy, lock, in: context)
    try show(prepared.view(naming: context.naming(prepared.plan.steps.map(\.deviceID))), in: context)
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

  var plan: Plan { shown.plan }

  func view(naming: @escaping DeviceNaming) -> PlanView {
    PlanView(plan: plan, warnings: warnings, lock: lock, naming: naming)
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

  /// Returns the desired state with these options in place of its own policy.
  func applied(to desired: DesiredState, in context: CommandContext) -> DesiredState {
    var desired = desired
    for override in overrides {
      desired.policy.overrides[override.device] = InterlockOverride(reason: override.reason, user: context.userName)
    }
    if let prune { desired.policy.prune = prune }
    desired.policy.loadsModules = modules.loadModules
    if allowRemovals {
      desired.policy.maxRemovals = nil
      desired.completeness = .stated
    }
    return desired
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
    let names = ["SUDO_USER", "LOGNAME", "USER"].compactMap { environment[$0] }.filter { !$0.isEmpty }
    return names.first.map { String($0.prefix(64)) } ?? "user \(userID)"
  }
}

extension CommandContext {
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
    let desired = policy.applied(to: loaded.desired, in: context)
    let session = try openHost(in: context)
    let observation = try asking(context) { () throws(HostError) in try session.observe(desired) }
    var plan = session.plan(desired, ObservationIndex(observation))
    let unready = plan.unreadyCount
    if policy.requireRunning, unready > 0, plan.refusal == nil { plan.refusal = .notRunning(count: unready) }
    let shown = ShownPlan(plan: plan, desired: desired, runs: observation.runs)
    let warnings =
      loaded.warnings.map(\.message) + warn(of: observation.damaged, in: context)
      + plan.unusedOverrides(of: desired.policy).map { device in
        warn(
          "--override \(device) changes nothing: this plan does not take the device from a driver on which something stands",
          in: context)
      }
    let differences = try compareLock(
      lock, manifests, desired: loaded.desired, inventory: observation.inventory, of: session, in: context)
    return PreparedPlan(session: session, shown: shown, warnings: warnings, lock: differences)
  }
}
