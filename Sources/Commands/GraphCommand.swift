import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth graph`: draws what manifests declare.
struct GraphCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "graph",
    abstract: "Print a diagram of the domains and the devices that manifests declare, for README files; needs no Xen.",
    discussion: """
      The diagram is in the language of Mermaid, which GitHub and GitLab draw. -o markdown puts it into a block of code. \
      --update writes the block into a page, between the lines <!-- berth graph --> and <!-- end: berth graph -->. \
      With --check nothing is written, and the exit status is 2 if the page has another diagram.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  @Option(help: ArgumentHelp("Write the diagram into this page, between its two markers.", valueName: "file"))
  var update: String?

  @Flag(help: "With --update: write nothing; the exit status is 2 if the page would change.")
  var check = false

  var formats: [OutputFormat] { update == nil ? [.table, .markdown] : [.table] }

  func validate() throws {
    if check, update == nil { throw ValidationError("--check needs --update FILE: the page to compare with") }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    if update == "" { throw Failure(.usage, "the name of the page is empty") }
    let graph = try graph(in: context)
    guard let update else {
      let text = global.output == .markdown ? graph.markdown : graph.text
      try write(in: context) { text }
      return .done
    }
    let old = try readFile(update)
    let new: [UInt8]
    do throws(MarkedPart.Fault) {
      new = try MarkedPart("berth graph").replaced(in: old, by: Array(graph.markdown.description.utf8))
    } catch {
      throw Failure(
        .invalidManifest, "\(update): \(error.reason)",
        hint: "the diagram is written between a line <!-- berth graph --> and a line <!-- end: berth graph -->")
    }
    let style = global.errorStyle(in: context)
    guard new != old else { return .done }
    guard !check else {
      context.standardError("\(style.printable("\(update) has another diagram"))\n")
      return .changesPending
    }
    let obstacle = try asking(context) { () throws(HostError) in try context.rewriteFile(update, old, new) }
    if let obstacle {
      throw Failure(.failed, "\(update) was left alone: it \(obstacle)", hint: "name the file itself, and run again")
    }
    context.standardError("\(style.printable("wrote \(update)"))\n")
    return .done
  }

  private func graph(in context: CommandContext) throws(Failure) -> DeviceGraph {
    let paths = try manifests.resolved(in: context)
    let valid: ValidatedManifests
    switch try readManifests({ () throws(ManifestFailure) in try validateManifests(paths: paths) }) {
    case .valid(let read): valid = read
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      throw Failure(.invalidManifest, "the manifests are not valid, so they were not drawn")
    }
    report(valid.warnings, in: context)
    let graph = DeviceGraph(hosts: valid.hosts.map { .init(name: $0.host?.text, state: $0.desired) })
    // Such a diagram is replaced by an error when it is drawn.
    guard graph.edgeCount <= DeviceGraph.mostEdges, graph.length <= DeviceGraph.longest else {
      throw Failure(
        .failed,
        "the diagram is too large: Mermaid draws at most \(DeviceGraph.mostEdges) devices of domains, and "
          + "\(DeviceGraph.longest) characters", hint: "name the manifests of fewer hosts")
    }
    return graph
  }
}
