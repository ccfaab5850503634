import ArgumentParser
import Core
import Rendering

extension OutputFormat: ExpressibleByArgument {}

/// What every command understands, before or after its name.
struct GlobalOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Work on the sandbox in DIR instead of this machine.",
      discussion: "BERTH_SANDBOX in the environment is the default.", valueName: "dir"))
  var sandbox: String?

  @Option(
    name: .shortAndLong,
    help: "How the answer is written: table (for people), json (for programs), or markdown (only explain --all).")
  var output: OutputFormat = .table

  @Flag(name: .customLong("no-color"), help: "Never use colours; NO_COLOR in the environment says the same.")
  var noColor = false

  @Flag(name: .shortAndLong, help: "Also show what is as declared, the proofs, and the progress.")
  var verbose = false

  /// The sandbox's directory; the flag goes before the environment.
  func sandboxDirectory(in context: CommandContext) -> String? {
    sandbox ?? context.environment["BERTH_SANDBOX"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// How text for standard output is written.
  func style(in context: CommandContext) -> TextStyle { style(in: context, isTerminal: context.isOutputTerminal) }

  /// How text for standard error is written.
  func errorStyle(in context: CommandContext) -> TextStyle { style(in: context, isTerminal: context.isErrorTerminal) }

  private func style(in context: CommandContext, isTerminal: Bool) -> TextStyle {
    TextStyle(
      usesColor: usesColor(context.environment, isTerminal: isTerminal, isForbidden: noColor),
      isASCII: !hasUnicodeLocale(context.environment), isVerbose: verbose)
  }
}

/// Whether to use colours: the flag goes before the environment, the environment before the terminal (no-color.org).
func usesColor(_ environment: [String: String], isTerminal: Bool, isForbidden: Bool) -> Bool {
  func isSet(_ name: String) -> Bool { environment[name].map { !$0.isEmpty } ?? false }
  if isForbidden || isSet("NO_COLOR") { return false }
  if isSet("FORCE_COLOR") || isSet("CLICOLOR_FORCE") {
    return environment["FORCE_COLOR"] != "0" && environment["CLICOLOR_FORCE"] != "0"
  }
  return isTerminal && environment["TERM"] != "dumb"
}

/// Whether the locale shows more than ASCII: the first of LC_ALL, LC_CTYPE and LANG that is set decides (locale(7)).
func hasUnicodeLocale(_ environment: [String: String]) -> Bool {
  for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
    guard let value = environment[name], !value.isEmpty else { continue }
    let text = value.lowercased()
    return text.hasSuffix("utf-8") || text.hasSuffix("utf8") || text.contains("utf-8@") || text.contains("utf8@")
  }
  return false
}
