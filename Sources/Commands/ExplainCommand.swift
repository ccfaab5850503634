import ArgumentParser
import Model
import Planning
import Ports
import Rendering

/// `berth explain`: explains a name in Berth's answers.
struct ExplainCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Explain a name in Berth's answers, or a device of this host.",
    discussion: """
      A name: what it means, its causes, and what to do. Without a name, all names are listed. With --all, all names are \
      explained. A device's address, such as 03:00.0: everything that can be found out about the device.
      """)

  @Argument(
    help: "A name from the output of plan, apply, status or doctor, such as half-removed; or a device's address.")
  var name: String?
  @Flag(help: "Explain every name; with -o markdown as a page of documentation.")
  var all = false
  @OptionGroup var global: GlobalOptions

  var formats: [OutputFormat] { [.table, .json, .jsonl] + (all ? [.markdown] : []) }

  func validate() throws {
    if all, let name { throw ValidationError("give either --all or the name \(name)") }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    guard let name else {
      try show(ExplanationView(entries: Catalogue.all, detail: all ? .everything : .line), in: context)
      return .done
    }
    if let device = FunctionName(name) ?? PCIAddress(name).map({ FunctionName($0) }) {
      return try explain(device, in: context)
    }
    guard let entry = Catalogue.all.first(where: { $0.name == name }) else {
      let names = Catalogue.all.map(\.name)
      let part = names.filter { $0.contains(name) || name.contains($0) }
      let near = part.isEmpty ? [closest(to: name, among: names)].compactMap(\.self) : part
      throw Failure(
        .usage, "Berth's answers have no name \(name)",
        hint: near.isEmpty ? "`berth explain` lists all of them" : "did you mean \(near.joined(separator: " or "))?")
    }
    try show(ExplanationView(entries: [entry], detail: .everything), in: context)
    return .done
  }

  private func explain(_ device: FunctionName, in context: CommandContext) throws(Failure) -> ExitStatus {
    var look = try lookAtDevices(Set(FunctionFact.allCases), opening: device, in: context)
    let listing = look.listing.matching(["\(device)"])
    guard !listing.devices.isEmpty else {
      throw Failure(.failed, "the host has no device at \(device)", hint: "`berth devices --all` lists all")
    }
    var product: ProductData?
    do throws(HostError) { product = try look.session.productData(device) } catch {
      let failure = context.failure(for: error, sandbox: global.sandboxDirectory(in: context))
      look.warnings.append(warn(failure.message, in: context))
    }
    try show(
      DevicesView(
        hostName: try hostName(in: context), listing: listing, names: look.names, showsBridges: true,
        explanation: DeviceExplanation(product: product), warnings: look.warnings),
      in: context)
    return .done
  }
}
