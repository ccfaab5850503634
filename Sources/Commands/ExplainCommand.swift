import ArgumentParser
import Model
import Planning
import Rendering

/// `berth explain`: explains a name in Berth's answers.
struct ExplainCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Explain a name in Berth's answers: what it means, its causes, and what to do.",
    discussion: "Without a name, all names are listed. With --all, all names are explained.")

  @Argument(help: "A name from the output of plan, apply, status or doctor, such as half-removed.")
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
}
