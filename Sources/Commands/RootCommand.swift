import ArgumentParser

/// `berth`, with the commands that the program adds.
struct RootCommand<Added: CommandSet>: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "berth",
      abstract: "Keeps the PCI devices of Xen domains as a manifest declares them.",
      discussion: """
        Exit status: 0 done or nothing to do; 1 failed; 2 changes found (--detailed-exitcode, --check); 3 blocked; \
        4 host changed since the plan was shown; 5 failed, changes undone; 6 partly applied; 7 outcome unknown; \
        64 usage; 65 manifest invalid; 66 no manifest; 69 xenstored or Xen not reachable; 75 another run at work, or \
        libxl's lock or xenstore busy; 77 not permitted; 78 host not prepared; 130 interrupted.

        """ + (Added.hint.map { "\n" + $0 } ?? ""),
      version: berthVersion,
      subcommands: [
        PlanCommand.self, ApplyCommand.self, PullCommand.self, ReleaseCommand.self, StatusCommand.self,
        DevicesCommand.self, DoctorCommand.self, ValidateCommand.self, FormatCommand.self, GraphCommand.self,
        LockCommand.self, ImportCommand.self, RenderCommand.self,
        SnapshotCommand.self, SchemaCommand.self, ExplainCommand.self,
      ] + Added.commands)
  }

  @OptionGroup var global: GlobalOptions
}

/// What `--version` prints.
package let berthVersion = "0.1.0"
