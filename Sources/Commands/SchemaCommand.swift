import ArgumentParser
import Manifest
import Model
import Planning
import Rendering

/// `berth schema`: the manifest's JSON Schema, for editors and checkers.
struct SchemaCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Print the JSON Schema of manifests, for editors and checkers.")

  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    context.standardOutput(TerminalText(own: manifestSchema()))
    return .done
  }
}
