import ArgumentParser
import Ports
package import Rendering

extension OutputFormat: ExpressibleByArgument {}

/// The options of every command, before or after its name.
package struct GlobalOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Work on the sandbox in DIR instead of this machine.",
      discussion: "BERTH_SANDBOX in the environment is the default.", valueName: "dir"))
  var sandbox: String?

  @Option(
    name: [.customShort("o", allowingJoined: true), .long],
    help: ArgumentHelp(
      "The form of the answer: table (for people), json or jsonl (for programs), or wide (only devices).",
      discussion: """
        With jsonl, apply writes one line per event. plan and validate also have markdown, html, github, sarif and \
        gitlab; plan has gitlab-summary and junit, too. graph and explain --all have markdown.
        """))
  var output: OutputFormat = .table

  @Flag(name: .customLong("no-color"), help: "Never use colours; NO_COLOR in the environment has the same effect.")
  var noColor = false

  @Option(
    name: .customLong("store-timeout"),
    help: ArgumentHelp(
      "How long xenstored, or the hypervisor, may take for one answer, such as 5s or 500ms.", valueName: "time"),
    transform: DurationArgument.parseSome)
  var storeTimeout = DurationArgument(Host.answerTimeout)

  @Flag(name: .shortAndLong, help: "Also show devices that are as declared, the evidence, and the progress.")
  var verbose = false

  package init() {}

  /// Returns the sandbox's directory. The flag has precedence over the environment.
  package func sandboxDirectory(in context: CommandContext) -> String? {
    sandbox ?? context.environment.text(.sandbox)
  }

  /// Returns the style of text on standard output.
  func style(in context: CommandContext) -> TextStyle { style(in: context, isTerminal: context.isOutputTerminal) }

  /// Returns the style of text on standard error.
  package func errorStyle(in context: CommandContext) -> TextStyle {
    style(in: context, isTerminal: context.isErrorTerminal)
  }

  private func style(in context: CommandContext, isTerminal: Bool) -> TextStyle {
    TextStyle(
      usesColor: usesColor(context.environment, isTerminal: isTerminal, isForbidden: noColor),
      isASCII: !hasUnicodeLocale(context.environment), isVerbose: verbose)
  }
}

/// Returns whether to use colours. The flag has precedence over the environment, and the environment over the terminal
/// (no-color.org).
func usesColor(_ environment: Environment, isTerminal: Bool, isForbidden: Bool) -> Bool {
  if isForbidden || environment.text(.noColor) != nil { return false }
  if environment.text(.forceColor) != nil || environment.text(.forceColorOfBSD) != nil {
    return environment[.forceColor] != "0" && environment[.forceColorOfBSD] != "0"
  }
  return isTerminal && environment[.terminal] != "dumb"
}

/// Returns whether the locale shows more than ASCII: the first of LC_ALL, LC_CTYPE and LANG that is set decides
/// (locale(7)).
func hasUnicodeLocale(_ environment: Environment) -> Bool {
  let names: [Environment.Variable] = [.locale, .characters, .language]
  guard let text = names.lazy.compactMap(environment.text).first?.lowercased() else { return false }
  return text.hasSuffix("utf-8") || text.hasSuffix("utf8") || text.contains("utf-8@") || text.contains("utf8@")
}
