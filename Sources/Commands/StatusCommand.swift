import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth status`: shows the devices of the host.
struct StatusCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show the domains, their devices, and what is not as it should be.",
    discussion: """
      With a manifest, status also shows what is declared. With --drift, it shows what each store reports about each \
      device, the names of disagreements, and what the next apply does about them. Changes nothing. \
      `berth explain NAME` explains a name.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var options: StatusOptions
  @OptionGroup var source: SnapshotOption
  @OptionGroup var global: GlobalOptions

  var snapshotFile: String? { source.host }

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
    // Without a manifest nothing is declared, and nothing may be removed for that reason.
    let desired = loaded?.desired ?? DesiredState(policy: Policy(prune: .never))
    let index = ObservationIndex(observation)
    let plan = session.plan(desired, index)
    let naming = context.naming(observation.devices.map(\.facts?.id))
    let warnings = (loaded?.warnings.map(\.message) ?? []) + warn(of: observation.damaged, in: context)
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

/// Which parts of a status are shown.
struct StatusOptions: ParsableArguments {
  @Flag(help: "Show what each store reports about each device, and where they disagree.")
  var drift = false

  @Flag(name: .customLong("detailed-exitcode"), help: "With --drift: exit with 2 if stores disagree.")
  var detailedExitCode = false
}
