import ArgumentParser
import Core
import Manifest
import Rendering

/// `berth status`: what the host has.
struct StatusCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show domains and their devices as found, and what is not as it should be.",
    discussion: "With a manifest, also what is declared. Changes nothing.")

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let paths = try manifests.resolved(in: context, isOptional: true)
    let loaded = paths.isEmpty ? nil : try load(paths, in: context)
    let session = try openHost(in: context)
    let observation = try asking(context) { () throws(HostError) in try session.observe(loaded?.desired) }
    // Without a manifest nothing is declared, and nothing is to be removed for that.
    let desired = loaded?.desired ?? DesiredState(policy: Policy(prune: .never))
    let status = HostStatus(
      observation: observation, desired: loaded?.desired, plan: session.plan(desired, observation))
    let naming = context.naming(observation.devices.map(\.facts?.id))
    try show(
      StatusView(status: status, warnings: loaded?.warnings.map(\.message) ?? [], naming: naming),
      in: context)
    return .done
  }
}
