import ArgumentParser
import Core
import Rendering
import Sandbox

/// A command. It turns arguments into an operation, and returns a view of the answer and a status.
protocol BerthCommand: ParsableCommand {
  var global: GlobalOptions { get }
  func run(in context: CommandContext) throws(Failure) -> ExitStatus
}

extension BerthCommand {
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

  /// Returns the name of the host on which this command works.
  func hostName(in context: CommandContext) throws(Failure) -> String {
    guard let directory = global.sandboxDirectory(in: context) else { return context.hostName() }
    return try asSandbox { () throws(SandboxError) in try context.sandboxHostName(directory).get() }
  }

  /// Opens the host on which this command works.
  func openHost(in context: CommandContext) throws(Failure) -> HostSession {
    context.openHost(global.sandboxDirectory(in: context), try hostName(in: context))
  }

  /// Runs `body`, which asks the host, and gives failures of the host's ports their words.
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
  // Building the parser costs more than the whole rest of this answer.
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
      return try command.run(in: context).rawValue
    } catch {
      context.standardError(error.text(command.global.errorStyle(in: context)))
      return error.status.rawValue
    }
  } catch {
    // Only the parser's own answers arrive here: help, the version, or an error in the arguments.
    let text = RootCommand.fullMessage(for: error)
    guard RootCommand.exitCode(for: error).isSuccess else {
      context.standardError(text + "\n")
      return ExitStatus.usage.rawValue
    }
    context.standardOutput(text + "\n")
    return ExitStatus.done.rawValue
  }
}
