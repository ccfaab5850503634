import ArgumentParser
import Model
import Planning
import Rendering

/// What to type instead of words that Berth does not know.
enum Misuse {
  /// Words that other tools use for what a command does here.
  private static let commands = [
    "diff": "plan", "preview": "plan", "check": "validate", "lint": "validate", "format": "fmt", "tidy": "fmt",
    "draw": "graph", "show": "status", "list": "status",
    "ls": "status", "sync": "apply", "run": "apply", "attach": "apply", "detach": "apply",
  ]
  /// Options of other tools, and what has the same effect here.
  private static let options = [
    "--auto-approve": "--yes", "--assume-yes": "--yes", "--noconfirm": "--yes", "--json": "-o json",
    "--format": "-o", "--quiet": "> /dev/null", "-f": "the name of the file alone",
    "--file": "the name of the file alone",
    "--check": "`berth plan`", "--diff": "`berth plan`",
  ]

  /// Returns the failure of arguments that name a command which `root` does not have; nil for all other arguments.
  static func failure(in arguments: [String], of root: any ParsableCommand.Type) -> Failure? {
    var words = words(of: arguments)
    let isHelp = words.first == "help"
    if isHelp { words.removeFirst() }
    var command = root
    var path = ""
    while let word = words.first, !command.configuration.subcommands.isEmpty {
      let subcommands = command.configuration.subcommands
      let names = subcommands.map { $0._commandName } + (path.isEmpty ? ["help"] : [])
      guard let index = names.firstIndex(of: word) else {
        let meant = closest(to: word, among: names) ?? (path.isEmpty ? commands[word] : nil)
        return Failure(
          .usage, "there is no command '\(path)\(word)'",
          hint: meant.map { "did you mean '\(path)\($0)'?" } ?? "`berth \(path)--help` lists the commands")
      }
      guard index < subcommands.count else { return nil }
      command = subcommands[index]
      path += word + " "
      words.removeFirst()
    }
    return nil
  }

  /// Returns what to type instead of the first option in `arguments` that another tool has; nil if there is none.
  static func hint(for arguments: [String]) -> String? {
    for argument in arguments {
      let name = String(argument.prefix { $0 != "=" })
      if let meant = options[name] { return "instead of \(name), use \(meant)" }
    }
    return nil
  }

  /// Returns the arguments up to `--` that are neither options nor the values of the options that every command has.
  private static func words(of arguments: [String]) -> [String] {
    var words: [String] = []
    var rest = arguments[...]
    while let argument = rest.popFirst(), argument != "--" {
      if !argument.hasPrefix("-") || argument == "-" {
        words.append(argument)
      } else if ["--sandbox", "--output", "-o"].contains(argument) {
        _ = rest.popFirst()
      }
    }
    return words
  }
}
