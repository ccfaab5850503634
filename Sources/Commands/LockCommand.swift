import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth lock`: writes down what the devices of manifests mean on this host.
struct LockCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock",
    abstract: "Write down which devices the manifests mean on this host now; changes nothing on the host.",
    discussion: """
      Prints the address, the id and the serial number that each declared device has. With --write, the lock is kept \
      beside the first manifest, as HOST.lock.yaml. From then on, plan and apply say what differs, and validate says \
      what the manifest no longer declares so.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  @Flag(help: "Write the lock beside the first manifest, as HOST.lock.yaml, in place of the one that is there.")
  var write = false

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let paths = try manifests.resolved(in: context)
    let loaded = try load(paths, in: context)
    let name = try hostName(in: context)
    let session = try openHost(in: context)
    let inventory = try asking(context) { () throws(HostError) in try session.inventory(DesiredState.lockedFacts) }
    let (lock, open) = loaded.desired.locked(on: name, in: inventory)
    for step in open {
      _ = warn("\(step.label) is not in the lock: \(step.obstacle.rawValue), \(step.evidence)", in: context)
    }
    // A lock with gaps would look as if the device had never been declared.
    guard !open.contains(where: \.countsAsBlocked) else {
      throw Failure(
        .blocked, "no lock was written, because not every device is found",
        hint: "`berth plan` shows what to do; `required: false` leaves a missing device out")
    }
    let view = LockView(lock: lock, open: open)
    guard write else {
      try show(view, in: context)
      return .done
    }
    guard let path = lockPath(besides: paths, hostName: name) else {
      throw Failure(.usage, "there is no file of a manifest beside which the lock could be", hint: "leave out --write")
    }
    let bytes = Array(view.text(TextStyle()).description.utf8)
    try asking(context) { () throws(HostError) in try context.replaceFile(path, bytes) }
    context.standardError("\(global.errorStyle(in: context).printable("wrote \(path)"))\n")
    return .done
  }
}

/// Which lock is compared with the host.
struct LockOptions: ParsableArguments {
  @Option(
    name: .customLong("lock"),
    help: ArgumentHelp(
      "The lock to compare the host with, in place of HOST.lock.yaml beside a manifest.", valueName: "file"))
  var file: String?
}

extension BerthCommand {
  /// Returns in what the host differs from its lock, which `read` reads; nil if it has no lock.
  func compareLock(
    desired: DesiredState, inventory: Inventory?, of session: HostSession, in context: CommandContext,
    _ read: () throws(ManifestFailure) -> LoadedLock?
  ) throws(Failure) -> LockReport? {
    let name = try hostName(in: context)
    switch try readManifests(read) {
    case .valid(nil): return nil
    case .valid(let loaded?):
      guard loaded.lock.host == name else {
        throw Failure(
          .invalidManifest, "the lock \(loaded.path) is of host \(loaded.lock.host), and this host is \(name)",
          hint: "name another lock with --lock, or write this one again with `berth lock --write`")
      }
      let functions: Inventory
      if let inventory {
        functions = inventory
      } else {
        functions = try asking(context) { () throws(HostError) in try session.inventory(DesiredState.lockedFacts) }
      }
      return LockReport(path: loaded.path, differences: desired.differences(from: loaded.lock, in: functions))
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      throw Failure(.invalidManifest, "the lock is not valid; nothing was touched")
    }
  }
}
