import ArgumentParser
import Core
import Rendering
import Sandbox

/// A command: arguments to an operation, its answer to a view, and a status.
protocol BerthCommand: ParsableCommand {
  var global: GlobalOptions { get }
  /// The forms that the answer has.
  var formats: [OutputFormat] { get }
  func run(in context: CommandContext) throws(Failure) -> ExitStatus
}

extension BerthCommand {
  var formats: [OutputFormat] { [.table, .json] }

  /// Throws a usage error if the answer does not have the form that is asked for.
  fileprivate func checkFormat() throws(Failure) {
    guard !formats.contains(global.output) else { return }
    throw Failure(
      .usage, "this answer has no form called \(global.output.rawValue)",
      hint: "use -o \(formats.map(\.rawValue).joined(separator: " or "))"
        + (global.output == .markdown ? "; `berth explain --all -o markdown` prints the names" : ""))
  }

  /// Shows an answer on standard output.
  func show(_ view: some View, in context: CommandContext) throws(Failure) {
    let text: String
    do {
      text = try render(view, as: global.output, style: global.style(in: context))
    } catch {
      throw Failure(.failed, "the answer cannot be written as \(global.output.rawValue): \(error)")
    }
    context.standardOutput(text)
  }

  /// The name of the host this command works on.
  func hostName(in context: CommandContext) throws(Failure) -> String {
    guard let directory = global.sandboxDirectory(in: context) else { return context.hostName() }
    return try asSandbox { () throws(SandboxError) in try context.sandboxHostName(directory).get() }
  }

  /// The host this command works on.
  func openHost(in context: CommandContext) throws(Failure) -> HostSession {
    context.openHost(global.sandboxDirectory(in: context), try hostName(in: context))
  }

  /// Runs what asks the host, and gives its failures their words.
  func asking<Result>(
    _ context: CommandContext, _ body: () throws(HostError) -> Result
  ) throws(Failure) -> Result {
    do throws(HostError) { return try body() } catch {
      throw context.failure(for: error, sandbox: global.sandboxDirectory(in: context))
    }
  }
}

/// The whole program: reads `arguments` (without the program's name), does the work, and returns the exit status.
package func runBerth(_ arguments: [String], in context: CommandContext) -> Int32 {
  // Building the parser costs more than all the rest of this answer.
  if arguments == ["--version"] {
    context.standardOutput(berthVersion + "\n")
    return ExitStatus.done.rawValue
  }
  do {
    var command = try RootCommand.parseAsRoot(arguments)
    guard let command = command as? any BerthCommand else {
      try command.run()
      return 0
    }
    do throws(Failure) {
      try command.checkFormat()
      return try command.run(in: context).rawValue
    } catch {
      context.standardError(error.text(command.global.errorStyle(in: context)))
      return error.status.rawValue
    }
  } catch {
    // Only the parser's own answers come here: help, the version, or what is wrong with the arguments.
    let text = RootCommand.fullMessage(for: error)
    guard RootCommand.exitCode(for: error).isSuccess else {
      context.standardError(text + "\n")
      return ExitStatus.usage.rawValue
    }
    context.standardOutput(text + "\n")
    return ExitStatus.done.rawValue
  }
}
