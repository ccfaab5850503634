import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth import`: prints a manifest of what a host has, or of what files of another tool declare.
struct ImportCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Print a manifest of what domains have now, or of what files of xl or libvirt declare; changes nothing.",
    discussion: """
      With --host, the manifest declares every device that a domain has, with what identifies the device. A plan for it \
      adopts these devices and changes nothing else. With --xl and --libvirt, it declares what the domains' configurations do. \
      What cannot be declared so stands in the manifest as a comment, with the reason.
      """)

  @Flag(name: .customLong("host"), help: "Import what the domains of this host have.")
  var fromHost = false

  @Option(
    name: .customLong("xl"), parsing: .upToNextOption,
    help: ArgumentHelp("Import these configurations of xl, one per domain.", valueName: "file"))
  var xlFiles: [String] = []

  @Option(
    name: .customLong("libvirt"), parsing: .upToNextOption,
    help: ArgumentHelp("Import these domains of libvirt, as virsh dumpxml prints them.", valueName: "file"))
  var libvirtFiles: [String] = []

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    let given = [fromHost, !xlFiles.isEmpty, !libvirtFiles.isEmpty].count { $0 }
    guard given == 1 else {
      throw ValidationError(
        given == 0
          ? "say what to import: --host, --xl FILE... or --libvirt FILE..."
          : "give one of --host, --xl and --libvirt; import the others into a file of their own")
    }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    if fromHost {
      try importHost(in: context)
    } else if xlFiles.isEmpty {
      try importFiles(libvirtFiles, readLibvirtDomain, in: context)
    } else {
      try importFiles(xlFiles, readXlConfiguration, in: context)
    }
    return .done
  }

  /// What selectors can say of a device, and which driver has it.
  static let facts = Set(DeviceSelector.Key.allCases.compactMap(\.fact)).union([.driver])
}

extension ImportCommand {
  private func importHost(in context: CommandContext) throws(Failure) {
    let name = try hostName(in: context)
    let session = try openHost(in: context)
    let inventory = try asking(context) { () throws(HostError) in try session.inventory(Self.facts) }
    let first = try asking(context) { () throws(HostError) in try session.observeEverything(nil) }
    let warnings = warn(of: first.damaged, in: context)
    let candidates = HostImport(
      hostName: canBeHostName(name) ? name : nil, index: ObservationIndex(first), inventory: inventory,
      canName: canBeDomainName)
    let second = try asking(context) { () throws(HostError) in try session.observe(candidates.candidates) }
    var manifest = candidates.settled(by: ObservationIndex(second), plan: session.plan)
    if manifest.hostName == nil { manifest.remarks.insert(.hostName(name), at: 0) }
    try show(manifest, from: ["the host \(name)"], warnings: warnings, in: context)
  }

  // MARK: Files

  /// Reads one file; returns nil if there are errors in it, which are reported.
  private typealias Reader = (SourceText, Diagnostics) -> ConfiguredDomain?

  private func importFiles(
    _ paths: [String], _ read: Reader, in context: CommandContext
  ) throws(Failure) {
    let report = Diagnostics()
    var domains: [ConfiguredDomain] = []
    for (order, path) in paths.enumerated() {
      let source = SourceText(name: path, bytes: try readFile(path, limit: Self.largestFile), order: order)
      if let domain = read(source, report) { domains.append(domain) }
    }
    guard !report.hasErrors else {
      self.report(report.sortedErrors, in: context)
      throw Failure(.invalidManifest, "\(Words.count(report.errorCount, "error")) in what was to be imported")
    }
    let look = lookAtHost(in: context)
    let importing = ConfigurationImport(hostName: look.hostName, index: look.index, inventory: look.inventory)
    var manifest = importing.manifest(of: domains, canName: canBeDomainName)
    if let cause = look.failure { manifest.remarks.insert(.hostUnknown(cause), at: 0) }
    try show(manifest, from: paths, warnings: look.warnings, in: context)
  }

  /// The largest file that is read, in bytes. xl's own files have a few thousand.
  static let largestFile = 1 << 20

  /// What is known of the host on which files are imported.
  private struct HostLook {
    var hostName: String?
    var index: ObservationIndex?
    var inventory: Inventory?
    var warnings: [String] = []
    /// Why something is not known.
    var failure: String?
  }

  /// Looks at the host, as far as it can be asked: files can be imported anywhere.
  private func lookAtHost(in context: CommandContext) -> HostLook {
    var look = HostLook()
    let sandbox = global.sandboxDirectory(in: context)
    let session: HostSession
    do throws(Failure) { session = try openHost(in: context) } catch {
      look.failure = error.message
      return look
    }
    do throws(HostError) {
      let observation = try session.observeEverything(nil)
      look.index = ObservationIndex(observation)
      look.warnings = warn(of: observation.damaged, in: context)
      let inventory = try session.inventory(Self.facts)
      // Without any function, sysfs was not there: nothing was read.
      look.inventory = inventory.functions.isEmpty ? nil : inventory
      // A machine without Xen is perhaps not the one that the files are for.
      let name = observation.host.name
      look.hostName = canBeHostName(name) ? name : nil
      if look.inventory == nil { look.failure = "its PCI devices are not shown" }
    } catch {
      look.index = nil
      look.failure = context.failure(for: error, sandbox: sandbox).message
    }
    return look
  }
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
