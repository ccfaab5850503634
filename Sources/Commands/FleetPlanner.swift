import Manifest
import Model
import Planning
import Ports
import Rendering
import Snapshots
import Synchronization

/// What became of one host, and what was said meanwhile.
struct PlannedMember: Sendable {
  let host: FleetHost
  /// Whether the host's name is that of its snapshot.
  let hasSnapshot: Bool
  /// What the reader of manifests said.
  let diagnostics: [TerminalText]
  /// What else was said.
  let messages: [TerminalText]
}

/// Plans for the hosts of a fleet: each alone, on the thread that asks.
struct FleetPlanner: Sendable {
  let command: PlanCommand
  /// The paths of the manifests that all hosts share.
  let paths: [String]
  let shared: FleetManifests
  let context: CommandContext

  /// Plans for one host. Whatever is wrong with it ends no other host's plan.
  func plan(_ member: FleetMember) -> PlannedMember {
    let (messages, diagnostics) = (Messages(), Messages())
    var context = context
    context.standardError = { messages.add($0) }
    var name: String?
    let host: FleetHost
    do throws(Failure) {
      if let fault = member.fault { throw Failure(.noManifest, fault.message) }
      let snapshot = try readSnapshot(member.snapshot)
      guard snapshot.hostName.contains(where: { !$0.isWhitespace }) else {
        throw Failure(.invalidManifest, "\(member.snapshot) is of a host without a name")
      }
      name = snapshot.hostName
      host = try plan(member, on: snapshot, diagnostics, in: context.showing(snapshot))
    } catch {
      host = FleetHost(name: name ?? member.name, source: member.snapshot, place: member.place, failure: error)
    }
    return PlannedMember(
      host: host, hasSnapshot: name != nil, diagnostics: diagnostics.all, messages: messages.all)
  }

  private func plan(
    _ member: FleetMember, on snapshot: Snapshot, _ diagnostics: Messages, in context: CommandContext
  ) throws(Failure) -> FleetHost {
    if let directory = member.directory { command.warn(ofUnread: member.unread, in: directory, context) }
    let loaded = try load(member, hostName: snapshot.hostName, diagnostics)
    let (policy, format) = (command.policy, command.global.output)
    var prepared = try command.prepare(
      loaded, policy.applied(to: loaded.desired, in: context), requiresRunning: policy.requireRunning, in: context)
    let besides = paths + (member.directory.map { [$0] } ?? [])
    prepared.lock = try command.compareLock(
      desired: loaded.desired, inventory: prepared.inventory, of: prepared.session, in: context
    ) { () throws(ManifestFailure) in try loadLock(named: nil, besides: besides, hostName: snapshot.hostName) }
    let view = prepared.view(
      fingerprint: format.hasFingerprint || command.global.verbose ? prepared.consent.fingerprint : nil,
      naming: context.naming(prepared.plan.steps.map(\.deviceID)))
    return FleetHost(
      source: member.snapshot, place: member.place, view: view,
      status: exitStatus(
        of: prepared.plan, isDetailed: command.detailedExitCode, requiresRunning: policy.requireRunning),
      format: format, style: command.global.style(in: self.context))
  }

  private func load(
    _ member: FleetMember, hostName: String, _ diagnostics: Messages
  ) throws(Failure) -> LoadedManifests {
    let read = try readManifests { () throws(ManifestFailure) in
      try shared.load(
        hostName: hostName, directory: member.hasManifests ? member.directory : nil, besides: member.known)
    }
    switch read {
    case .valid(let loaded):
      for diagnostic in loaded.warnings { diagnostics.add("\(diagnostic.text)\n") }
      return loaded
    case .invalid(let found):
      for diagnostic in found { diagnostics.add("\(diagnostic.text)\n") }
      throw Failure(.invalidManifest, "\(found.errors) in the manifests for this host")
    }
  }
}

/// What is said about one host, kept until all hosts are planned.
final class Messages: Sendable {
  private let texts = Mutex<[TerminalText]>([])
  func add(_ text: TerminalText) { texts.withLock { $0.append(text) } }
  var all: [TerminalText] { texts.withLock { $0 } }
}

extension [PlannedMember] {
  /// Returns the hosts. If several snapshots are of one host, none of them counts as its plan.
  func withoutTwins() -> [FleetHost] {
    let groups = Dictionary(grouping: filter(\.hasSnapshot)) { Name($0.host.name) }
    return map { member in
      let host = member.host
      guard member.hasSnapshot, host.failure == nil, let all = groups[Name(host.name)], all.count > 1 else {
        return host
      }
      let others = all.prefix(9).map(\.host.place).filter { $0 != host.place }.prefix(8).joined(separator: ", ")
      let more = all.count > 9 ? " and \(all.count - 9) more" : ""
      return FleetHost(
        name: host.name, source: host.source, place: host.place,
        failure: Failure(
          .invalidManifest, "another snapshot is of this host, too: \(others)\(more)",
          hint: "keep one snapshot per host in the directory"))
    }
  }
}
