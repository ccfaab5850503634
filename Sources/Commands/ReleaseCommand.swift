import ArgumentParser
import Model
import Planning
import Ports
import Reconciling
import Rendering

/// `berth release`: returns devices to the drivers of the host.
struct ReleaseCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "release",
    abstract: "Take devices from pciback, and return them to the drivers that had them.",
    discussion: """
      A device that a domain has, or is about to get, is left alone: detach it first. Without a record of Berth's, the \
      driver that xl noted gets the device, or else any driver that wants it. A device that its driver has in Xen's \
      quarantine is taken out of the quarantine. Asks before it changes anything. Without a terminal, --yes must be given instead.
      """)

  @Argument(
    help: ArgumentHelp("The devices' addresses, such as 0000:03:00.0.", valueName: "address"),
    transform: { text in
      guard let address = PCIAddress(text) else {
        throw ValidationError("'\(text)' is no address of a PCI device; write it as 0000:03:00.0")
      }
      return address
    })
  var devices: [PCIAddress]

  @OptionGroup var modules: ModuleOptions
  @OptionGroup var source: LiveHostOnly
  @OptionGroup var global: GlobalOptions

  @Flag(name: [.customShort("y"), .long], help: "Do not ask before the changes.")
  var yes = false

  @Option(
    name: .customLong("lock-timeout"),
    help: ArgumentHelp("How long to wait for other runs of Berth, such as 10s.", valueName: "time"),
    transform: DurationArgument.parse)
  var lockTimeout = DurationArgument(ApplyOptions().lockTimeout)

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    try source.requireHost("release")
    if !yes && !context.isInputTerminal {
      throw Failure(
        .usage, "release asks before it changes anything, but there is no terminal for the question",
        hint: "run it with --yes")
    }
    let session = try openHost(in: context)
    let observation = try asking(context) { () throws(HostError) in try session.observeEverything(nil) }
    let warnings = warn(of: observation.damaged, in: context)
    let plan = makeReleasePlan(of: devices, index: ObservationIndex(observation))
    let naming = context.naming(plan.driverSteps.map(\.deviceID))
    showPlan(PlanView(plan: plan, warnings: warnings, naming: naming), yes: yes, in: context)
    guard yes || isConfirmed(in: context) else { throw Failure(.failed, "not confirmed; nothing was changed") }
    var options = ApplyOptions(lockTimeout: lockTimeout.duration)
    options.loadsModules = modules.loadModules
    let outcome = try asking(context) { () throws(HostError) in try session.release(plan.driverSteps, options) }
    let place = context.place(sandbox: global.sandboxDirectory(in: context))
    let status = place.exitStatus(
      of: outcome, exitStatus(of: outcome, plan: plan, requiresRunning: false))
    try show(
      ApplyView(plan: plan, outcome: outcome, status: status, place: place, warnings: warnings, naming: naming),
      in: context)
    return status
  }
}

/// Whether modules of the kernel may be loaded.
struct ModuleOptions: ParsableArguments {
  @Flag(
    name: .customLong("load-modules"), inversion: .prefixedNo,
    help: "Load the module of pciback, or of a driver that gets a device back, if it is missing.")
  var loadModules = true
}
