import ArgumentParser
import Model
import Planning
import Ports
import Rendering

/// `berth devices`: lists the PCI devices of the host.
struct DevicesCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices",
    abstract: "List the PCI devices of this host: what each is, which driver or domain has it, and whether it is free.",
    discussion: """
      Says what of dom0 or of guests needs a device. With -o wide, or --verbose, also by which way, the path, the slot, \
      serial numbers, hardware addresses, how each device can be reset, and from which others it is not isolated. Changes nothing. Works without Xen too, but then nothing is \
      known of domains.
      """)

  @Argument(
    help: ArgumentHelp("Only devices whose address begins so: 03:00, or 0000:03:00.0.", valueName: "address"))
  var addresses: [String] = []

  @Flag(help: "Also list bridges, which no domain can have.")
  var all = false

  @OptionGroup var source: SnapshotOption
  @OptionGroup var global: GlobalOptions

  var snapshotFile: String? { source.host }

  var formats: [OutputFormat] { [.table, .wide, .json, .jsonl] }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let isWhole = global.verbose || global.output != .table
    let look = try lookAtDevices(isWhole ? Set(FunctionFact.allCases) : FunctionFact.usual, in: context)
    var listing = look.listing
    for address in addresses where listing.matching([address]).devices.isEmpty {
      throw Failure(
        .failed, "no device has an address that begins with \(address)", hint: "`berth devices --all` lists all")
    }
    if !addresses.isEmpty { listing = listing.matching(addresses) }
    try show(
      DevicesView(
        hostName: try hostName(in: context), listing: listing, names: look.names,
        showsBridges: all || !addresses.isEmpty, warnings: look.warnings),
      in: context)
    return .done
  }
}

/// What a look at the devices of a host found.
struct DevicesLook {
  let session: HostSession
  let listing: DeviceListing
  let names: FunctionNames
  /// Written to standard error already.
  var warnings: [String]
}

extension BerthCommand {
  /// Looks at all devices of the host. Without Xen, nothing is known of domains; a warning says so.
  ///
  /// The disks of `device` are opened for a moment, to learn whether somebody holds them.
  func lookAtDevices(
    _ facts: Set<FunctionFact>, opening device: FunctionName? = nil, in context: CommandContext
  ) throws(Failure) -> DevicesLook {
    let session = try openHost(in: context)
    let inventory = try asking(context) { () throws(HostError) in
      try session.inventory(facts.union(InterlockRules.facts))
    }
    var warnings: [String] = []
    var observation: ObservationIndex?
    do throws(HostError) {
      let found = try session.observeEverything(nil)
      warnings = warn(of: found.damaged, in: context)
      observation = ObservationIndex(found)
    } catch {
      let failure = context.failure(for: error, sandbox: global.sandboxDirectory(in: context))
      warnings = [warn("\(failure.message); nothing is known of domains", in: context)]
    }
    let usage = session.usage()
    for failure in usage.unread.sorted(by: { $0.key.rawValue < $1.key.rawValue }).map(\.value) {
      let text = "\(failure.words), so not everything is known that dom0 uses its devices for"
      warnings.append(warn(text, in: context))
    }
    let rules = InterlockRules(usage: usage, inventory: inventory, served: session.served(observation))
    let openings = device.map { [$0: session.openings(rules.disks(of: $0))] } ?? [:]
    let listing = DeviceListing(
      inventory: inventory, observation: observation, rules: rules, openings: openings)
    if !listing.unexplainedMounts.isEmpty {
      let shown = listing.unexplainedMounts.prefix(4).joined(separator: ", ")
      let more = listing.unexplainedMounts.count - 4
      warnings.append(
        warn(
          "it is not known on which devices the files of \(shown)\(more > 0 ? " and \(more) more" : "") are stored",
          in: context))
    }
    return DevicesLook(
      session: session, listing: listing,
      names: context.functionNames(of: inventory), warnings: warnings)
  }
}
