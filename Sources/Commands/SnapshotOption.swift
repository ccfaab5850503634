import ArgumentParser
import Planning
import Ports
package import Rendering
package import Snapshots

/// Where a command that changes nothing looks: at a host, or at a snapshot of one.
struct SnapshotOption: ParsableArguments {
  @Option(
    name: .customLong("host"),
    help: ArgumentHelp(
      "Look at this file of `berth snapshot` instead of a host. It needs neither root nor Xen.", valueName: "file"))
  var host: String?
}

/// The option of those commands, for commands that change a host: they refuse it, and say why.
struct LiveHostOnly: ParsableArguments {
  @Option(name: .customLong("host"), help: .hidden)
  var host: String?

  /// Throws a usage error if a snapshot was given.
  func requireHost(_ command: String) throws(Failure) {
    guard host != nil else { return }
    throw Failure(
      .usage, "\(command) changes a host, and a snapshot is no host that can be changed",
      hint: "`berth plan --host FILE` shows what an apply would change there")
  }
}

extension BerthCommand {
  /// Returns the context in which this command works: the snapshot's if one was given.
  func context(of context: CommandContext) throws(Failure) -> CommandContext {
    guard let file = snapshotFile else { return context }
    if global.sandbox != nil {
      throw Failure(
        .usage, "--host and --sandbox name two hosts",
        hint: "give one of them; `berth snapshot --sandbox DIR` makes a snapshot of a sandbox")
    }
    return context.showing(try readSnapshot(file))
  }
}

/// Reads a snapshot that a person named. Throws 65 with the reason if the file is none.
package func readSnapshot(_ file: String) throws(Failure) -> Snapshot {
  let bytes = try readFile(file, limit: SnapshotLimits.bytes)
  do throws(SnapshotFault) { return try Snapshot(bytes) } catch {
    throw Failure(
      .invalidManifest, "\(file) \(error.reason)", hint: "`berth snapshot --out FILE` on the host writes a snapshot")
  }
}

extension CommandContext {
  /// Returns the context with a snapshot in place of all hosts.
  ///
  /// What depends on who looked, and where, is as it was: which words an answer has, and what was not permitted.
  func showing(_ snapshot: Snapshot) -> CommandContext {
    var context = self
    context.environment[.sandbox] = snapshot.sandbox
    context.userID = snapshot.userID
    context.wallClock = { snapshot.takenAt }
    context.hostName = { snapshot.hostName }
    context.sandboxHostName = { _ in .success(snapshot.hostName) }
    context.openHost = { _, _, _ in
      let host = snapshot.host
      return HostSession(host: host, applying: { _ in host })
    }
    context.names = { ids in snapshot.deviceNames.filter { ids.contains($0.key) } }
    context.classNames = { codes in
      var names: [UInt32: String] = [:]
      for code in codes { names[code] = snapshot.name(ofClass: code) }
      return names
    }
    return context
  }
}
