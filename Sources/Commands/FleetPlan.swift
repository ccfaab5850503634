import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Reconciling
import Rendering
import Snapshots
import Synchronization

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
    let hasOwn = found.members.contains { $0.directory != nil }
    let paths = try manifests.resolved(in: context, isOptional: hasOwn)
    let shared: FleetManifests
    switch try readManifests({ () throws(ManifestFailure) in try FleetManifests(paths: paths) }) {
    case .valid(let manifests): shared = manifests
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      let errors = diagnostics.reduce(0) { $0 + ($1.severity == .error ? $1.count : 0) }
      throw Failure(.invalidManifest, "\(Words.count(errors, "error")) in the manifests; no host was planned")
    }
    report(shared.warnings, in: context)
    if !found.unread.isEmpty {
      let list = found.unread.prefix(8).map(quoted).joined(separator: ", ")
      let more = found.unread.count > 8 ? " and \(found.unread.count - 8) more" : ""
      _ = warn(
        "not read in \(directory): \(list)\(more)",
        next: "give manifests of all hosts as arguments, and put those of one host into its subdirectory", in: context)
    }
    let planner = FleetPlanner(command: self, paths: paths, shared: shared, context: context)
    let members = concurrently(found.members, workers: context.processorCount) { planner.plan($0) }
    showMessages(of: members, besides: Set(shared.warnings.map { $0.text.description }), in: context)
    let hosts = (members.map(\.host) + missing(in: directory, shared.hosts, besides: members.map(\.host))).unambiguous()
    let status = exitStatus(ofHosts: hosts.map(\.status))
    try show(FleetView(hosts: hosts, status: status, directory: context.directory), in: context)
    return status
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

  /// Writes what was said of each host, below its name. What is said of many hosts is said once.
  private func showMessages(of members: [PlannedMember], besides known: Set<String>, in context: CommandContext) {
    var known = known
    let style = global.errorStyle(in: context)
    for member in members {
      let new = member.messages.filter { known.insert($0.description).inserted }
      if new.isEmpty { continue }
      context.standardError("\(style.printable("host \(member.host.name):"))\n\(new.reduce("") { $0 + $1 })")
    }
  }

  /// Returns the hosts that manifests name, and of which nobody has a snapshot.
  private func missing(in directory: String, _ declared: [Name], besides planned: [FleetHost]) -> [FleetHost] {
    let names = Set(planned.map { Name($0.name) })
    return declared.filter { !names.contains($0) }.map { name in
      FleetHost(
        name: name.text, source: "",
        failure: Failure(
          .noManifest, "a manifest names this host, and no snapshot of it is in \(directory)",
          hint: "`berth snapshot --out FILE` on the host writes one"))
    }
  }
}

/// What became of one host, and what was said meanwhile.
private struct PlannedMember: Sendable {
  let host: FleetHost
  let messages: [TerminalText]
}

/// What is said about one host, kept until all hosts are planned.
private final class Messages: Sendable {
  private let texts = Mutex<[TerminalText]>([])
  func add(_ text: TerminalText) { texts.withLock { $0.append(text) } }
  var all: [TerminalText] { texts.withLock { $0 } }
}

/// What the plans of all hosts share. Each host is planned alone, on the thread that asks.
private struct FleetPlanner: Sendable {
  let command: PlanCommand
  /// The paths of the manifests that all hosts share.
  let paths: [String]
  let shared: FleetManifests
  let context: CommandContext

  /// Plans for one host. Whatever is wrong with it ends no other host's plan.
  func plan(_ member: FleetMember) -> PlannedMember {
    let messages = Messages()
    var context = context
    context.standardError = { messages.add($0) }
    var name = member.name
    let host: FleetHost
    do throws(Failure) { host = try plan(member, name: &name, in: context) } catch {
      host = FleetHost(name: name, source: member.snapshot, failure: error)
    }
    return PlannedMember(host: host, messages: messages.all)
  }

  private func plan(
    _ member: FleetMember, name: inout String, in context: CommandContext
  ) throws(Failure) -> FleetHost {
    if let fault = member.fault { throw Failure(.noManifest, fault.message) }
    let snapshot = try readSnapshot(member.snapshot)
    name = snapshot.hostName
    let place = context.showing(snapshot)
    let loaded = try load(member, hostName: name, in: place)
    let (policy, format) = (command.policy, command.global.output)
    var prepared = try command.prepare(
      loaded, policy.applied(to: loaded.desired, in: place), requiresRunning: policy.requireRunning, in: place)
    prepared.lock = try command.compareLock(
      command.lock, besides: paths + (member.directory.map { [$0] } ?? []), desired: loaded.desired,
      inventory: prepared.inventory, of: prepared.session, in: place)
    // Only these forms have the fingerprint, which costs as much as a small plan.
    let isShown = command.global.verbose || [.json, .jsonl, .markdown, .html].contains(format)
    let view = prepared.view(
      fingerprint: isShown ? prepared.consent.fingerprint : nil,
      naming: place.naming(prepared.plan.steps.map(\.deviceID)))
    return FleetHost(
      source: member.snapshot, view: view,
      status: exitStatus(
        of: prepared.plan, isDetailed: command.detailedExitCode, requiresRunning: policy.requireRunning),
      format: format, style: command.global.style(in: context))
  }

  private func load(
    _ member: FleetMember, hostName: String, in context: CommandContext
  ) throws(Failure) -> LoadedManifests {
    let read = try readManifests { () throws(ManifestFailure) in
      try shared.load(hostName: hostName, directory: member.directory, besides: member.known)
    }
    switch read {
    case .valid(let loaded):
      command.report(loaded.warnings, in: context)
      return loaded
    case .invalid(let diagnostics):
      command.report(diagnostics, in: context)
      let errors = diagnostics.reduce(0) { $0 + ($1.severity == .error ? $1.count : 0) }
      throw Failure(.invalidManifest, "\(Words.count(errors, "error")) in the manifests for this host")
    }
  }
}

extension [FleetHost] {
  /// Returns the hosts in order of name. If several snapshots are of one host, none of them counts as its plan.
  fileprivate func unambiguous() -> [FleetHost] {
    let groups = Dictionary(grouping: self) { $0.name }
    return map { host in
      guard let others = groups[host.name], others.count > 1 else { return host }
      let list = others.prefix(9).map(\.source).filter { $0 != host.source }.joined(separator: ", ")
      return FleetHost(
        name: host.name, source: host.source,
        failure: Failure(
          .invalidManifest, "\(list) is a snapshot of this host, too",
          hint: "keep one snapshot per host in the directory"))
    }.sorted { (Name($0.name), $0.source) < (Name($1.name), $1.source) }
  }
}
