package import ArgumentParser
import Model
package import Planning
import Ports
package import Rendering

/// A command. It turns arguments into an operation, and returns a view of the answer and a status.
package protocol BerthCommand: ParsableCommand {
  var global: GlobalOptions { get }
  /// The forms that the answer has.
  var formats: [OutputFormat] { get }
  /// The file of the snapshot at which this command is to look; nil for a host.
  var snapshotFile: String? { get }
  func run(in context: CommandContext) throws(Failure) -> ExitStatus
}

extension BerthCommand {
  package var formats: [OutputFormat] { [.table, .json, .jsonl] }
  package var snapshotFile: String? { nil }

  /// Throws a usage error if the answer does not have the form that is asked for.
  func checkFormat() throws(Failure) {
    guard !formats.contains(global.output) else { return }
    throw Failure(
      .usage, "this answer has no form called \(global.output.rawValue)",
      hint: "use -o \(formats.map(\.rawValue).joined(separator: " or "))"
        + Self.whereElse(global.output))
  }

  /// Returns which command has a form that this one lacks.
  private static func whereElse(_ format: OutputFormat) -> String {
    switch format {
    case .markdown: "; `berth plan`, `berth validate`, `berth graph` and `berth explain --all` have this form"
    case .html, .github, .sarif, .gitlab: "; `berth plan` and `berth validate` have this form"
    case .gitlabSummary, .junit: "; `berth plan` has this form"
    case .wide: "; `berth devices -o wide` lists the devices"
    case .table, .json, .jsonl: ""
    }
  }

  /// Shows an answer on standard output.
  package func show(_ view: some View, in context: CommandContext) throws(Failure) {
    try write(in: context) {
      try render(view, as: global.output, style: global.style(in: context), release: berthVersion)
    }
  }

  /// Writes an answer's text to standard output.
  func write(in context: CommandContext, _ text: () throws -> TerminalText) throws(Failure) {
    do { context.standardOutput(try text()) } catch {
      throw Failure(.failed, "the answer cannot be written as \(global.output.rawValue): \(error)")
    }
  }

  /// Returns the name of the host on which this command works.
  func hostName(in context: CommandContext) throws(Failure) -> String {
    guard let directory = global.sandboxDirectory(in: context) else { return context.hostName() }
    return try context.sandboxHostName(directory).get()
  }

  /// Opens the host on which this command works.
  func openHost(in context: CommandContext) throws(Failure) -> HostSession {
    try context.openHost(
      global.sandboxDirectory(in: context), try hostName(in: context), global.storeTimeout.duration)
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

/// Commands that a program adds to those of this module.
package protocol CommandSet {
  static var commands: [any ParsableCommand.Type] { get }
  /// The last sentence of the program's help; nil if there is nothing to add.
  static var hint: String? { get }
}
