import ArgumentParser
import Planning
import Rendering

/// `berth explain`: explains a name in Berth's answers.
struct ExplainCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Explain what a reason or a drift means, its causes, and what to do.",
    discussion: "Without a name, all names are listed.")

  @Argument(help: "A name from the output of plan, apply or status, such as half-removed.")
  var name: String?
  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    guard let name else {
      try show(ExplanationView(explanations: Explanation.all, isList: true), in: context)
      return .done
    }
    guard let explanation = Explanation.all.first(where: { $0.name == name }) else {
      let near = Explanation.all.map(\.name).filter { $0.contains(name) || name.contains($0) }
      throw Failure(
        .usage, "there is no reason called \(name)",
        hint: near.isEmpty ? "`berth explain` lists all of them" : "did you mean \(near.joined(separator: " or "))?")
    }
    try show(ExplanationView(explanations: [explanation], isList: false), in: context)
    return .done
  }
}
