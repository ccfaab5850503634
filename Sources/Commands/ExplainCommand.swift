import ArgumentParser
import Core
import Rendering

/// `berth explain`: what a name in Berth's answers means.
struct ExplainCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what a reason or a drift means, how it comes about, and what to do.",
    discussion: "Without a name, all of them are listed. With --all, all of them are explained.")

  @Argument(help: "A name as plan, apply and status give it, such as half-removed.")
  var name: String?
  @Flag(help: "Explain every name; with -o markdown as a page of documentation.")
  var all = false
  @OptionGroup var global: GlobalOptions

  var formats: [OutputFormat] { all ? OutputFormat.allCases : [.table, .json] }

  func validate() throws {
    if all, let name { throw ValidationError("give either --all or the name \(name)") }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    guard let name else {
      try show(ExplanationView(entries: Catalogue.all, detail: all ? .everything : .line), in: context)
      return .done
    }
    guard let entry = Catalogue.all.first(where: { $0.name == name }) else {
      let near = Catalogue.all.map(\.name).filter { $0.contains(name) || name.contains($0) }
      throw Failure(
        .usage, "there is no reason called \(name)",
        hint: near.isEmpty ? "`berth explain` lists all of them" : "did you mean \(near.joined(separator: " or "))?")
    }
    try show(ExplanationView(entries: [entry], detail: .everything), in: context)
    return .done
  }
}
