import ArgumentParser
import Core
import Manifest
import Rendering

/// `berth status`: what the host has.
struct StatusCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show domains and their devices as found, and which stores disagree.",
    discussion: """
      With a manifest, also what is declared. With --drift, what each store says about each device, the name of each \
      difference, and what the next apply does about it; `berth explain NAME` explains a name. Changes nothing.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var options: StatusOptions
  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if options.detailedExitCode, !options.drift { throw ValidationError("--detailed-exitcode needs --drift") }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let paths = try manifests.resolved(in: context, isOptional: true)
    let loaded = paths.isEmpty ? nil : try load(paths, in: context)
    let session = try openHost(in: context)
    let observation = try asking(context) { () throws(HostError) in
      options.drift ? try session.observeEverything(loaded?.desired) : try session.observe(loaded?.desired)
    }
    // Without a manifest nothing is declared, and nothing is to be removed for that.
    let desired = loaded?.desired ?? DesiredState(policy: Policy(prune: .never))
    let index = ObservationIndex(observation)
    let plan = session.plan(desired, index)
    let naming = context.naming(observation.devices.map(\.facts?.id))
    let warnings = loaded?.warnings.map(\.message) ?? []
    guard options.drift else {
      let status = HostStatus(index: index, desired: loaded?.desired, plan: plan)
      try show(StatusView(status: status, warnings: warnings, naming: naming), in: context)
      return .done
    }
    let matrix = makeDriftMatrix(desired: loaded?.desired, index: index, plan: plan)
    try show(DriftView(matrix: matrix, warnings: warnings, naming: naming), in: context)
    return options.detailedExitCode && !matrix.findings.isEmpty ? .changesPending : .done
  }
}

/// What of a status is shown.
struct StatusOptions: ParsableArguments {
  @Flag(help: "Show what each store says about each device, and which stores disagree.")
  var drift = false

  @Flag(name: .customLong("detailed-exitcode"), help: "With --drift: exit with 2 if stores disagree.")
  var detailedExitCode = false
}
