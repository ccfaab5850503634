import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth render`: prints files of other programs that agree with manifests.
struct RenderCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "render", abstract: "Print files of other programs that agree with the manifests.",
    subcommands: [RenderXlCommand.self, RenderBootCommand.self])

  @OptionGroup var global: GlobalOptions
}

/// `berth render xl`: the devices of a domain, for its configuration of xl.
struct RenderXlCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "xl",
    abstract: "Print the devices of a domain as xl's configuration has them, or compare a configuration.",
    discussion: """
      The host is asked only if a device is not declared by its address. With --check, the exit status is 2 if the file \
      differs. The defaults pci_permissive, pci_msitranslate and pci_power_mgmt of the file count.
      """)

  @Argument(help: "The name of the domain in the manifests.") var domain: String
  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  @Option(help: ArgumentHelp("Compare this configuration of xl with the manifests.", valueName: "file"))
  var check: String?

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let loaded = try load(try manifests.resolved(in: context), in: context)
    let desired = try resolved(try declared(in: loaded.desired), in: context)
    guard let check else {
      try show(XlView(domain: desired.domain), in: context)
      return .done
    }
    let source = SourceText(name: check, bytes: try readFile(check, limit: ImportCommand.largestFile))
    let report = Diagnostics()
    guard let file = readXlConfiguration(source, report: report) else {
      self.report(report.sortedErrors, in: context)
      throw Failure(.invalidManifest, "\(Words.count(report.errorCount, "error")) in \(check)")
    }
    let differences = desired.domain.differences(from: file, functions: desired.functions)
    try show(XlCheckView(domain: desired.domain, file: check, differences: differences), in: context)
    return differences.isEmpty ? .done : .changesPending
  }

  private func declared(in state: DesiredState) throws(Failure) -> DesiredState {
    guard let found = state.domains.first(where: { $0.name == Name(domain) }) else {
      let near = closest(to: domain, among: state.domains.map(\.name.text))
      throw Failure(
        .failed, "no manifest declares the domain '\(domain)'", hint: near.map { "did you mean '\($0)'?" })
    }
    var state = state
    state.domains = [found]
    return state
  }

  /// A domain whose devices have addresses, and the functions of the host if they were asked for.
  private struct Resolved {
    let domain: DesiredDomain
    let functions: Set<PCIAddress>?
  }

  private func resolved(_ state: DesiredState, in context: CommandContext) throws(Failure) -> Resolved {
    guard let domain = state.domains.first else { throw Failure(.failed, "no domain is declared") }
    if domain.selections.isEmpty { return Resolved(domain: domain, functions: nil) }
    let session = try openHost(in: context)
    let inventory = try asking(context) { () throws(HostError) in try session.inventory(state.neededFacts) }
    let open = state.locked(on: "", in: inventory).open
    for step in open { _ = warn("\(step.label): \(step.obstacle.rawValue), \(step.evidence)", in: context) }
    guard let found = state.resolved(in: inventory).domains.first, open.isEmpty, found.unresolved.isEmpty else {
      throw Failure(
        .blocked, "not every device of \(domain.name) is found", hint: "`berth plan` shows what to do")
    }
    return Resolved(domain: found, functions: Set(inventory.functions.compactMap(\.address)))
  }
}
