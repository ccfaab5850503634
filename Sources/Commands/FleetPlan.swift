import ArgumentParser
import Manifest
import Model
import Planning
import Reconciling
import Rendering

/// Where `plan` looks at many hosts instead of one.
struct FleetOption: ParsableArguments {
  @Option(
    name: .customLong("fleet"),
    help: ArgumentHelp(
      "Plan for every host in DIR. Each has a snapshot DIR/NAME.json, or a subdirectory with its snapshot and manifests.",
      valueName: "dir"))
  var directory: String?
}

extension PlanCommand {
  /// Plans for each host of a directory on its snapshot, and shows all plans as one answer.
  func planFleet(in directory: String, _ context: CommandContext) throws(Failure) -> ExitStatus {
    try checkFleetOptions()
    let found: FleetDirectory
    do throws(FileFault) { found = try FleetDirectory(directory) } catch { throw Failure(.noManifest, error.message) }
    let hasOwn = found.members.contains(where: \.hasManifests)
    let paths = try manifests.resolved(in: context, isOptional: hasOwn)
    let shared: FleetManifests
    let read = try readManifests { () throws(ManifestFailure) in
      // The directory can be both: manifests beside snapshots.
      try FleetManifests(
        paths: paths, hostCount: found.members.count, besides: paths.contains(directory) ? found.known : [])
    }
    switch read {
    case .valid(let manifests): shared = manifests
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      throw Failure(.invalidManifest, "\(diagnostics.errors) in the manifests; no host was planned")
    }
    report(shared.warnings, in: context)
    warn(
      ofUnread: found.unread.filter {
        !paths.contains(directory) && !paths.contains(FleetDirectory.join(directory, $0))
      },
      in: directory, context)
    let planner = FleetPlanner(command: self, paths: paths, shared: shared, context: context)
    let members = concurrently(found.members, workers: min(context.processorCount, Self.mostWorkers)) {
      planner.plan($0)
    }
    showMessages(of: members, besides: Set(shared.warnings.map { $0.text.description }), in: context)
    let planned = members.withoutTwins()
    let hosts = (planned + missing(in: directory, shared.hosts, besides: planned)).sorted {
      (Name($0.name), $0.source) < (Name($1.name), $1.source)
    }
    let status = exitStatus(
      ofHosts: hosts.filter { $0.failure != nil }.map(\.status),
      planned: hosts.filter { $0.failure == nil }.map(\.status))
    try show(FleetView(hosts: hosts, status: status, directory: context.directory), in: context)
    return status
  }

  /// The most hosts that are planned at once: each needs the memory for its snapshot.
  private static var mostWorkers: Int { 8 }

  /// Warns of entries of a directory that a person may have meant as manifests.
  func warn(ofUnread names: [String], in directory: String, _ context: CommandContext) {
    if names.isEmpty { return }
    let more = names.count > 8 ? " and \(names.count - 8) more" : ""
    _ = warn(
      "not read in \(directory): \(names.prefix(8).map(quoted).joined(separator: ", "))\(more)",
      next: "give manifests of all hosts as arguments, and put those of one host into its subdirectory as *.yaml",
      in: context)
  }

  private func checkFleetOptions() throws(Failure) {
    let others: [(isGiven: Bool, option: String, reason: String)] = [
      (source.host != nil, "--host", "one host"), (global.sandbox != nil, "--sandbox", "one host"),
      (out != nil, "--out", "the plan of one host"), (lock.file != nil, "--lock", "the lock of one host"),
      (!policy.overrides.isEmpty, "--override", "a device of one host"),
    ]
    guard let other = others.first(where: \.isGiven) else { return }
    throw Failure(
      .usage, "\(other.option) is about \(other.reason), and --fleet plans for many hosts",
      hint: "`berth plan --host FILE` plans for one of them")
  }

  /// Writes what was said of each host, below its name. What a manifest of many hosts has wrong is said once.
  private func showMessages(of members: [PlannedMember], besides known: Set<String>, in context: CommandContext) {
    var known = known
    let style = global.errorStyle(in: context)
    for member in members {
      let new = member.diagnostics.filter { known.insert($0.description).inserted } + member.messages
      if new.isEmpty { continue }
      context.standardError("\(style.printable("host \(member.host.name):"))\n\(new.reduce("") { $0 + $1 })")
    }
  }

  /// Returns the hosts that manifests name, and of which nobody has a snapshot.
  private func missing(in directory: String, _ declared: [Name], besides planned: [FleetHost]) -> [FleetHost] {
    let names = Set(planned.map { Name($0.name) })
    return declared.filter { !names.contains($0) }.map { name in
      FleetHost(
        name: name.text, source: "", place: "",
        failure: Failure(
          .noManifest, "a manifest names this host, and no snapshot of it is in \(directory)",
          hint: "`berth snapshot --out FILE` on the host writes one"))
    }
  }
}
