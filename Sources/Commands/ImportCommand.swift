import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth import`: prints a manifest of what a host has.
struct ImportCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Print a manifest of what the domains of this host have now; changes nothing.",
    discussion: """
      With --host, the manifest declares every device that a domain has, with what identifies the device. A plan for it \
      adopts these devices and changes nothing else. What cannot be declared so stands in the manifest as a comment, with \
      the reason.
      """)

  @Flag(name: .customLong("host"), help: "Import what the domains of this host have.")
  var fromHost = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard fromHost else { throw ValidationError("say what to import: --host") }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let name = try hostName(in: context)
    let session = try openHost(in: context)
    let inventory = try asking(context) { () throws(HostError) in try session.inventory(ImportCommand.facts) }
    let first = try asking(context) { () throws(HostError) in try session.observeEverything(nil) }
    let warnings = warn(of: first.damaged, in: context)
    let candidates = HostImport(
      hostName: canBeHostName(name) ? name : nil, index: ObservationIndex(first), inventory: inventory,
      canName: canBeDomainName)
    let second = try asking(context) { () throws(HostError) in try session.observe(candidates.candidates) }
    var manifest = candidates.settled(by: ObservationIndex(second), plan: session.plan)
    if manifest.hostName == nil { manifest.remarks.insert(.hostName(name), at: 0) }
    try show(manifest, from: ["the host \(name)"], warnings: warnings, in: context)
    return .done
  }

  /// What selectors can say of a device.
  static let facts = Set(DeviceSelector.Key.allCases.compactMap(\.fact))
}

extension ImportCommand {
  /// Shows a manifest, and says on standard error how much stands in it only as a comment.
  private func show(
    _ manifest: ImportedManifest, from sources: [String], warnings: [String], in context: CommandContext
  ) throws(Failure) {
    let naming = context.naming(manifest.domains.flatMap(\.devices).map(\.selector.id))
    let view = ImportView(manifest: manifest, sources: sources, warnings: warnings, naming: naming)
    // What is printed can be used as it is, or nothing is printed.
    if let error = errors(inManifest: view.text(TextStyle()).description).first {
      throw Failure(.failed, "the manifest that was put together is not valid: \(error.message)")
    }
    try show(view, in: context)
    let count = manifest.allRemarks.count
    if count > 0 {
      _ = warn(
        "\(Words.count(count, "comment")) in the manifest to be read: not everything was carried over as it is",
        in: context)
    }
  }
}
