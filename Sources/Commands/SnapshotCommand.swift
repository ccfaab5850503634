import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering
import Snapshots

/// `berth snapshot`: writes what can be seen of a host into one file.
struct SnapshotCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot",
    abstract: "Write what can be seen of this host into one file; changes nothing.",
    discussion: """
      plan, status, doctor and devices answer from the file, with --host FILE, as they answer on the host. The file has \
      no passwords of guests. With --redact, it has no names of hosts and domains either, no UUIDs, serial numbers and \
      hardware addresses, and no paths of people: each original gets the same substitute wherever it stands. \
      Each disk of dom0 is opened for a moment, to learn whether somebody holds it.
      """)

  @Flag(help: "Replace what names or numbers the host, its domains, its cards and its people.")
  var redact = false

  @Option(
    name: .customLong("out"),
    help: ArgumentHelp("Write the file, readable only by you, instead of printing it.", valueName: "file"))
  var out: String?

  @OptionGroup var global: GlobalOptions

  var formats: [OutputFormat] { [.table] }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    if out == "" { throw Failure(.usage, "the name of the snapshot's file is empty") }
    if let out, isLink(out) {
      throw Failure(.usage, "\(out) is a link", hint: "name the file itself, or leave out --out to print the snapshot")
    }
    let sandbox = global.sandboxDirectory(in: context)
    var snapshot = try openHost(in: context).record(context.userID, sandbox)
    snapshot.deviceNames = context.names(Set(snapshot.functions.compactMap(\.id)))
    let classes = context.classNames(Set(snapshot.functions.compactMap(\.deviceClass)))
    for (code, name) in classes { snapshot.classNames[Snapshot.key(ofClass: code)] = name }
    for failure in snapshot.failures {
      _ = warn("\(context.failure(for: failure, sandbox: sandbox).message); the snapshot says so", in: context)
    }
    let bytes: [UInt8]
    do throws(SnapshotFault) { bytes = try (redact ? snapshot.redacted() : snapshot).encoded() } catch {
      throw Failure(.failed, "the snapshot \(error.reason)")
    }
    guard let out else {
      try write(in: context) { TerminalText(json: String(decoding: bytes, as: UTF8.self)) }
      return .done
    }
    try asking(context) { () throws(HostError) in try context.replacePrivateFile(out, bytes) }
    context.standardError("\(global.errorStyle(in: context).printable("wrote \(out)"))\n")
    return .done
  }
}
