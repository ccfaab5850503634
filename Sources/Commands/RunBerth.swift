import ArgumentParser
import Model
import Planning
import Rendering

/// Reads `arguments` (without the program's name), does the work, and returns the exit status.
package func runBerth<Added: CommandSet>(
  _ arguments: [String], in context: CommandContext, adding _: Added.Type
) -> Int32 {
  if let shortage = context.shortage {
    context.standardError(Failure(.hostNotPrepared, shortage).text(plainStyle))
    return ExitStatus.hostNotPrepared.rawValue
  }
  let ended = run(arguments, in: context, as: RootCommand<Added>.self)
  guard let loss = context.outputLoss(), let text = loss.text(for: ended) else { return ended.status.rawValue }
  // A truncated answer must not look like a complete one. A failed command keeps its own exit status.
  let status = ended.status
  let isAnswer = status == .done || status == .changesPending
  context.standardError(
    Failure(status, text, hint: isAnswer ? nil : "the exit status is the command's own").text(plainStyle))
  return isAnswer ? ExitStatus.failed.rawValue : status.rawValue
}

/// How a command ended.
private struct EndedCommand {
  var status: ExitStatus
  /// Whether the answer is for programs: a part of it is worth nothing.
  var isDocument = false
}

extension OutputLoss {
  /// Returns what to say of the answer that was lost; nil if nobody wants to know.
  fileprivate func text(for ended: EndedCommand) -> String? {
    let outcome = [.done, .changesPending].contains(ended.status) ? "; the command itself succeeded" : ""
    return switch self {
    case .failed(let cause): "cannot write to standard output: \(cause)\(outcome)"
    // A person who reads the beginning, as with `berth plan | head`, has what was wanted.
    case .unread:
      ended.isDocument ? "nobody read the whole of standard output\(outcome)" : nil
    }
  }
}

/// The style of messages before the options are known.
private var plainStyle: TextStyle { TextStyle(usesColor: false, isASCII: true) }

private func run<Root: ParsableCommand>(
  _ arguments: [String], in context: CommandContext, as _: Root.Type
) -> EndedCommand {
  // Building the parser costs more than the whole rest of this answer.
  if arguments == ["--version"] {
    context.standardOutput("\(berthVersion)\n")
    return EndedCommand(status: .done)
  }
  if let failure = Misuse.failure(in: arguments, of: Root.self) {
    context.standardError(failure.text(plainStyle))
    if arguments.first == "help" { context.standardError("\n\(TerminalText(own: Root.helpMessage()))\n") }
    return EndedCommand(status: .usage)
  }
  do {
    var command = try Root.parseAsRoot(arguments)
    if let command = command as? any BerthCommand { return run(command, in: context) }
    let type = type(of: command)
    guard type.configuration.subcommands.isEmpty else {
      // It does nothing by itself, and a script must notice that.
      context.standardError("\(TerminalText(own: Root.helpMessage(for: type)))\n")
      return EndedCommand(status: .usage)
    }
    try command.run()
    return EndedCommand(status: .done)
  } catch {
    // Only the parser's own answers arrive here: help, the version, or an error in the arguments.
    let text = parserAnswer(to: arguments, error, as: Root.self)
    guard Root.exitCode(for: error).isSuccess else {
      let hint: TerminalText = if let hint = Misuse.hint(for: arguments) { "  \(hint)\n" } else { "" }
      context.standardError("\(text)\n\(hint)")
      return EndedCommand(status: .usage)
    }
    context.standardOutput("\(text)\n")
    return EndedCommand(status: .done)
  }
}

/// Returns the parser's answer to arguments, which has several lines and repeats some of the arguments. So the parser
/// gets them once more, made visible.
private func parserAnswer<Root: ParsableCommand>(
  to arguments: [String], _ error: any Error, as _: Root.Type
) -> TerminalText {
  let shown = arguments.map { visible($0) }
  if shown == arguments { return TerminalText(own: Root.fullMessage(for: error)) }
  do { _ = try Root.parseAsRoot(shown) } catch { return TerminalText(own: Root.fullMessage(for: error)) }
  return TerminalText(Root.fullMessage(for: error))
}

private func run(_ command: some BerthCommand, in context: CommandContext) -> EndedCommand {
  let isDocument = command.global.output != .table
  do throws(Failure) {
    try command.checkFormat()
    return EndedCommand(status: try command.run(in: command.context(of: context)), isDocument: isDocument)
  } catch {
    context.standardError(error.text(command.global.errorStyle(in: context)))
    return EndedCommand(status: error.status, isDocument: isDocument)
  }
}
