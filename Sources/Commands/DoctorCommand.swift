import ArgumentParser
import Planning
import Rendering

/// `berth doctor`: reports what is wrong with the host itself.
struct DoctorCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Report what is wrong with this host, why, and what to do next.",
    discussion: """
      Asks Xen, xenstored, the kernel and Berth's own files separately, and continues if one does not answer. \
      Changes nothing. `berth explain NAME` explains a name.
      """)

  @OptionGroup var source: SnapshotOption
  @OptionGroup var global: GlobalOptions

  var snapshotFile: String? { source.host }

  @Flag(name: .customLong("detailed-exitcode"), help: "Exit with 2 if a problem is found.")
  var detailedExitCode = false

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let sandbox = global.sandboxDirectory(in: context)
    // A sandbox that does not answer has no name. This command must work for such a sandbox, too.
    let name: String
    do throws(Failure) { name = try hostName(in: context) } catch { name = sandbox ?? "this host" }
    let examination = try context.openHost(sandbox, name, global.storeTimeout.duration).examine()
    let findings = diagnose(examination)
    let place = context.place(sandbox: sandbox)
    try show(DoctorView(examination: examination, findings: findings, place: place), in: context)
    return exitStatus(of: findings, isDetailed: detailedExitCode, place: place)
  }
}

/// Returns the exit status of a diagnosis. If Xen or xenstored cannot be asked, the first of them decides.
func exitStatus(of findings: [Finding], isDetailed: Bool, place: HostPlace) -> ExitStatus {
  for finding in findings {
    guard case .ailment(let ailment) = finding.kind, let error = finding.error else { continue }
    switch ailment {
    case .xenUnreachable, .storeUnreachable, .sysfsUnreadable, .lookFailed: return place.failure(for: error).status
    default: continue
    }
  }
  return isDetailed && findings.contains { !$0.isNote } ? .changesPending : .done
}
